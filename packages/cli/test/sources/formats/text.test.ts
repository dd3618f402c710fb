import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, describeSources, descriptions, read, readOne } from "../sourceFiles.ts"

describeSources("text", (it) => {
  it.effect("reads one task per line, trims it and skips blank lines", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* descriptions("a.txt", "\uFEFFone\r\n\r\n  two \n\t\nthree"), [
        [1, "one"],
        [3, "two"],
        [5, "three"]
      ])
    })
  )

  it.effect("renders a template with each line as the description", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.txt", "cats\n", { template: "Write about {{description}}." }), {
        description: "Write about cats.",
        metadata: { description: "cats" }
      })
    })
  )

  it.effect("finds no tasks in an empty file", () =>
    Effect.gen(function* () {
      for (const content of ["", "\n", " \r\n\n"]) assert.deepStrictEqual(yield* read("a.txt", content), [])
    })
  )

  it.effect("reports the line that is not UTF-8", () =>
    Effect.gen(function* () {
      const latin1 = Uint8Array.from([...Buffer.from("one\ntwo\ncaf"), 0xe9, ...Buffer.from("\nfour\n")])
      assert.deepStrictEqual(yield* complaints("a.txt", latin1), [
        "a.txt:3: is not UTF-8 text; save the file as UTF-8 (binary files are not supported)"
      ])
    })
  )

  it.effect("reports a character that is cut off by the end of the file", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.txt", Buffer.from("one\ntwo €").subarray(0, -1)), [
        "a.txt:2: is not UTF-8 text; save the file as UTF-8 (binary files are not supported)"
      ])
    })
  )

  it.effect("reports UTF-16 by name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.txt", Buffer.from("\uFEFFone\ntwo\n", "utf16le")), [
        "a.txt:1: is encoded as UTF-16; save the file as UTF-8"
      ])
    })
  )

  it.effect("numbers the lines of a file with many chunks", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 50_000 }, (_, i) => `line ${i + 1} ✓`)
      assert.deepStrictEqual(
        yield* descriptions("a.txt", lines.join("\n")),
        lines.map((line, i) => [i + 1, line])
      )
    })
  )
})
