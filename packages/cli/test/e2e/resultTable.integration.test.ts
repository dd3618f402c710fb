import { assert, describe, it } from "@effect/vitest"
import { DuckDBInstance } from "@duckdb/node-api"
import { Effect, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"
import { strFromU8, unzipSync } from "fflate"
import { chmodSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { reply } from "../../../adapters/test/claude/server/Answer.ts"
import { lastText } from "../../../adapters/test/claude/server/message.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { baton, folder } from "./baton.ts"

const rowCount = 60
const columns = ["sku", "title", "brand", "price", "stock", "note"]
const sourceRows = Array.from({ length: rowCount }, (_, i) => [`s${i}`, `Item ${i}`, 'A "B"', `${i}.5`, `${i}`, ""])
const csv = [columns, ...sourceRows]
  .map((row) => row.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(","))
  .join("\n")

/** Extracts three fields, and fails for every title that ends in 7. */
const extract = `#!/bin/sh
read -r title
case $title in *7) echo "no $title" >&2; exit 65;; esac
printf '{"name": "%s", "length": %d, "score": 0.5, "inStock": true}' "$title" "\${#title}"
`

const itemSchema = {
  type: "object",
  properties: { name: { type: "string" }, position: { type: "integer" }, isEven: { type: "boolean" } },
  required: ["name", "position", "isEven"],
  additionalProperties: false
}

const query = (sql: string) =>
  Effect.promise(() =>
    DuckDBInstance.create(":memory:")
      .then((instance) => instance.connect())
      .then((connection) => connection.runAndReadAll(sql))
      .then((reader) => reader.getRowObjectsJson())
  )

const readTable = (text: string, delimiter: string) =>
  Stream.succeed(text).pipe(
    Stream.pipeThroughChannel(Csv.decodeString({ headers: true, delimiter })),
    Stream.runCollect
  )

const Line = Schema.Struct({
  metadata: Schema.Record(Schema.String, Schema.Json),
  fields: Schema.optionalKey(Schema.Json)
})
const decodeLine = Schema.decodeUnknownSync(Schema.fromJsonString(Line))

describe("baton export", () => {
  it.live("joins the columns of a spreadsheet with typed fields of the results, in the order of its rows", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("items.csv", csv)
      dir.write("extract.sh", extract)
      chmodSync(join(dir.path, "extract.sh"), 0o755)
      const run = yield* baton(dir.path, [
        ...[
          "run",
          "items.csv",
          "--template",
          "{{title}}",
          "--exec",
          "./extract.sh",
          "--no-verify",
          "--max-attempts",
          "1"
        ]
      ])
      assert.strictEqual(run.code, 2, run.stderr)

      for (const file of ["out.csv", "out.tsv", "out.parquet", "out.xlsx", "out.jsonl", "out.md"]) {
        const { code, stderr } = yield* baton(dir.path, ["export", "-o", file])
        assert.strictEqual(code, 0, stderr)
      }
      const rows = yield* readTable(dir.read("out.csv"), ",")
      assert.deepStrictEqual(yield* readTable(dir.read("out.tsv"), "\t"), rows)
      assert.deepStrictEqual(
        rows.map((row) => columns.map((column) => row[column])),
        sourceRows
      )
      assert.deepInclude(rows[3], { "result.name": "Item 3", "result.length": "6", "result.inStock": "true" })
      assert.deepInclude(rows[7], { status: "failed", "result.name": "", attempts: "1" })
      assert.include(rows[7]?.["feedback"], "no Item 7")

      const jsonLines = dir.lines("out.jsonl").map((line) => decodeLine(line))
      assert.deepStrictEqual(
        jsonLines.map(({ metadata }) => columns.map((column) => metadata[column])),
        sourceRows
      )
      assert.deepStrictEqual(jsonLines[3]?.fields, { name: "Item 3", length: 6, score: 0.5, inStock: true })
      assert.isUndefined(jsonLines[7]?.fields)
      assert.include(
        dir.read("out.md"),
        '\n\n- sku: `s3`\n- title: `Item 3`\n- brand: `A "B"`\n- price: `3.5`\n- stock: `3`\n'
      )

      const sheet = strFromU8(
        unzipSync(readFileSync(join(dir.path, "out.xlsx")))["xl/worksheets/sheet1.xml"] ?? new Uint8Array()
      )
      assert.strictEqual(sheet.match(/<row /g)?.length, rowCount + 1)

      const parquet = `'${join(dir.path, "out.parquet")}'`
      const types = yield* query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${parquet})`)
      const typeOf = new Map(types.map((row) => [row["column_name"], row["column_type"]]))
      assert.deepStrictEqual(
        ["title", "attempts", "createdAt", "result.name", "result.length", "result.score", "result.inStock"].map(
          (name) => typeOf.get(name)
        ),
        ["VARCHAR", "BIGINT", "TIMESTAMP", "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN"]
      )
      const stored = yield* query(`SELECT title, "result.length" AS length, feedback FROM ${parquet}`)
      assert.deepStrictEqual(
        stored.map(({ title }) => title),
        sourceRows.map(([, title]) => title ?? "")
      )
      assert.deepStrictEqual(stored[3]?.["length"], "6")
      assert.include(String(stored[7]?.["feedback"]), "no Item 7")
      assert.isNull(stored[7]?.["length"])
    })
  )

  it.live("joins the columns with the typed fields of a structured extraction (--output-schema)", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("items.csv", csv)
      dir.write("item.schema.json", JSON.stringify(itemSchema))
      const server = yield* Server.make({
        script: ({ body }) => {
          const [, digits = ""] = /Item (\d+)/.exec(lastText(body)) ?? []
          return reply(
            JSON.stringify({ name: `Item ${digits}`, position: Number(digits), isEven: Number(digits) % 2 === 0 })
          )
        }
      })
      const run = yield* baton(
        dir.path,
        [
          ...["run", "items.csv", "--template", "Extract from: {{title}}", "--executor", "claude"],
          ...["--output-schema", "item.schema.json", "--no-verify", "-j", "16"]
        ],
        { ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_BASE_URL: server.url }
      )
      assert.strictEqual(run.code, 0, run.stderr)
      for (const file of ["out.csv", "out.parquet"]) {
        const { code, stderr } = yield* baton(dir.path, ["export", "-o", file])
        assert.strictEqual(code, 0, stderr)
      }
      const rows = yield* readTable(dir.read("out.csv"), ",")
      assert.deepStrictEqual(
        rows.map((row) => [...columns, "result.name", "result.position"].map((column) => row[column])),
        sourceRows.map((row, index) => row.concat(`Item ${index}`, `${index}`))
      )
      const parquet = `'${join(dir.path, "out.parquet")}'`
      const types = yield* query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${parquet})`)
      const typeOf = new Map(types.map((row) => [row["column_name"], row["column_type"]]))
      assert.deepStrictEqual(
        [...columns, "result.name", "result.position", "result.isEven"].map((name) => typeOf.get(name)),
        [...columns.map(() => "VARCHAR"), "VARCHAR", "BIGINT", "BOOLEAN"]
      )
      const stored = yield* query(`SELECT sku, "result.position" AS position, "result.isEven" AS even FROM ${parquet}`)
      assert.deepStrictEqual(
        stored.map(({ even, position, sku }) => [sku, position, even]),
        sourceRows.map(([sku], index) => [sku ?? "", `${index}`, index % 2 === 0])
      )
    })
  )
})
