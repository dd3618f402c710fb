import { RedisTaskStore } from "@baton/adapters/redis"
import { Attempt, Task, TaskRecord, Usage } from "@baton/core"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import { describe } from "vitest"
import { migrate } from "../../src/redis/internal/lua/migration.ts"
import { keys as keysOf, schemaVersion } from "../../src/redis/internal/lua/prelude.ts"
import { of } from "../diagnoses.ts"
import { add, claim, type Client, client, complete, id, isMissing, open, prefix, type Store, url } from "./redis.ts"

const Json = Schema.Record(Schema.String, Schema.Json)
const Texts = Schema.Record(Schema.String, Schema.String)

/** All keys of a store with tasks in every state, and what the version with this layout dumped of them. */
const Layout = Schema.Struct({
  hashes: Schema.Record(Schema.String, Texts),
  sets: Schema.Record(Schema.String, Texts),
  records: Schema.Array(Json)
})

const layout = (version: string) =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Layout))(
    readFileSync(new URL(`fixtures/layout-${version}.json`, import.meta.url), "utf8")
  )

const former = layout("2")

const command = (redis: Client, ...words: ReadonlyArray<string>) => Effect.promise(() => redis.sendCommand(words))

/** Writes a store of layout 2, or of another. */
const fill = Effect.fnUntraced(function* (name: string, { hashes, sets }: typeof former = former) {
  const redis = yield* client()
  for (const [key, fields] of Object.entries(hashes)) {
    yield* command(redis, "HSET", `{${name}}:${key}`, ...Object.entries(fields).flat())
  }
  for (const [key, scores] of Object.entries(sets)) {
    const members = Object.entries(scores).flatMap(([member, score]) => [score, member])
    yield* command(redis, "ZADD", `{${name}}:${key}`, ...members)
  }
  return redis
})

const formerStore = Effect.gen(function* () {
  const name = yield* prefix()
  return { name, redis: yield* fill(name) }
})

const version = (redis: Client, name: string) => Effect.promise(() => redis.hGet(`{${name}}:meta`, "schema"))

/** Runs one step of a migration, as opening a store does, and returns whether it was the last. */
const step = (redis: Client, name: string, limit: number) => {
  const { all, channel } = keysOf(name)
  const words = [String(all.length), ...all, schemaVersion, channel, "test", String(limit)]
  return Effect.map(command(redis, "EVAL", migrate.text, ...words), Number)
}

const Records = Schema.Array(TaskRecord.TaskRecord)

const dump = Effect.fnUntraced(function* (store: Store) {
  const { records } = yield* store.dump()
  return Schema.encodeSync(Records)(records)
})

/** What a task of that version has now. */
const added = { queue: "default", payload: null, overrides: {}, concurrencyKey: null }
const Started = Schema.Struct({
  task: Schema.Struct({ status: Schema.String }),
  attempts: Schema.Array(Schema.Struct({ startedAt: Schema.String }))
})
const Identified = Schema.Struct({ task: Schema.Struct({ id: Schema.String }) })
const startedAt = (record: unknown) => {
  const { attempts, task } = Schema.decodeUnknownSync(Started)(record)
  return task.status === "in_progress" ? { startedAt: attempts.at(-1)?.startedAt } : {}
}
// That version wrote null for what does not exist.
const expected = Schema.encodeSync(Records)(
  Schema.decodeUnknownSync(Records)(
    former.records.map((record) =>
      Object.assign({}, record, { task: Object.assign({}, record.task, added, startedAt(record)) })
    )
  )
)

describe.skipIf(isMissing)("a store of the former layout in Redis", () => {
  it.live("is migrated with its contents when it is opened, also by many stores at the same time", () =>
    Effect.gen(function* () {
      const { name, redis } = yield* formerStore
      const stores = yield* Effect.forEach([1, 2, 3, 4], () => open({ prefix: name, mustExist: true }), {
        concurrency: "unbounded"
      })
      for (const store of stores) assert.deepStrictEqual<unknown>(yield* dump(store), expected)
      assert.strictEqual(yield* version(redis, name), schemaVersion)
    })
  )

  it.live("has its tasks in the queue default, where they continue", () =>
    Effect.gen(function* () {
      const { name } = yield* formerStore
      const store = yield* open({ prefix: name })
      assert.deepStrictEqual(yield* store.queues, [
        {
          queue: "default",
          pending: 5,
          in_progress: 2,
          in_review: 0,
          completed: 1,
          failed: 1,
          cancelled: 1,
          waiting: 1
        }
      ])
      assert.deepStrictEqual(
        (yield* store.sweep({ maxAttempts: 3, onCrash: "retry" })).map(({ taskId }) => taskId),
        [id("crashed")]
      )
      const claims = yield* claim(store)
      assert.deepStrictEqual(
        claims.map(({ task }) => task.id),
        [id("urgent"), id("crashed"), id("ready")]
      )
      assert.deepStrictEqual((yield* store.settle(claims.map((claimed) => complete(claimed)))).lost, [])
      const running = { taskId: id("running"), token: Attempt.LeaseToken.make(1) }
      assert.deepStrictEqual((yield* store.extend([running], Duration.minutes(1))).lost, [])
      yield* store.cancel({ ids: [id("running"), id("retried")] })
      yield* store.requeue({ ids: [id("running"), id("failed")] })
      const again = yield* claim(store)
      assert.deepStrictEqual(
        again.map(({ task }) => task.id),
        [id("failed"), id("running")]
      )
      yield* store.settle(again.map((claimed) => complete(claimed)))
      assert.deepStrictEqual(
        (yield* claim(store)).map(({ task }) => task.id),
        [id("waiting")]
      )
      assert.strictEqual((yield* store.control).stops, 1)
      // The stored one has another priority.
      assert.deepStrictEqual(yield* add(store, "urgent", "new"), {
        added: [id("new")],
        existing: 1,
        different: [id("urgent")]
      })
    })
  )

  it.live("refuses workers while it is being migrated, and is migrated further after an interruption", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const worker = yield* open({ prefix: name })
      const redis = yield* fill(name)
      assert.strictEqual(yield* step(redis, name, 1), 0)
      const { message, reason } = yield* Effect.flip(claim(worker))
      assert.strictEqual(reason, "Unusable")
      assert.match(
        message,
        /has schema 3, and this version of Baton reads schema 10: open it again, which migrates it\.$/
      )
      assert.deepStrictEqual<unknown>(yield* dump(yield* open({ prefix: name })), expected)
      assert.lengthOf(yield* claim(worker), 2)
    })
  )

  it.live("is migrated in steps that each leave every task in the old layout or in the new one", () =>
    Effect.gen(function* () {
      const { name, redis } = yield* formerStore
      while ((yield* step(redis, name, 1)) === 0) {
        assert.match(String(yield* version(redis, name)), /^[345678]$/)
      }
      assert.strictEqual(yield* step(redis, name, 1), 1)
      assert.deepStrictEqual<unknown>(yield* dump(yield* open({ prefix: name })), expected)
    })
  )

  it.live("has the sum of the usage of all tasks", () =>
    Effect.gen(function* () {
      const { name, redis } = yield* formerStore
      const ids = former.records.map((record) => Schema.decodeUnknownSync(Identified)(record).task.id)
      const bounds = { minUsd: 0.25, maxUsd: 0.5, maxTokens: 100 }
      for (const [index, taskId] of ids.entries()) {
        const used = { ...Usage.zero, outputTokens: index, costUsd: index === 3 ? null : 0.000_000_1 }
        const usage = JSON.stringify(index === 3 ? { ...used, bounds } : used)
        yield* command(redis, "HSET", `{${name}}:usage`, taskId, usage)
      }
      while ((yield* step(redis, name, 2)) === 0);
      const store = yield* open({ prefix: name })
      const [queue] = yield* store.queues
      const others = (ids.length - 1) / 1e7
      const outputTokens = (ids.length * (ids.length - 1)) / 2
      assert.deepStrictEqual(queue?.usage, {
        ...Usage.zero,
        outputTokens,
        costUsd: null,
        bounds: { minUsd: 0.25 + others, maxUsd: 0.5 + others, maxTokens: outputTokens - 3 + 100 }
      })
      yield* store.prune({ statuses: ["completed", "failed", "cancelled"] })
      const { tasks } = yield* store.list()
      assert.strictEqual(
        (yield* store.queues)[0]?.usage?.outputTokens,
        tasks.reduce((sum, { usage }) => sum + (usage?.outputTokens ?? 0), 0)
      )
    })
  )

  it.live("has the tasks that have had an attempt before the others", () =>
    Effect.gen(function* () {
      const { name, redis } = yield* formerStore
      const line = String(yield* Effect.promise(() => redis.hGet(`{${name}}:tasks`, "ready")))
      yield* Effect.promise(() => redis.hSet(`{${name}}:tasks`, "ready", line.replace(/-$/, "0")))
      while ((yield* version(redis, name)) !== "4") yield* step(redis, name, 1)
      const store = yield* open({ prefix: name })
      const task = (name: string) => Task.makeNew({ id: name, description: name, priority: -2 })
      yield* store.add([task("new"), task("newer")])
      const [urgent, ready] = yield* claim(store, { limit: 2 })
      assert.deepStrictEqual([urgent?.task.id, ready?.task.id], [id("urgent"), id("ready")])
      yield* store.cancel({ ids: [id("ready"), id("new")] })
      yield* store.requeue({ ids: [id("ready"), id("new")] })
      assert.deepStrictEqual(
        (yield* claim(store)).map(({ task }) => task.id),
        [id("ready"), id("newer"), id("new")]
      )
      assert.strictEqual((yield* store.counts).pending, 3)
    })
  )

  it.live("is not changed by a diagnosis", () =>
    Effect.gen(function* () {
      const { name, redis } = yield* formerStore
      const found = yield* RedisTaskStore.diagnose({ url, prefix: name })
      assert.strictEqual(of(found, "store").status, "ok")
      assert.match(of(found, "store").message, /is of an older version of Baton, and is migrated when it is opened\.$/)
      assert.strictEqual(yield* version(redis, name), "2")
    })
  )
})

describe.skipIf(isMissing)("a store of layout 9 in Redis", () => {
  const stored = layout("9")

  const opened = Effect.gen(function* () {
    const name = yield* prefix()
    const redis = yield* fill(name, stored)
    return { name, redis, store: yield* open({ prefix: name, mustExist: true }) }
  })

  it.live("reads as before once it is opened, and refuses workers of that version", () =>
    Effect.gen(function* () {
      const { name, redis, store } = yield* opened
      assert.deepStrictEqual<unknown>(yield* dump(store), stored.records)
      assert.strictEqual(yield* version(redis, name), schemaVersion)
      const copy = yield* open({ prefix: yield* prefix() })
      yield* copy.restore((yield* store.dump()).records)
      const leases = (records: ReadonlyArray<TaskRecord.TaskRecord>) =>
        records.map((record) => Object.assign({}, record, { leaseUntil: null }))
      assert.deepStrictEqual(leases((yield* copy.dump()).records), leases((yield* store.dump()).records))
    })
  )

  it.live("continues its tasks, and keeps the ledger of those that are revised", () =>
    Effect.gen(function* () {
      const { store } = yield* opened
      const lease = (name: string) => ({ taskId: id(name), token: Attempt.LeaseToken.make(1) })
      const running = ["started", "saved", "claimed"].map(lease)
      assert.deepStrictEqual((yield* store.start([lease("claimed")])).lost, [])
      assert.deepStrictEqual((yield* store.extend(running, Duration.minutes(1))).lost, [])
      const execution = { output: "done", confidence: 1, metadata: {} }
      const settled = running.map(
        ({ taskId, token }) => ({ _tag: "Complete", taskId, token, execution, verified: false }) as const
      )
      assert.deepStrictEqual((yield* store.settle(settled)).lost, [])
      const revised = ["completed", "requeued", "retried", "priced", "long"].map(id)
      const ledgers = Effect.forEach(revised, (taskId) => store.attempts(taskId))
      const before = yield* ledgers
      yield* store.revise(revised.map((taskId) => ({ taskId, feedback: "Again." })))
      const claims = yield* claim(store)
      assert.sameMembers(
        claims.map(({ task }) => task.id),
        [...revised, ...["keyed", "waiting"].map(id)]
      )
      assert.strictEqual(claims.find(({ task }) => task.id === "requeued")?.previousOutput, "second of requeued")
      yield* store.settle(claims.map((claimed) => complete(claimed)))
      assert.deepStrictEqual(
        (yield* ledgers).map((attempts) => attempts.slice(0, -1)),
        before
      )
      assert.lengthOf(yield* claim(store, { queues: [Task.QueueName.make("a queue")] }), 1)
      assert.strictEqual((yield* store.counts).completed, 11)
    })
  )
})
