import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Template from "../../src/sources/template.ts"

const render = (source: string, fields: Schema.JsonObject) =>
  Result.flatMap(Template.parse(source), (template) => Template.render(template, fields))

const renders = (source: string, fields: Schema.JsonObject, expected: string) =>
  assert.deepStrictEqual(render(source, fields), Result.succeed(expected))

const refuses = (source: string, fields: Schema.JsonObject, expected: string) =>
  assert.deepStrictEqual(render(source, fields), Result.fail(expected))

describe("template", () => {
  it("fills in fields, with or without spaces in the braces", () => {
    renders("Summarise {{title}}: {{ body }}", { title: "A", body: "B" }, "Summarise A: B")
  })

  it("fills in numbers and booleans as they are, nothing for null, and JSON for lists and objects", () => {
    renders(
      "{{n}}/{{b}}/{{z}}/{{l}}/{{o}}",
      { n: 1.5, b: true, z: null, l: [1], o: { a: "x" } },
      '1.5/true//[1]/{"a":"x"}'
    )
  })

  it("follows a path into objects and lists", () => {
    renders("{{author.name}} {{files.1.path}}", { author: { name: "Ada" }, files: [{}, { path: "p" }] }, "Ada p")
  })

  it("prefers a field whose name has the dots in it", () => {
    renders("{{a.b}}", { "a.b": "whole", a: { b: "nested" } }, "whole")
  })

  it("allows spaces within a field's name", () => {
    renders("{{ Full Name }}", { "Full Name": "Ada" }, "Ada")
  })

  it("does not look into what it filled in", () => {
    renders("{{a}}", { a: "{{b}}", b: "no" }, "{{b}}")
  })

  it("keeps single braces and closing ones, and takes \\{{ for two literal braces", () => {
    renders("{a} }} \\{{a}} {{a}}", { a: "x" }, "{a} }} {{a}} x")
  })

  it("names the fields there are when one is missing", () => {
    refuses("{{titel}}", { id: 1, title: "A" }, "the template's {{titel}} is no field of this record; it has id, title")
  })

  it("does not find what every object inherits", () => {
    refuses("{{a.toString}}", { a: {} }, "the template's {{a.toString}} is no field of this record; it has a")
    refuses("{{constructor}}", {}, "the template's {{constructor}} is no field of this record; it has none")
  })

  it("lists twenty fields at most", () => {
    const fields = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, i]))
    const shown = Array.from({ length: 20 }, (_, i) => `f${i}`).join(", ")
    refuses("{{x}}", fields, `the template's {{x}} is no field of this record; it has ${shown}, …`)
  })

  it("refuses braces that are never closed or name nothing", () => {
    refuses("ab {{title", {}, "the {{ at character 4 has no closing }}; write \\{{ for literal braces")
    refuses("{{ }}", {}, "the {{ }} at character 1 names no field; write \\{{ for literal braces")
  })

  it("names the columns there are", () => {
    const template = Template.parse("{{a}} {{b.c}}")
    assert.isTrue(Result.isSuccess(template))
    const missing = (columns: ReadonlyArray<string>) =>
      Result.map(template, (it) => Template.missingColumn(it, columns))
    assert.deepStrictEqual(missing(["a", "b"]), Result.succeed("the template's {{b.c}} is no column; there are a, b"))
    assert.deepStrictEqual(missing(["a", "b.c"]), Result.succeed(undefined))
  })

  it.prop("renders any text with escaped braces as it is", [Schema.String], ([text]) => {
    renders(text.replaceAll("{{", "\\{{"), {}, text)
  })

  it.prop(
    "renders any field between any texts",
    [Schema.String, Schema.String, Schema.String],
    ([before, value, after]) => {
      const escape = (text: string) => text.replaceAll("{{", "\\{{").replace(/[{\\]$/, "")
      const unescaped = (text: string) => text.replace(/[{\\]$/, "")
      renders(`${escape(before)}{{value}}${escape(after)}`, { value }, unescaped(before) + value + unescaped(after))
    }
  )
})
