import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { baton, folder, list } from "./baton.ts"

/** A test of the built program, in its own folder. */
const live = (name: string, test: (dir: Effect.Success<typeof folder>) => Effect.Effect<void>) =>
  it.live(name, () => Effect.flatMap(folder, test), 60_000)

const once = ["--no-verify", "--max-attempts", "1"]

describe("a failed command", () => {
  live("fails its task from any place in a pipe of --shell", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--shell", "sh -c 'exit 7' | tee -a log", ...once])
      assert.strictEqual(run.code, 2, run.stderr)
      assert.include(run.stderr, "exited with code 7")
    })
  )

  live("is hidden by a pipe if the script of --shell says so", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const script = "set +o pipefail; sh -c 'exit 7' | cat"
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--shell", script, ...once])
      assert.strictEqual(run.code, 0, run.stderr)
    })
  )
})

describe("a run with --quiet", () => {
  live("prints one line on standard error when a limit stops it", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\nb\nc\n")
      const limit = ["--max-iterations", "1", "-j", "1"]
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat", ...once, "--quiet", ...limit])
      assert.strictEqual(run.code, 3)
      assert.strictEqual(run.stdout, "")
      assert.match(run.stderr, /^✗ Stopped: [^\n]+\n$/)
    })
  )

  live("prints nothing when every task completes", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat", ...once, "--quiet"])
      assert.deepInclude(run, { code: 0, stdout: "", stderr: "" })
    })
  )
})

describe("the exit code of a program", () => {
  const run = (dir: Effect.Success<typeof folder>, ...args: ReadonlyArray<string>) =>
    baton(dir.path, ["run", "tasks.txt", ...args, "--retry-delay", "10ms"])

  live("ends the attempts of a task if --permanent-exit-codes contains it", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "65\n1\n")
      const fails = ["--shell", "exit $(cat)", "--no-verify", "--permanent-exit-codes", "65,78"]
      assert.strictEqual((yield* run(dir, ...fails)).code, 2)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ attempts, description }) => [description, attempts]),
        [
          ["65", 1],
          ["1", 3]
        ]
      )
    })
  )

  live("75 repeats the call within the attempt, for an executor and a verifier", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const secondTime = (file: string) => `if [ -e ${file} ]; then exit 0; fi; : > ${file}; exit 75`
      dir.write("check.sh", secondTime("checked"))
      const script = `echo run >> executions; ${secondTime("tried")}`
      const { code, stderr } = yield* run(dir, "--shell", script, "--verify", "sh check.sh")
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual((yield* list(dir.path))[0]?.attempts, 1)
      assert.strictEqual(dir.lines("executions").length, 2)
    })
  )

  live("is refused by --permanent-exit-codes if no program can end with it, or 0", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      for (const codes of ["0", "256", "65,", "x"]) {
        const { code, stderr } = yield* run(dir, "--exec", "cat", "--no-verify", "--permanent-exit-codes", codes)
        assert.strictEqual(code, 1)
        assert.include(stderr, `--permanent-exit-codes is "${codes}": it takes exit codes from 1 to 255`)
      }
      const other = yield* run(dir, "--executor", "fake", "--no-verify", "--permanent-exit-codes", "65")
      assert.include(other.stderr, "--permanent-exit-codes only works with --exec or --shell")
    })
  )
})
