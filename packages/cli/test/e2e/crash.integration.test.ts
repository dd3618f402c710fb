import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { alive, baton, folder, list, start } from "./baton.ts"

const History = Schema.fromJsonString(
  Schema.Struct({ history: Schema.Array(Schema.Struct({ number: Schema.Int, outcome: Schema.String })) })
)

/** A random number generator with a seed, so that a failing run can be repeated. */
const seeded = (seed: number) => () => {
  seed = (seed * 1103515245 + 12345) % 2 ** 31
  return seed / 2 ** 31
}

const outcomes = (cwd: string, id: string) =>
  Effect.flatMap(baton(cwd, ["show", id, "--json"]), ({ stdout }) =>
    Effect.map(Schema.decodeUnknownEffect(History)(stdout), ({ history }) => history.map(({ outcome }) => outcome))
  )

describe("a killed run", () => {
  it.live("loses no task and settles none twice after three kills at random times", () =>
    Effect.gen(function* () {
      const seed = (yield* Effect.sync(() => process.pid)) % 100_000
      const random = seeded(seed)
      const count = 50
      const dir = yield* folder
      const tasks = Array.from({ length: count }, (_, index) => ({ id: `t${index}`, description: "x".repeat(index) }))
      dir.write(
        "tasks.jsonl",
        tasks.map((task) => JSON.stringify(task.description === "" ? { ...task, description: "-" } : task)).join("\n")
      )
      const args = [
        "run",
        "tasks.jsonl",
        "--shell",
        "echo $BATON_TASK_ID >> executions; wc -c",
        "--verify",
        "grep -q [0-9]"
      ]
      // A task can be in progress at each of the three kills, and lose its lease on a busy machine.
      const options = ["-j", "4", "--max-attempts", "20", "--lease", "2s", "--output", "ndjson"]
      for (let killed = 0; killed < 3; killed++) {
        const run = yield* start(dir.path, [...args, ...options])
        const after = 2 + Math.floor(random() * 8)
        for (let completed = 0; completed < after; completed++) yield* run.event("TaskCompleted")
        yield* run.kill("SIGKILL")
        assert.strictEqual((yield* run.ended).signal, "SIGKILL")
      }
      const last = yield* baton(dir.path, [...args, ...options])
      assert.strictEqual(last.code, 0, `seed ${seed}: ${last.stderr}`)

      const stored = yield* list(dir.path)
      assert.strictEqual(stored.length, count)
      const executions = dir.lines("executions")
      for (const task of stored) {
        assert.strictEqual(task.status, "completed", `seed ${seed}: ${task.id}`)
        assert.strictEqual(task.result?.trim(), String(task.description.length))
        // A task has a second attempt only if a kill interrupted the first one.
        const executed = executions.filter((id) => id === task.id).length
        assert.isAtLeast(executed, 1)
        assert.isAtMost(executed, task.attempts)
        if (task.attempts === 1) continue
        const ends = yield* outcomes(dir.path, task.id)
        assert.deepStrictEqual(
          ends,
          [...Array.from({ length: task.attempts - 1 }, () => "lease_expired"), "completed"],
          `seed ${seed}: ${task.id}`
        )
      }
    })
  )

  it.live("an output saved before the kill is verified by the next run without executing the task again", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "the only task\n")
      const exec = [
        "run",
        "tasks.txt",
        "--shell",
        "echo once >> executions; cat",
        "--lease",
        "2s",
        "--output",
        "ndjson"
      ]
      const run = yield* start(dir.path, [...exec, "--verify", "sleep 60"])
      yield* run.event("TaskExecuted")
      yield* run.kill("SIGKILL")
      yield* run.ended
      const last = yield* baton(dir.path, [...exec, "--verify", "grep -q only"])
      assert.strictEqual(last.code, 0, last.stderr)
      assert.deepStrictEqual(dir.lines("executions"), ["once"])
      assert.deepInclude((yield* list(dir.path))[0], { status: "completed", result: "the only task", verified: true })
    })
  )
})

describe("a stopped run", () => {
  it.live("exits within the drain timeout after SIGTERM: code 143, no task in progress, no process left", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", Array.from({ length: 20 }, (_, index) => `task ${index}`).join("\n"))
      const run = yield* start(dir.path, [
        ...["run", "tasks.txt", "--shell", "echo $$ >> pids; sleep 300", "--no-verify", "-j", "4"],
        ...["--drain-timeout", "200ms", "--output", "ndjson"]
      ])
      for (let started = 0; started < 4; started++) yield* run.event("TaskStarted")
      yield* run.kill("SIGTERM")
      const { code, stderr } = yield* run.ended
      assert.strictEqual(code, 143, stderr)
      for (const task of yield* list(dir.path)) assert.deepInclude(task, { status: "pending", attempts: 0 })
      // The kernel ends a killed process when it gets to it.
      for (const pid of dir.lines("pids")) {
        yield* Effect.sync(() => alive(Number(pid))).pipe(Effect.repeat({ while: (isAlive) => isAlive }))
      }
    })
  )

  it.live("records tasks that finish within the drain timeout", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "a\nb\nc\n")
      const run = yield* start(dir.path, [
        ...["run", "tasks.txt", "--shell", "until [ -e go ]; do sleep 0.02; done; cat", "--no-verify", "-j", "2"],
        ...["--output", "ndjson"]
      ])
      yield* run.event("TaskStarted")
      yield* run.event("TaskStarted")
      yield* run.kill("SIGINT")
      yield* run.event("Draining")
      dir.write("go", "")
      assert.strictEqual((yield* run.ended).code, 130)
      const statuses = (yield* list(dir.path)).map(({ status }) => status)
      assert.deepStrictEqual(statuses, ["completed", "completed", "pending"])
    })
  )
})
