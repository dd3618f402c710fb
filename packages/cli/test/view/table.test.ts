import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Style from "../../src/view/style.ts"
import { type Column, lines } from "../../src/view/table.ts"

interface Row {
  readonly id: string
  readonly n: number
  readonly text: string
}

const columns: ReadonlyArray<Column<Row>> = [
  { header: "ID", flexible: true, text: (row) => row.id },
  { header: "N", align: "right", text: (row) => String(row.n), paint: () => Style.colored.green },
  { header: "TEXT", text: (row) => row.text }
]

const rows: ReadonlyArray<Row> = [
  { id: "a", n: 5, text: "short" },
  { id: "a-much-longer-id", n: 1000, text: "a text that continues for quite some time" }
]

const render = (rows: ReadonlyArray<Row>, width: number, pageSize = 10) =>
  Stream.fromIterable(rows).pipe(
    Stream.rechunk(pageSize),
    lines(() => columns.map((column) => ({ ...column, paint: undefined })), { style: Style.none, columns: width }),
    Stream.runCollect
  )

describe("table", () => {
  it.effect("aligns its columns", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* render(rows, Infinity), [
        "ID                   N  TEXT",
        "a                    5  short",
        "a-much-longer-id  1000  a text that continues for quite some time"
      ])
    })
  )

  it.effect("cuts the last column to fit the width", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* render(rows, 50), [
        "ID                   N  TEXT",
        "a                    5  short",
        "a-much-longer-id  1000  a text that continues for…"
      ])
    })
  )

  it.effect("cuts flexible columns if the last one has no space left", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* render(rows, 34), [
        "ID             N  TEXT",
        "a              5  short",
        "a-much-lo…  1000  a text that con…"
      ])
    })
  )

  it.effect("widens columns for later rows and prints the headers once", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* render(rows, Infinity, 1), [
        "ID  N  TEXT",
        "a   5  short",
        "a-much-longer-id  1000  a text that continues for quite some time"
      ])
    })
  )

  it.effect("prints nothing without rows", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* render([], 80), [])
    })
  )

  it.effect("pads cells before it adds colour", () =>
    Effect.gen(function* () {
      const painted = Stream.fromIterable(rows.slice(0, 1)).pipe(
        lines(() => columns, { style: Style.colored, columns: Infinity }),
        Stream.runCollect
      )
      assert.deepStrictEqual(yield* painted, [
        "\u001B[2mID\u001B[22m  \u001B[2mN\u001B[22m  \u001B[2mTEXT\u001B[22m",
        "a   \u001B[32m5\u001B[39m  short"
      ])
    })
  )
})
