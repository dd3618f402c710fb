import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, describeSources, descriptions, read, readOne } from "../sourceFiles.ts"

describeSources("text", (it) => {
  it.effect("reads a task a line, without the space around it, and skips blank lines", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* descriptions("a.txt", "\uFEFFone\r\n\r\n  two \n\t\nthree"), [
        [1, "one"],
        [3, "two"],
        [5, "three"]
      ])
    })
  )

  it.effect("puts each line into a template as its description", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.txt", "cats\n", { template: "Write about {{description}}." }), {
        description: "Write about cats.",
        metadata: { description: "cats" }
      })
    })
  )

  it.effect("finds nothing in an empty file", () =>
    Effect.gen(function* () {
      for (const content of ["", "\n", " \r\n\n"]) assert.deepStrictEqual(yield* read("a.txt", content), [])
    })
  )

  it.effect("tells of the line that is not UTF-8", () =>
    Effect.gen(function* () {
      const latin1 = Uint8Array.from([...Buffer.from("one\ntwo\ncaf"), 0xe9, ...Buffer.from("\nfour\n")])
      assert.deepStrictEqual(yield* complaints("a.txt", latin1), [
        "a.txt:3: is not UTF-8 text here; save the file as UTF-8 (a binary file has no tasks to read)"
      ])
    })
  )

  it.effect("tells of a character that the end of the file cuts off", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.txt", Buffer.from("one\ntwo €").subarray(0, -1)), [
        "a.txt:2: is not UTF-8 text here; save the file as UTF-8 (a binary file has no tasks to read)"
      ])
    })
  )

  it.effect("tells of UTF-16 by name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.txt", Buffer.from("\uFEFFone\ntwo\n", "utf16le")), [
        "a.txt:1: is UTF-16 text; save it as UTF-8"
      ])
    })
  )

  it.effect("numbers the lines of a file that is many chunks long", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 50_000 }, (_, i) => `line ${i + 1} ✓`)
      assert.deepStrictEqual(
        yield* descriptions("a.txt", lines.join("\n")),
        lines.map((line, i) => [i + 1, line])
      )
    })
  )
})
