import { JsonTaskStore } from "@baton/adapters/json"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Execution, Task, TaskRecord, TaskStore, Usage, Verification } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Schema } from "effect"
import { join } from "node:path"
import * as Postgres from "../../../adapters/test/postgres/postgres.ts"
import * as Redis from "../../../adapters/test/redis/redis.ts"
import { baton, folder } from "./baton.ts"

type Store = TaskStore.TaskStore["Service"]

const plain = Schema.encodeSync(Schema.Array(TaskRecord.TaskRecord))

const isOn = <E>(layer: Layer.Layer<TaskStore.TaskStore, E>) =>
  Effect.map(Layer.build(Layer.fresh(layer)), Context.get(TaskStore.TaskStore))

/** All data of a store, without leases, which are not copied. */
const contents = (open: Effect.Effect<Store, unknown, never> | ReturnType<typeof isOn>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const store = yield* open
      const { next, records } = yield* store.dump({ limit: 10_000 })
      assert.isUndefined(next)
      const { paused } = yield* store.control
      const history = plain(records).map(({ leaseUntil, ...record }) => [record, leaseUntil === undefined])
      return { records: history, counts: { ...(yield* store.counts) }, paused }
    })
  )

const usage: Usage.Usage = {
  ...Usage.zero,
  inputTokens: 1_200,
  outputTokens: 34,
  costUsd: null,
  bounds: { minUsd: 0.0123, maxUsd: 0.2, maxTokens: 9_000 }
}

const odd = 'NUL \0, a lone half \ud83d, 𝕏, \u2028, "quotes" and \\ at the\nend\r\n'

/** Tasks of every kind, with every field that a store keeps. */
const fill = Effect.fnUntraced(function* (store: Store) {
  const ids = (...names: ReadonlyArray<string>) => names.map((name) => Task.TaskId.make(name))
  const metadata = { kind: "x", deep: [1, { "": null, __proto__: "no" }], "with space": odd.slice(0, 5) }
  yield* store.add([
    Task.makeNew({ id: "verified", description: odd, metadata, priority: 9 }),
    Task.makeNew({ id: "unverified", description: "u", priority: 8 }),
    Task.makeNew({ id: "dead", description: "d", priority: 7 }),
    Task.makeNew({ id: "retried", description: "r", priority: 6 }),
    Task.makeNew({ id: "released", description: "l", priority: 5 }),
    Task.makeNew({ id: "running", description: "n", priority: 4, metadata: { attempts: "not ours" } }),
    Task.makeNew({ id: "waiting", description: "w", dependsOn: ids("verified", "running") }),
    Task.makeNew({ id: "cancelled", description: "c", priority: -3 }),
    Task.makeNew({ id: `id ${odd.slice(0, 18)}`, description: "i", priority: -9 })
  ])
  const [verified, unverified, dead, retried, released, running] = yield* store.claim({
    limit: 6,
    owner: "the first worker",
    lease: Duration.millis(1)
  })
  assert.ok(verified && unverified && dead && retried && released && running)
  const lease = ({ task, token }: TaskStore.Claim) => ({ taskId: task.id, token })
  const execution = Execution.make({ output: odd, confidence: 0.5, usage, metadata: { model: "m", nested: { a: [] } } })
  const verdict = Verification.reject("Too short.", { confidence: 0.25, issues: ["short", ""] })
  yield* store.settle([
    {
      ...lease(verified),
      _tag: "Complete",
      execution,
      verification: Verification.pass(),
      verified: true,
      attemptUsage: usage,
      usage
    },
    { ...lease(unverified), _tag: "Complete", execution: Execution.make({ output: "" }), verified: false },
    {
      ...lease(dead),
      _tag: "Fail",
      feedback: odd,
      execution,
      verification: verdict,
      checkpoint: undefined
    },
    {
      ...lease(retried),
      _tag: "Retry",
      feedback: "again",
      execution,
      verification: verdict,
      checkpoint: execution,
      delay: Duration.days(400)
    },
    { ...lease(released), _tag: "Release", reason: "shutting down", attemptUsage: usage, usage }
  ])
  yield* store.checkpoint([{ ...lease(running), execution, usage }])
  yield* store.cancel({ ids: ids("cancelled") })
  yield* store.request("pause")
  // Its lease has expired: `migrate-store` refuses running tasks.
  yield* store.awaitWork({ untilDrained: false })
})

describe.skipIf(Postgres.isMissing || Redis.isMissing)("baton migrate-store", () => {
  it.live("copies a list through every kind of store without changing it", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const prefix = yield* Redis.prefix()
      const schema = yield* Postgres.schema()
      const at = (url: string, name: string, value: string) => {
        const place = new URL(url)
        place.searchParams.set(name, value)
        return place.href
      }
      const path = (name: string) => join(dir.path, name)
      const places = [
        { url: "sqlite:first.db", open: isOn(SqliteTaskStore.layer({ filename: path("first.db") })) },
        { url: at(Redis.url, "prefix", prefix), open: Redis.open({ prefix }) },
        { url: at(Postgres.url, "schema", schema), open: Postgres.open({ schema }) },
        { url: "json:tasks.json", open: isOn(JsonTaskStore.layer({ filename: path("tasks.json") })) },
        { url: "sqlite:last.db", open: isOn(SqliteTaskStore.layer({ filename: path("last.db") })) }
      ]
      const [first] = places
      assert.ok(first)
      yield* Effect.scoped(Effect.flatMap(first.open, fill))
      const before = yield* contents(first.open)
      assert.deepStrictEqual(before.counts, {
        pending: 4,
        in_progress: 1,
        in_review: 0,
        completed: 2,
        failed: 1,
        cancelled: 1,
        waiting: 1
      })
      assert.isTrue(before.paused)
      for (const [index, { open, url }] of places.entries()) {
        if (index === 0) continue
        const from = places[index - 1]
        const { code, stderr, stdout } = yield* baton(dir.path, ["migrate-store", from?.url ?? "", url])
        assert.strictEqual(code, 0, `${url}: ${stderr}`)
        assert.match(stdout, /^9 tasks copied with their history: /)
        assert.deepStrictEqual(yield* contents(open), before, url.replace(/:.*/, ""))
      }
    })
  )
})
