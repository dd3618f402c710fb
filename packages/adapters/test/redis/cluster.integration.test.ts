import { RedisTaskStore } from "@baton/adapters/redis"
import { Task } from "@baton/core"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import { describe } from "vitest"
import { keys as keysOf } from "../../src/redis/internal/lua/prelude.ts"
import * as Servers from "../servers/redis.ts"
import { add, cannotStart, claim, type Client, client, complete, id, keys, open, type Store } from "./redis.ts"

const command = (redis: Client, ...words: ReadonlyArray<string>) => Effect.promise(() => redis.sendCommand(words))

const slots = 16_384

const slotOf = (redis: Client, key: string) => Effect.map(command(redis, "CLUSTER", "KEYSLOT", key), Number)

/** Runs every script of a store. */
const exercise = Effect.fnUntraced(function* (store: Store) {
  yield* store.add([
    Task.makeNew({ id: "a", description: "A", metadata: { "{tag}": "{other}" } }),
    Task.makeNew({ id: "b", description: "B", dependsOn: ["a"], priority: 3 }),
    Task.makeNew({ id: "{c}", description: "C" }),
    Task.makeNew({ id: "d", description: "D" }),
    Task.makeNew({ id: "e", description: "E" }),
    Task.makeNew({ id: "f", description: "F", queue: "{other}:f" })
  ])
  const [a, c, d] = yield* claim(store, { limit: 3 })
  assert.ok(a && c && d)
  const execution = { output: "x", confidence: 1, metadata: {} }
  yield* store.checkpoint([{ taskId: a.task.id, token: a.token, execution }])
  yield* store.extend([{ taskId: a.task.id, token: a.token }], Duration.minutes(2))
  const { lost } = yield* store.settle([
    complete(a),
    { ...complete(c), _tag: "Retry", feedback: "again", checkpoint: undefined, delay: Duration.hours(1) },
    { ...complete(d), _tag: "Fail", feedback: "no", checkpoint: undefined }
  ])
  assert.deepStrictEqual(lost, [])
  yield* store.sweep({ maxAttempts: 3, onCrash: "retry" })
  yield* store.requeue({ status: "failed" })
  yield* store.cancel({ ids: [id("d")] })
  assert.lengthOf(yield* store.attempts(id("a")), 1)
  assert.lengthOf((yield* store.list()).tasks, 6)
  assert.lengthOf((yield* store.list({ queue: "{other}:f" })).tasks, 1)
  assert.lengthOf((yield* store.dump()).records, 6)
  assert.lengthOf(yield* claim(store, { queues: ["{other}:f"] }), 1)
  yield* store.request("pause")
  assert.strictEqual((yield* store.control).paused, true)
  assert.strictEqual(yield* store.awaitWork({ untilDrained: true }), "claimable")
  assert.deepStrictEqual(
    (yield* claim(store)).map(({ task }) => task.id),
    [id("b"), id("e")]
  )
  assert.strictEqual(yield* store.prune({ statuses: ["cancelled"] }), 1)
})

describe.skipIf(cannotStart)("a cluster of Redis servers", () => {
  const node = Servers.temporary({ "cluster-enabled": "yes", "cluster-require-full-coverage": "no" })

  const isUp = (redis: Client, owned: number) =>
    Effect.retry(
      Effect.filterOrFail(command(redis, "CLUSTER", "INFO"), (info) =>
        String(info).includes(`cluster_state:ok\r\ncluster_slots_assigned:${owned}`)
      ),
      Schedule.spaced("20 millis")
    )

  it.live("keeps all keys of a store on one node, whatever its prefix", () =>
    Effect.gen(function* () {
      const redis = yield* client((yield* node).url)
      for (const prefix of ["baton", "a:b", "ü", "with space"]) {
        const { all, channel } = keysOf(prefix)
        const found = yield* Effect.forEach([...all, channel], (key) => slotOf(redis, key))
        assert.lengthOf(new Set(found), 1)
      }
    })
  )

  it.live("runs every script, because none uses a key of another slot", () =>
    Effect.gen(function* () {
      const server = yield* node
      const redis = yield* client(server.url)
      yield* command(redis, "CLUSTER", "ADDSLOTSRANGE", "0", String(slots - 1))
      yield* isUp(redis, slots)
      yield* exercise(yield* open({ url: server.url }))
      assert.isNotEmpty(yield* keys(redis, "baton"))
    })
  )

  it.live("redirects a store to the node that has its keys, also after they have moved", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* node, yield* node]
      const [one, two] = [yield* client(first.url), yield* client(second.url)]
      const slot = yield* slotOf(one, "{baton}:meta")
      yield* command(one, "CLUSTER", "ADDSLOTSRANGE", "0", String(slot - 1))
      yield* command(two, "CLUSTER", "ADDSLOTSRANGE", String(slot), String(slots - 1))
      yield* command(two, "CLUSTER", "SET-CONFIG-EPOCH", "2")
      yield* command(one, "CLUSTER", "MEET", "127.0.0.1", String(second.port))
      yield* isUp(one, slots)
      yield* isUp(two, slots)

      const store = yield* open({ url: first.url })
      yield* exercise(store)
      assert.deepStrictEqual(yield* keys(one, "baton"), [])
      assert.isNotEmpty(yield* keys(two, "baton"))

      // A slot without keys moves at once.
      yield* command(two, "FLUSHALL")
      yield* command(one, "CLUSTER", "SETSLOT", String(slot), "NODE", String(yield* command(one, "CLUSTER", "MYID")))
      yield* command(two, "CLUSTER", "SETSLOT", String(slot), "NODE", String(yield* command(one, "CLUSTER", "MYID")))
      yield* add(store, "moved")
      assert.isNotEmpty(yield* keys(one, "baton"))
      assert.strictEqual(
        (yield* RedisTaskStore.make({ url: second.url }).pipe(Effect.flatMap(({ counts }) => counts))).pending,
        1
      )
    })
  )
})
