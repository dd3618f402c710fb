import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as jsonText from "../../src/sources/jsonText.ts"

const fault = (text: string) => Result.getFailure(Result.map(jsonText.elements(text), () => "valid"))

const parses = (text: string) => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe("jsonText", () => {
  it("returns the line and the text of each element of a list", () => {
    assert.deepStrictEqual(
      jsonText.elements('[\n  {"a": [1, 2],\n "b": "]"}, "x\\"",\n\n  3\n]\n'),
      Result.succeed([
        { line: 2, text: '{"a": [1, 2],\n "b": "]"}' },
        { line: 3, text: '"x\\""' },
        { line: 5, text: "3" }
      ])
    )
  })

  it("returns the list `tasks` of an object and ignores its other fields", () => {
    assert.deepStrictEqual(
      jsonText.elements('{"version": 1, "other": {"tasks": [1]},\n"t\\u0061sks": [\n2], "end": [null]}'),
      Result.succeed([{ line: 3, text: "2" }])
    )
  })

  it("returns no elements if there is no list", () => {
    for (const text of ["{}", '{"tasks": {}}', '"x"', " 12 "]) {
      assert.deepStrictEqual(jsonText.elements(text), Result.succeed(undefined), text)
    }
  })

  it.each([
    ["[1,\n]", 2, "column 1: expected a value, found ]"],
    ["[1\n2]", 2, "column 1: expected a comma or ], found 2]"],
    ['{"a" 1}', 1, "column 6: expected a colon after the field name, found 1}"],
    ["{a: 1}", 1, "column 2: expected a field name in double quotes, found a: 1}"],
    ['{"a": 1,\n}', 2, "column 1: expected a field name in double quotes, found }"],
    ['{"a": nul}', 1, "column 7: expected a value, found nul}"],
    ['{"a": nulls}', 1, "column 7: expected a value, found nulls}"],
    ["[01]", 1, "column 2: expected a value, found 01]"],
    ["[1] x", 1, "column 5: expected the end, found x"],
    ["[1", 1, "column 3: expected a comma or ], found the end"],
    ["", 1, "column 1: expected a value, found the end"],
    ['["a\nb"]', 1, "column 2: this string is not closed before the end of its line"],
    ['[\n"abc', 2, "column 1: this string is not closed before the end of its line"],
    ['["\\x"]', 1, "column 2: this string has an invalid escape (write a backslash as \\\\) or a control character"],
    [`${"[".repeat(1001)}${"]".repeat(1001)}`, 1, "column 1001: nested deeper than 1000 levels"]
  ] as const)("describes the syntax error in %j", (text, line, message) => {
    assert.deepStrictEqual(
      Result.getFailure(jsonText.elements(text)),
      Result.getFailure(Result.fail({ line, message: `not valid JSON at ${message}` }))
    )
  })

  it.prop("accepts every document that JSON.parse accepts", [Schema.Json], ([value]) => {
    for (const space of [0, 2]) {
      const text = JSON.stringify(value, null, space)
      assert.isTrue(Result.isSuccess(jsonText.elements(text)), text)
    }
  })

  it.prop(
    "the elements of a list parse to its values, each with the line where it starts",
    [Schema.Array(Schema.Json)],
    ([list]) => {
      const text = JSON.stringify(list, null, 2)
      const elements = Result.getOrThrow(jsonText.elements(text)) ?? []
      assert.deepStrictEqual(
        elements.map((element) => Result.getOrThrow(jsonText.parse(element.text))),
        JSON.parse(text)
      )
      const lines = text.split("\n")
      for (const element of elements) {
        assert.strictEqual(lines[element.line - 1]?.trim().replace(/,$/, ""), element.text.split("\n")[0])
      }
    }
  )

  it.prop(
    "agrees with JSON.parse on a document with a missing character",
    [Schema.Json, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))],
    ([value, at]) => {
      const whole = JSON.stringify(value, null, 1)
      const text = whole.slice(0, at % whole.length) + whole.slice((at % whole.length) + 1)
      assert.strictEqual(Result.isSuccess(jsonText.elements(text)), parses(text), text)
      assert.strictEqual(fault(text)._tag === "None", parses(text), text)
    }
  )
})
