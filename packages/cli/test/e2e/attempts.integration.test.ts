import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync } from "node:fs"
import { join } from "node:path"
import { baton, type Folder, list, live } from "./baton.ts"

describe("baton show", () => {
  live("shows the output and the verdict of each attempt, and the difference to the one before", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.jsonl", '{"id":"a","description":"count"}\n')
      const script = `echo "one"; [ "$BATON_ATTEMPT" -ge 2 ] && echo "two"; [ "$BATON_ATTEMPT" -ge 3 ] && echo "three"; true`
      const check = `sh -c "grep -q three || { echo three is missing; exit 1; }"`
      const run = yield* baton(dir.path, [
        ...["run", "tasks.jsonl", "--shell", script, "--verify", check, "--retry-delay", "10ms"]
      ])
      assert.strictEqual(run.code, 0, run.stderr)
      const { stdout } = yield* baton(dir.path, ["show", "a"])
      const attempts = stdout.slice(stdout.indexOf("Attempts\n  #1"), stdout.indexOf("\nResult"))
      const lines = attempts.split("\n").map((line) => line.trim())
      const between = (from: string, to: string) =>
        lines.slice(lines.findIndex((line) => line.startsWith(from)) + 1).filter((_, index, rest) => {
          const end = rest.findIndex((line) => line.startsWith(to))
          return end === -1 || index < end
        })
      const first = between("#1 retried", "#2")
      assert.include(first, "Output: one")
      assert.include(first, "Verdict: rejected")
      assert.includeMembers(between("#2 retried", "#3"), [
        "Output:",
        "one",
        "two",
        "Difference to the attempt before:",
        "+two"
      ])
      assert.includeMembers(between("#3 completed", "#4"), ["Difference to the attempt before:", "+three"])
    })
  )
})

describe("an output that was not verified", () => {
  const first = (dir: Folder) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      // A program that exists, and cannot be started.
      dir.write("check", "#!/nothere\n")
      chmodSync(join(dir.path, "check"), 0o755)
      const old = ["run", "tasks.txt", "--shell", "echo old >> executions; echo old", "--verify", "./check"]
      assert.strictEqual((yield* baton(dir.path, old)).code, 1)
      assert.deepStrictEqual(dir.lines("executions"), ["old"])
    })
  const again = (dir: Folder, name: string, ...flags: ReadonlyArray<string>) =>
    baton(dir.path, ["run", "--shell", `echo ${name} >> executions; echo ${name}`, "--verify", "true", ...flags])

  live("is made again by another command, and the run says so", (dir) =>
    Effect.gen(function* () {
      yield* first(dir)
      const { code, stderr } = yield* again(dir, "new")
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /WARN .*stored output.*another executor.*executed again.*keepOutputs/)
      assert.strictEqual((yield* list(dir.path))[0]?.result, "new")
      assert.deepStrictEqual(dir.lines("executions"), ["old", "new"])
    })
  )

  live("is verified unchanged with --keep-outputs, and the run says so", (dir) =>
    Effect.gen(function* () {
      yield* first(dir)
      const { code, stderr } = yield* again(dir, "new", "--keep-outputs")
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /WARN .*stored output.*another executor.*verified/)
      assert.strictEqual((yield* list(dir.path))[0]?.result, "old")
    })
  )

  live("is verified by the same command without a second execution", (dir) =>
    Effect.gen(function* () {
      yield* first(dir)
      const { code, stderr } = yield* again(dir, "old")
      assert.strictEqual(code, 0, stderr)
      assert.notInclude(stderr, "WARN")
      assert.deepStrictEqual(dir.lines("executions"), ["old"])
    })
  )
})
