import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { baton, built, folder, list } from "./baton.ts"

/** A list of twelve lines, each with a different text. */
const twelve = (word: string) => Array.from({ length: 12 }, (_, index) => `${word} ${index}\n`).join("")

const commands = Effect.map(folder, (dir) => ({
  ...dir,
  run: (...args: ReadonlyArray<string>) => baton(dir.path, args),
  results: (queue: string) =>
    Effect.map(baton(dir.path, ["export", "--queue", queue]), ({ stdout }) =>
      stdout
        .split("\n")
        .filter((line) => line !== "")
        .map((line): unknown => JSON.parse(line).result)
    )
}))

describe("two lists in one directory", () => {
  it.live("run at the same time, each with its own program", () =>
    Effect.gen(function* () {
      const { path, results, write } = yield* commands
      write("a.txt", twelve("text"))
      write("b.txt", twelve("text"))
      const [first, second] = yield* Effect.all(
        [
          built(path, ["run", "a.txt", "--exec", "echo translated", "--no-verify"]),
          built(path, ["run", "b.txt", "--exec", "echo summarised", "--no-verify"])
        ],
        { concurrency: 2 }
      )
      assert.strictEqual(first.code, 0, first.stderr)
      assert.strictEqual(second.code, 0, second.stderr)
      assert.include(first.stderr, "12 of 12")
      assert.deepStrictEqual(new Set(yield* results("a")), new Set(["translated"]))
      assert.deepStrictEqual(new Set(yield* results("b")), new Set(["summarised"]))
      assert.lengthOf(yield* results("a"), 12)
    })
  )

  it.live("may have the same ids, and are named by --queue where that matters", () =>
    Effect.gen(function* () {
      const { path, run, write } = yield* commands
      write("a.jsonl", '{"id":"1","description":"one"}\n{"id":"2","description":"two","dependsOn":["1"]}\n')
      write("b.jsonl", '{"id":"1","description":"eins"}\n')
      yield* run("run", "a.jsonl", "--exec", "cat", "--no-verify")
      // The only queue: its tasks are called as in the file.
      assert.deepStrictEqual(
        (yield* list(path)).map(({ id, result }) => [id, result]),
        [
          ["1", "one"],
          ["2", "two"]
        ]
      )
      yield* run("import", "b.jsonl")
      assert.deepStrictEqual(
        (yield* list(path)).map(({ id }) => id),
        ["a/1", "a/2", "b/1"]
      )
      const shown = yield* run("show", "1", "--queue", "b", "--json")
      assert.include(shown.stdout, '"description":"eins"')
      const ambiguous = yield* run("show", "1")
      assert.strictEqual(ambiguous.code, 1)
      assert.include(ambiguous.stderr, "Several queues have a task 1: a/1, b/1. Name its queue, as in a/1.")
      const only = yield* run("show", "2", "--json")
      assert.include(only.stdout, '"id":"a/2"')
      const status = yield* run("status")
      assert.match(status.stdout, /Queues\n {2}a {2}2 of 2 completed\n {2}b {2}0 of 1 completed\n/)
      const wrong = yield* run("list", "--queue", "c")
      assert.strictEqual(wrong.code, 1)
      assert.include(wrong.stderr, "There is no queue c in this store. The queues of this store are a, b.")
    })
  )

  it.live("may be named before an id, also where there is one list alone", () =>
    Effect.gen(function* () {
      const { run, write } = yield* commands
      write("a.jsonl", '{"id":"1","description":"one"}\n{"id":"b/2","description":"two"}\n')
      yield* run("run", "a.jsonl", "--exec", "cat", "--no-verify", "--review", "all")
      const approved = yield* run("review", "approve", "a/1", "a/b/2", "--json")
      assert.deepStrictEqual([approved.code, approved.stdout], [0, '{"decided":["1","b/2"],"refused":[]}\n'])
      assert.include((yield* run("show", "a/1", "--queue", "a")).stdout, "1  completed")
      const other = yield* run("show", "b/1")
      assert.include(other.stderr, "The task b/1 does not exist. Did you mean")
    })
  )

  it.live("leave a run without a source the one that is unfinished, or it asks which", () =>
    Effect.gen(function* () {
      const { run, write } = yield* commands
      write("a.txt", "one\n")
      write("b.txt", "two\n")
      yield* run("import", "a.txt", "b.txt")
      const asked = yield* run("run", "--exec", "cat", "--no-verify")
      assert.strictEqual(asked.code, 1)
      assert.include(
        asked.stderr,
        "Several queues have unfinished tasks:\n  a: 1 unfinished task\n  b: 1 unfinished task\nName the one to run, as in --queue a, or name its source."
      )
      const named = yield* run("run", "--queue", "a", "--exec", "cat", "--no-verify", "--json")
      assert.strictEqual(named.code, 0, named.stderr)
      assert.include(named.stdout, '"completed":1')
      const only = yield* run("run", "--exec", "cat", "--no-verify")
      assert.strictEqual(only.code, 0, only.stderr)
      assert.include(only.stderr, "1 of 1")
    })
  )

  it.live("can be put into one queue, where tasks of one depend on tasks of the other", () =>
    Effect.gen(function* () {
      const { run, write } = yield* commands
      write("a.jsonl", '{"id":"1","description":"one"}\n')
      write("b.jsonl", '{"id":"2","description":"two","dependsOn":["1"]}\n')
      const apart = yield* run("run", "a.jsonl", "b.jsonl", "--exec", "cat", "--no-verify")
      assert.strictEqual(apart.code, 1)
      assert.include(apart.stderr, 'b.jsonl:1: depends on "1", which does not exist')
      const together = yield* run("run", "a.jsonl", "b.jsonl", "--queue", "both", "--exec", "cat", "--no-verify")
      assert.strictEqual(together.code, 0, together.stderr)
    })
  )
})
