import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { baton, folder } from "./baton.ts"

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
