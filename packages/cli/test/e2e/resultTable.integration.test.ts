import { assert, describe, it } from "@effect/vitest"
import { DuckDBInstance } from "@duckdb/node-api"
import { Effect, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"
import { strFromU8, unzipSync } from "fflate"
import { chmodSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { baton, folder } from "./baton.ts"

const rowCount = 400
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

const query = (sql: string) =>
  Effect.promise(() =>
    DuckDBInstance.create(":memory:")
      .then((instance) => instance.connect())
      .then((connection) => connection.runAndReadAll(sql))
      .then((reader) => reader.getRowObjectsJson())
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
      const read = (file: string, delimiter: string) =>
        Stream.succeed(dir.read(file)).pipe(
          Stream.pipeThroughChannel(Csv.decodeString({ headers: true, delimiter })),
          Stream.runCollect
        )
      const rows = yield* read("out.csv", ",")
      assert.deepStrictEqual(yield* read("out.tsv", "\t"), rows)
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
})
