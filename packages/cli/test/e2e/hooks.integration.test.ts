import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { baton, type Folder, live } from "./baton.ts"

const run = ["run", "tasks.txt", "--no-verify"]

describe("the program of an executor or a verifier", () => {
  live("is looked for before a task is imported", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const missing = { "--exec": "./nothere --all", "--verify": "nothere", "--executor": "claude-code" }
      const failed = yield* Effect.forEach(Object.entries(missing), ([flag, value]) => {
        const others = flag === "--verify" ? ["--exec", "cat"] : ["--no-verify"]
        return baton(dir.path, ["run", "tasks.txt", flag, value, ...others], { PATH: "/usr/bin:/bin" })
      })
      assert.deepStrictEqual(
        failed.map(({ code, stderr }) => [code, stderr.trim()]),
        [
          "--exec cannot be run. The program ./nothere was not found, or it is not executable. Fix the path, or make the file executable: chmod +x ./nothere",
          "--verify cannot be run. The program nothere was not found on the PATH, or it is not executable. Install it, or use its full path.",
          "--executor claude-code cannot be run. The program claude was not found on the PATH, or it is not executable. Install Claude Code: npm install -g @anthropic-ai/claude-code"
        ].map((message) => [1, `error: ${message}`])
      )
      assert.deepStrictEqual(dir.entries(), ["tasks.txt"])
    })
  )
})

describe("the program of a hook", () => {
  live("is looked for before a task starts", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const { code, stderr } = yield* baton(dir.path, [...run, "--shell", ": > ran", "--on-fail", "./nothere --all"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "--on-fail cannot be run. The program ./nothere was not found, or it is not executable.")
      assert.deepStrictEqual(dir.entries(), ["tasks.txt"])
    })
  )

  live("is checked by baton doctor", (dir) =>
    Effect.gen(function* () {
      const { code, stdout } = yield* baton(dir.path, [
        "doctor",
        "--exec",
        "cat",
        "--on-end",
        "./nothere",
        "--on-start",
        "true"
      ])
      assert.strictEqual(code, 1)
      assert.match(stdout, /--on-end .*The program \.\/nothere was not found/)
      assert.match(stdout, /--on-start .*true is /)
    })
  )

  live("runs when the run starts, and for each attempt that is retried", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      dir.write("note.sh", 'echo "$BATON_EVENT $BATON_ATTEMPT $BATON_FEEDBACK" >> notes; cat > /dev/null\n')
      const hooks = ["--on-start", "sh note.sh", "--on-retry", "sh note.sh"]
      const twice = ["--shell", '[ "$BATON_ATTEMPT" = 2 ] || { echo busy >&2; exit 1; }', "--retry-delay", "10ms"]
      const { code, stderr } = yield* baton(dir.path, [...run, ...twice, ...hooks])
      assert.strictEqual(code, 0, stderr)
      assert.sameMembers(dir.lines("notes"), ["RunStarted  ", "TaskRetried 1 The command exited with code 1: busy"])
    })
  )
})

describe("--log-level", () => {
  const logged = (dir: Folder, level: string) =>
    Effect.gen(function* () {
      const memory = ["--store", "memory:", "--log-level", level, "--exec", "cat"]
      const { code, stderr } = yield* baton(dir.path, [...run, ...memory])
      assert.strictEqual(code, 0, stderr)
      return stderr
    })

  live("debug shows the events of each task, and trace the calls of the store in addition", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const [info, debug, trace] = yield* Effect.all([logged(dir, "info"), logged(dir, "debug"), logged(dir, "trace")])
      assert.notInclude(info, "DEBUG")
      assert.match(debug, /DEBUG TaskStarted .*attempt=1/)
      assert.match(debug, /DEBUG TaskCompleted .*durationMillis=/)
      assert.notInclude(debug, "TRACE")
      assert.match(trace, /TRACE Called the store .*operation=settle .*size=1/)
    })
  )
})

describe("--pause-between-tasks", () => {
  live("is a setting of a run", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\nb\n")
      const args = [...run, "--exec", "cat", "-j", "1", "--pause-between-tasks", "20ms"]
      assert.strictEqual((yield* baton(dir.path, args)).code, 0)
      const wrong = yield* baton(dir.path, [...run, "--exec", "cat"], { BATON_PAUSE_BETWEEN_TASKS: "soon" })
      assert.include(wrong.stderr, 'BATON_PAUSE_BETWEEN_TASKS is "soon": it takes a duration')
    })
  )
})
