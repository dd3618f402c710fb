import * as assert from "node:assert/strict"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Claim } from "../../TaskStore.ts"
import { TasksRefused, TaskStoreError } from "../../TaskStoreError.ts"
import {
  type Case,
  claimedIds,
  complete,
  fail,
  find,
  type Fixture,
  id,
  ids,
  it,
  longLease,
  patient,
  release,
  retry,
  settle,
  statusOf,
  task
} from "./fixture.ts"
import { contents, dumpAll } from "./transferring.ts"

interface ClaimOptions {
  readonly limit?: number
  readonly maxPerKey?: number
  readonly lease?: Duration.Duration
  readonly queue?: string
}

const claim = ({ store }: Pick<Fixture, "store">, options: ClaimOptions = {}) =>
  store.claim({
    limit: options.limit ?? 100,
    owner: "worker",
    lease: options.lease ?? longLease,
    ...(options.queue === undefined ? undefined : { queues: [options.queue] }),
    maxPerKey: options.maxPerKey
  })

const claimIds = (fixture: Pick<Fixture, "store">, options?: ClaimOptions) =>
  Effect.map(claim(fixture, options), claimedIds)

/** Tasks with the same key, which begins their names. */
const withKey = (concurrencyKey: string, ...names: ReadonlyArray<string>) =>
  names.map((name) => task(name, { concurrencyKey }))

/** The claim of this task, which has to be among these. */
const claimOf = (claims: ReadonlyArray<Claim>, name: string): Claim => {
  const found = claims.find((each) => each.task.id === name)
  assert.ok(found, `${name} is claimed`)
  return found
}

export const keys: ReadonlyArray<Case> = [
  it(
    "a task shows its key, and a task without one has none",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("repository/ä b", "a"), task("b")])
      assert.equal((yield* find(fixture, "a")).concurrencyKey, "repository/ä b")
      assert.equal((yield* find(fixture, "b")).concurrencyKey, undefined)
      const { tasks } = yield* fixture.store.list()
      assert.deepEqual(
        tasks.map((each) => each.concurrencyKey),
        ["repository/ä b", undefined]
      )
      const claims = yield* claim(fixture)
      assert.equal(claimOf(claims, "a").task.concurrencyKey, "repository/ä b")
      assert.equal(claimOf(claims, "b").task.concurrencyKey, undefined)
    })
  ),
  it(
    "one task of a key is in progress at a time, and the next one after its end",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1", "a2", "a3"), ...withKey("b", "b1")])
      const claims = yield* claim(fixture)
      assert.deepEqual(claimedIds(claims), ["a1", "b1"])
      assert.deepEqual(yield* claimIds(fixture), [])
      yield* settle(fixture, complete(claimOf(claims, "a1")))
      const second = yield* claim(fixture)
      assert.deepEqual(claimedIds(second), ["a2"])
      yield* settle(fixture, fail(claimOf(second, "a2")))
      assert.deepEqual(yield* claimIds(fixture), ["a3"])
    })
  ),
  it(
    "as many tasks of a key are in progress as a claim allows",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1", "a2", "a3", "a4"), ...withKey("b", "b1", "b2")])
      const claims = yield* claim(fixture, { maxPerKey: 2 })
      assert.deepEqual(claimedIds(claims), ["a1", "b1", "a2", "b2"])
      assert.deepEqual(yield* claimIds(fixture, { maxPerKey: 2 }), [])
      assert.deepEqual(yield* claimIds(fixture, { maxPerKey: 1 }), [])
      yield* settle(fixture, complete(claimOf(claims, "a1")))
      assert.deepEqual(yield* claimIds(fixture, { maxPerKey: 1 }), [])
      assert.deepEqual(yield* claimIds(fixture, { maxPerKey: 3 }), ["a3", "a4"])
    })
  ),
  it(
    "claims at the same time never exceed the number of a key",
    Effect.fnUntraced(function* (fixture) {
      const names = ["a", "b", "c", "d", "e"]
      yield* fixture.store.add(names.flatMap((key) => withKey(key, ...[1, 2, 3, 4].map((number) => key + number))))
      const done: Array<string> = []
      while (done.length < 20) {
        const all = yield* Effect.all(
          Array.from({ length: 6 }, () => claim(fixture, { limit: 2 })),
          { concurrency: "unbounded" }
        )
        const claims = all.flat()
        // A claim passes over the keys that another one is claiming.
        const running = claims.map((each) => each.task.concurrencyKey)
        assert.equal(new Set(running).size, running.length, "each key has one task in progress")
        yield* settle(fixture, ...claims.map((each) => complete(each)))
        done.push(...claimedIds(claims))
      }
      assert.equal(new Set(done).size, 20)
    })
  ),
  it(
    "keys take turns, however many tasks one of them has",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        ...withKey("a", "a1", "a2", "a3", "a4"),
        ...withKey("b", "b1", "b2"),
        ...withKey("c", "c1", "c2")
      ])
      const taken: Array<string> = []
      for (let round = 0; round < 8; round++) {
        const claims = yield* claim(fixture, { limit: 1 })
        taken.push(...claimedIds(claims))
        yield* settle(fixture, ...claims.map((each) => complete(each)))
      }
      assert.deepEqual(taken, ["a1", "b1", "c1", "a2", "b2", "c2", "a3", "a4"])
    }),
    { inOneSession: true }
  ),
  it(
    "a key that gets its first task later waits for the keys before it once",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1", "a2", "a3"), ...withKey("b", "b1", "b2", "b3")])
      const [first] = yield* claim(fixture, { limit: 1 })
      assert.ok(first)
      yield* settle(fixture, complete(first))
      yield* fixture.store.add(withKey("c", "c1"))
      const taken: Array<string> = []
      for (let round = 0; round < 3; round++) {
        const claims = yield* claim(fixture, { limit: 1 })
        taken.push(...claimedIds(claims))
        yield* settle(fixture, ...claims.map((each) => complete(each)))
      }
      assert.deepEqual(taken, ["b1", "a2", "c1"])
    }),
    { inOneSession: true }
  ),
  it(
    "a higher priority comes before the turns of keys",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        ...withKey("b", "b1"),
        task("a1", { concurrencyKey: "a", priority: 5 }),
        task("a2", { concurrencyKey: "a", priority: 5 }),
        task("plain", { priority: 1 })
      ])
      const claims = yield* claim(fixture, { limit: 1 })
      assert.deepEqual(claimedIds(claims), ["a1"])
      yield* settle(fixture, complete(claimOf(claims, "a1")))
      assert.deepEqual(yield* claimIds(fixture, { limit: 1 }), ["a2"])
      assert.deepEqual(yield* claimIds(fixture), ["plain", "b1"])
    })
  ),
  it(
    "a busy key with the highest priority holds up no other task",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        task("a1", { concurrencyKey: "a", priority: 5 }),
        task("a2", { concurrencyKey: "a", priority: 5 }),
        task("a3", { concurrencyKey: "a", priority: 1 }),
        task("b1", { concurrencyKey: "b", priority: 1 }),
        task("plain")
      ])
      assert.deepEqual(yield* claimIds(fixture), ["a1", "b1", "plain"])
    })
  ),
  it(
    "tasks without a key compete with the first tasks of keys by the time for which they are available",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([task("p1")])
      yield* fixture.advance(0.1)
      yield* fixture.store.add(withKey("a", "a1", "a2"))
      yield* fixture.advance(0.1)
      yield* fixture.store.add([task("p2"), ...withKey("b", "b1"), task("p3")])
      assert.deepEqual(yield* claimIds(fixture, { limit: 2 }), ["p1", "a1"])
      assert.deepEqual(yield* claimIds(fixture), ["p2", "b1", "p3"])
    })
  ),
  it(
    "a task that is retried after a delay, or waits for another, does not hold up its key",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([
        ...withKey("a", "a1"),
        task("later", { concurrencyKey: "a", dependsOn: ["a3"] }),
        ...withKey("a", "a2", "a3")
      ])
      const first = yield* claim(fixture)
      assert.deepEqual(claimedIds(first), ["a1"])
      yield* settle(fixture, retry(claimOf(first, "a1"), { delay: fixture.seconds(2) }))
      const second = yield* claim(fixture)
      assert.deepEqual(claimedIds(second), ["a2"])
      yield* settle(fixture, complete(claimOf(second, "a2")))
      const third = yield* claim(fixture)
      assert.deepEqual(claimedIds(third), ["a3"])
      yield* fixture.advance(2.5)
      assert.deepEqual(yield* claimIds(fixture), [])
      yield* settle(fixture, complete(claimOf(third, "a3")))
      const last = yield* claim(fixture, { maxPerKey: 2 })
      assert.deepEqual(claimedIds(last).toSorted(), ["a1", "later"])
    })
  ),
  it(
    "a retried task of a key comes before the key's other tasks, and other keys take their turns",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1", "a2"), ...withKey("b", "b1", "b2")])
      const taken: Array<string> = []
      for (let round = 0; round < 6; round++) {
        const claims = yield* claim(fixture, { limit: 1 })
        taken.push(...claimedIds(claims))
        yield* settle(
          fixture,
          ...claims.map((each) => (each.task.id === "a1" && each.task.attempts < 3 ? retry(each) : complete(each)))
        )
      }
      assert.deepEqual(taken, ["a1", "b1", "a1", "b2", "a1", "a2"])
    }),
    { inOneSession: true }
  ),
  it(
    "a task that is released or retried at once is claimed again",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(withKey("a", "a1"))
      const first = yield* claim(fixture)
      yield* settle(fixture, release(claimOf(first, "a1")))
      const second = yield* claim(fixture)
      yield* settle(fixture, retry(claimOf(second, "a1")))
      const third = yield* claim(fixture)
      assert.equal(claimOf(third, "a1").token, 3)
      assert.deepEqual(yield* claimIds(fixture), [])
    })
  ),
  it(
    "the only task of a key is claimed again, whatever made it claimable",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1"), task("b1", { concurrencyKey: "b", dependsOn: ["a1"] })])
      const claimAgain = Effect.map(claim(fixture), (claims) => claimOf(claims, "a1"))
      yield* settle(fixture, release(yield* claimAgain))
      yield* settle(fixture, retry(yield* claimAgain))
      yield* settle(fixture, fail(yield* claimAgain))
      yield* fixture.store.requeue({ ids: ids("a1") })
      yield* claimAgain
      yield* fixture.store.cancel({ ids: ids("a1") })
      yield* fixture.store.requeue({ ids: ids("a1") })
      assert.deepEqual(yield* claimIds(fixture, { lease: fixture.seconds(1) }), ["a1"])
      yield* fixture.advance(1.5)
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
      yield* settle(fixture, complete(yield* claimAgain))
      yield* fixture.store.revise([{ taskId: id("a1"), feedback: "Longer." }])
      assert.deepEqual((yield* claimIds(fixture)).toSorted(), ["a1", "b1"])
    })
  ),
  it(
    "the key of a dead worker is free after the sweep",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(withKey("a", "a1", "a2"))
      assert.deepEqual(yield* claimIds(fixture, { lease: fixture.seconds(1) }), ["a1"])
      yield* fixture.advance(1.5)
      assert.deepEqual(yield* claimIds(fixture), [])
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
      assert.equal((yield* claim(fixture)).length, 1)
      assert.deepEqual(yield* claimIds(fixture), [])
    })
  ),
  it(
    "a cancelled task frees its key, and a requeued one waits for it again",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(withKey("a", "a1", "a2", "a3"))
      assert.deepEqual(yield* claimIds(fixture), ["a1"])
      yield* fixture.store.cancel({ ids: ids("a1", "a2") })
      const second = yield* claim(fixture)
      assert.deepEqual(claimedIds(second), ["a3"])
      yield* fixture.store.requeue({ ids: ids("a1", "a2") })
      assert.deepEqual(yield* claimIds(fixture), [])
      yield* settle(fixture, complete(claimOf(second, "a3")))
      assert.equal((yield* claim(fixture)).length, 1)
      assert.deepEqual(yield* claimIds(fixture), [])
    })
  ),
  it(
    "a task keeps its key when it is revised",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(withKey("a", "a1", "a2"))
      const work = { description: "Do it better.", overrides: {}, metadata: {} }
      yield* fixture.store.revise([{ taskId: id("a1"), feedback: "Shorter.", work }])
      assert.equal((yield* find(fixture, "a1")).concurrencyKey, "a")
      const claims = yield* claim(fixture)
      assert.equal(claims.length, 1)
      assert.deepEqual(yield* claimIds(fixture), [])
      yield* settle(fixture, complete(claimOf(claims, "a1")))
      yield* fixture.store.revise([{ taskId: id("a1"), feedback: "Longer." }])
      assert.equal((yield* claim(fixture)).length, 1)
      assert.deepEqual(yield* claimIds(fixture), [])
    })
  ),
  it(
    "a key is used again after all of its tasks were deleted",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1", "a2"), ...withKey("b", "b1")])
      yield* settle(fixture, ...(yield* claim(fixture)).map((each) => complete(each)))
      yield* fixture.store.cancel({ ids: ids("a2") })
      assert.equal(yield* fixture.store.prune({ statuses: ["completed", "cancelled"] }), 3)
      assert.deepEqual(yield* claimIds(fixture), [])
      yield* fixture.store.add(withKey("a", "a2", "a1"))
      assert.deepEqual(yield* claimIds(fixture), ["a2"])
    })
  ),
  it(
    "keys that differ in any character are different keys",
    Effect.fnUntraced(function* (fixture) {
      const names = ["A", "a", "a ", "ä", "a/b", "a:b", "{a}", "a'b", "a%", "鍵", "x".repeat(200)]
      yield* fixture.store.add(names.map((concurrencyKey, index) => task(`task-${index}`, { concurrencyKey })))
      assert.equal((yield* claim(fixture)).length, names.length)
    })
  ),
  it(
    "the same key in two queues is two keys",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add([...withKey("a", "a1", "a2"), task("other", { queue: "other", concurrencyKey: "a" })])
      assert.deepEqual(yield* claimIds(fixture), ["a1"])
      assert.deepEqual(yield* claimIds(fixture, { queue: "other" }), ["other"])
      assert.deepEqual(yield* claimIds(fixture), [])
    })
  ),
  it(
    "a claim takes as many keys as its limit allows",
    Effect.fnUntraced(function* (fixture) {
      const names = Array.from({ length: 60 }, (_, index) => `k${index}`)
      yield* fixture.store.add(names.flatMap((key) => withKey(key, `${key}-1`, `${key}-2`)))
      assert.equal((yield* claim(fixture, { limit: 50 })).length, 50)
      assert.equal((yield* claim(fixture, { limit: 50 })).length, 10)
      assert.equal((yield* claim(fixture, { limit: 100, maxPerKey: 3 })).length, 60)
    })
  ),
  it(
    "a fiber that waits for work is not woken for a busy key, and is woken when the key is free",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(withKey("a", "a1", "a2"))
      const claims = yield* claim(fixture)
      const waiting = yield* Effect.forkChild(fixture.store.awaitWork({ untilDrained: true }), {
        startImmediately: true
      })
      yield* fixture.advance(1)
      assert.equal(waiting.pollUnsafe(), undefined, "there is nothing to claim")
      yield* settle(fixture, complete(claimOf(claims, "a1")))
      assert.equal(yield* Fiber.join(waiting), "claimable")
      assert.deepEqual(yield* claimIds(fixture), ["a2"])
    }),
    { inOneSession: true }
  ),
  it(
    "a key with room for another task is work",
    Effect.fnUntraced(function* (fixture) {
      yield* fixture.store.add(withKey("a", "a1", "a2"))
      yield* claim(fixture)
      assert.equal(yield* fixture.store.awaitWork({ untilDrained: true, maxPerKey: 2 }), "claimable")
    })
  ),
  it(
    "a key that is too long, empty or no valid text is refused, and nothing is added",
    Effect.fnUntraced(function* (fixture) {
      const invalid = ["", "x".repeat(201), "x".repeat(10_000), "a\u0000", "a\nb", "\ud800"]
      const tasks = invalid.map((concurrencyKey, index) => task(`t${index}`, { concurrencyKey }))
      const refused = yield* Effect.flip(fixture.store.add([task("valid"), ...tasks]))
      assert.ok(refused instanceof TasksRefused)
      assert.deepEqual(
        refused.refusals.map(({ problem, taskId }) => [taskId, problem]),
        invalid.map((_, index) => [`t${index}`, "InvalidConcurrencyKey"])
      )
      assert.ok(refused.message.length < 3_000, "the message does not repeat a long key")
      assert.deepEqual(yield* fixture.store.queues, [])
    })
  ),
  it(
    "a task comes with its key from another store, and a task in progress keeps its key busy",
    Effect.fnUntraced(function* (fixture) {
      const other = yield* fixture.another
      yield* other.add([...withKey("a", "a1", "a2"), ...withKey("b", "b1")])
      const claims = yield* claim({ store: other })
      yield* other.settle([complete(claimOf(claims, "b1"))])
      yield* fixture.store.restore(yield* dumpAll(other))
      assert.deepEqual(yield* contents(fixture.store), yield* contents(other))
      assert.equal(yield* statusOf(fixture, "a1"), "in_progress")
      assert.deepEqual(yield* claimIds(fixture), [])
      assert.equal((yield* fixture.store.sweep(patient)).length, 1)
      assert.equal((yield* claim(fixture)).length, 1)
      assert.deepEqual(yield* claimIds(fixture), [])
    }),
    { inOneSession: true }
  )
]

/** What a store without concurrency keys does with them. */
export const withoutKeys: ReadonlyArray<Case> = [
  it(
    "a task with a key is refused, by a message that names the store",
    Effect.fnUntraced(function* (fixture) {
      const refused = yield* Effect.flip(fixture.store.add([task("plain"), ...withKey("a", "a1")]))
      assert.ok(refused instanceof TaskStoreError)
      assert.equal(refused.reason, "Unusable")
      assert.match(refused.message, /"a1".*does not support concurrency keys/)
      assert.deepEqual(yield* fixture.store.queues, [])
    })
  )
]
