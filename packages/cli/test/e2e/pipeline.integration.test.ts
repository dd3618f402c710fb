import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { baton, folder, list, start } from "./baton.ts"

const History = Schema.fromJsonString(
  Schema.Struct({ history: Schema.Array(Schema.Struct({ outcome: Schema.String })) })
)

const Budgets = Schema.fromJsonString(
  Schema.Array(
    Schema.Struct({
      spent: Schema.Struct({ costUsd: Schema.Finite }),
      reserved: Schema.Struct({ costUsd: Schema.Finite })
    })
  )
)

/** A larger proof: `BATON_PIPELINE=500,20` for 500 tasks and 20 kills. */
const [tasks = 0, kills = 0] = (process.env["BATON_PIPELINE"] ?? "30,3").split(",").map(Number)

/** Each call costs this much, and reserves twice as much. */
const cost = 0.001

const pipeline = (maxCost: number) => `name: report
maxCost: ${maxCost}
noVerify: true
stages:
  summarise:
    from: pages.csv
    template: "{{id}}"
    # Noted before the call is paid.
    shell: 'read id; echo "$id" >> calls; sleep 0.02; printf ''{"cost": ${cost}, "text": "<%s>"}'' "$id"'
    costFrom: $.cost
    resultFrom: $.text
    maxCostPerAttempt: ${2 * cost}
  report:
    reduce: summarise
    exec: cat
`

describe("a pipeline", () => {
  it.live("accepts one result per task and keeps its budget, however often its run is killed", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("pages.csv", `id\n${Array.from({ length: tasks }, (_, id) => `p${id}`).join("\n")}\n`)
      // Enough for three quarters of the tasks, and the reservations of the runs that are killed.
      const limit = cost * (tasks * 0.75 + kills * 4)
      dir.write("report.yaml", pipeline(limit))
      // A task can be under way at every kill, and lose its lease on a busy machine.
      const attempts = ["--max-attempts", String(kills + 20)]
      const args = ["run", "report.yaml", "-j", "4", "--lease", "2s", "--output", "ndjson", ...attempts]
      const each = Math.max(1, Math.floor((tasks * 0.6) / kills))
      const random = (n: number) => (n * 7919) % each
      for (let kill = 0; kill < kills; kill++) {
        const run = yield* start(dir.path, args)
        // The run may use up the budget before it is killed.
        for (let completed = 0; completed <= random(kill); completed++) {
          yield* Effect.exit(run.event("TaskCompleted"))
        }
        yield* run.kill("SIGKILL")
        const { code, signal } = yield* run.ended
        assert.isTrue(signal === "SIGKILL" || (kill > 0 && code === 3))
      }
      const spent = Effect.gen(function* () {
        const { stdout } = yield* baton(dir.path, ["budget", "show", "--json"])
        const budgets = yield* Schema.decodeUnknownEffect(Budgets)(stdout)
        return budgets.reduce((sum, { reserved, spent }) => sum + spent.costUsd + reserved.costUsd, 0)
      })
      const stopped = yield* baton(dir.path, args)
      assert.strictEqual(stopped.code, 3, stopped.stderr)
      assert.isAtMost(dir.lines("calls").length * cost, limit)
      assert.isAtMost(yield* spent, limit + 1e-9)

      dir.write("report.yaml", pipeline(limit + cost * tasks))
      const last = yield* baton(dir.path, args)
      assert.strictEqual(last.code, 0, last.stderr)
      assert.isAtMost(yield* spent, limit + cost * tasks + 1e-9)
      const stored = yield* list(dir.path)
      assert.strictEqual(stored.length, tasks + 1)
      for (const { id, status } of stored) assert.strictEqual(status, "completed", id)
      const report = stored.find(({ id }) => id === "report/report/all")
      assert.sameMembers(
        (report?.result ?? "").split("\n\n"),
        Array.from({ length: tasks }, (_, id) => `<p${id}>`)
      )
      const retried = stored.filter(({ attempts }) => attempts > 1)
      for (const { id } of retried) {
        const { stdout } = yield* baton(dir.path, ["show", id, "--json"])
        const { history } = yield* Schema.decodeUnknownEffect(History)(stdout)
        assert.strictEqual(history.filter(({ outcome }) => outcome === "completed").length, 1, id)
      }
      // Only calls under way when a run was killed were repeated.
      assert.isAtMost(dir.lines("calls").length, tasks + kills * 4)
      if (process.env["BATON_PIPELINE"] !== undefined) {
        console.log({
          tasks,
          kills,
          calls: dir.lines("calls").length,
          spent: yield* spent,
          limit: limit + cost * tasks
        })
      }
    })
  )
})
