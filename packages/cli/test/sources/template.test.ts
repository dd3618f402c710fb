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
  it("renders fields, with or without spaces in the braces", () => {
    renders("Summarise {{title}}: {{ body }}", { title: "A", body: "B" }, "Summarise A: B")
  })

  it("renders numbers and booleans as text, null as nothing, and lists and objects as JSON", () => {
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

  it("does not render placeholders in the rendered values", () => {
    renders("{{a}}", { a: "{{b}}", b: "no" }, "{{b}}")
  })

  it("keeps single and closing braces, and renders \\{{ as two literal braces", () => {
    renders("{a} }} \\{{a}} {{a}}", { a: "x" }, "{a} }} {{a}} x")
  })

  it("lists the fields of a record if one is missing", () => {
    refuses(
      "{{titel}}",
      { id: 1, title: "A" },
      "the template uses {{titel}}, but this record does not have this field; its fields are id, title"
    )
  })

  it("does not find inherited properties", () => {
    refuses(
      "{{a.toString}}",
      { a: {} },
      "the template uses {{a.toString}}, but this record does not have this field; its fields are a"
    )
    refuses(
      "{{constructor}}",
      {},
      "the template uses {{constructor}}, but this record does not have this field; its fields are (none)"
    )
  })

  it("lists at most twenty fields", () => {
    const fields = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, i]))
    const shown = Array.from({ length: 20 }, (_, i) => `f${i}`).join(", ")
    refuses(
      "{{x}}",
      fields,
      `the template uses {{x}}, but this record does not have this field; its fields are ${shown}, …`
    )
  })

  it("refuses unclosed and empty braces", () => {
    refuses("ab {{title", {}, "the {{ at character 4 has no closing }}; for a literal {{, write \\{{")
    refuses("{{ }}", {}, "the {{ }} at character 1 names no field; for a literal {{, write \\{{")
  })

  it("lists the columns", () => {
    const template = Template.parse("{{a}} {{b.c}}")
    assert.isTrue(Result.isSuccess(template))
    const missing = (columns: ReadonlyArray<string>) =>
      Result.map(template, (it) => Template.missingColumn(it, columns))
    assert.deepStrictEqual(
      missing(["a", "b"]),
      Result.succeed("the template uses {{b.c}}, but this column does not exist; the columns are a, b")
    )
    assert.deepStrictEqual(missing(["a", "b.c"]), Result.succeed(undefined))
  })

  it.prop("renders any text with escaped braces unchanged", [Schema.String], ([text]) => {
    renders(text.replaceAll("{{", "\\{{"), {}, text)
  })

  it.prop(
    "renders any field between any two texts",
    [Schema.String, Schema.String, Schema.String],
    ([before, value, after]) => {
      // Braces and backslashes next to the field would become part of it.
      const trimmed = (text: string) => text.replace(/[{\\]+$/, "")
      const escaped = (text: string) => trimmed(text).replaceAll("{{", "\\{{")
      renders(`${escaped(before)}{{value}}${escaped(after)}`, { value }, trimmed(before) + value + trimmed(after))
    }
  )
})
