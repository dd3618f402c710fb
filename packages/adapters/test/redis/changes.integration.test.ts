import { Task } from "@baton/core"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { describe } from "vitest"
import * as Servers from "../servers/redis.ts"
import * as Proxy from "./proxy.ts"
import {
  add,
  cannotStart,
  claim,
  type Client,
  client,
  complete,
  id,
  isMissing,
  open,
  prefix,
  type Store,
  url
} from "./redis.ts"

const untilDrained = { untilDrained: true }
const indefinitely = { untilDrained: false }

/** A fiber that waits for the effect, and has started to. */
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** The result of a notification: the time that passes is shorter than the interval of polling. */
const notified = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function* () {
    const redis = yield* client()
    // A store publishes no more often than ten times a second.
    for (let step = 0; step < 10; step++) {
      yield* TestClock.adjust("100 millis")
      yield* Effect.promise(() => redis.ping())
    }
    return yield* Fiber.join(fiber)
  }).pipe(Effect.scoped)

const hasNotEnded = (fiber: Fiber.Fiber<unknown, unknown>) => fiber.pollUnsafe() === undefined

const listeners = (redis: Client, name: string) =>
  Effect.promise(async () => Number((await redis.pubSubNumSub([`{${name}}:changes`]))[`{${name}}:changes`]))

const untilSubscribed = (redis: Client, name: string, count: number) =>
  Effect.repeat(listeners(redis, name), { until: (found) => found === count })

/** Makes a store subscribe, which it does on the first wait. */
const listen = (store: Store) => store.awaitControl(-1)

/** Two stores on the same tasks, both subscribed. */
const twoStores = Effect.gen(function* () {
  const name = yield* prefix()
  const here = yield* open({ prefix: name })
  const there = yield* open({ prefix: name })
  yield* Effect.forEach([here, there], listen)
  yield* untilSubscribed(yield* client(), name, 2)
  return { here, there, name }
})

describe.skipIf(isMissing)("a store in Redis is notified by other stores", () => {
  it.effect("of tasks that are added", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      for (let round = 0; round < 15; round++) {
        const waiting = yield* start(here.awaitWork(indefinitely))
        // Not only before it waits.
        if (round % 2 === 0) yield* here.counts
        yield* add(there, `task-${round}`)
        yield* notified(waiting)
        assert.lengthOf(yield* claim(here), 1)
      }
    })
  )

  it.effect("of the end of a lease", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const waiting = yield* start(here.awaitWork(indefinitely))
      yield* add(there, "a")
      yield* notified(waiting)
      yield* claim(there, { lease: Duration.millis(200) })
      const again = yield* start(here.awaitWork(indefinitely))
      // The lease ends by the clock of the server.
      yield* TestClock.withLive(Effect.sleep("200 millis"))
      assert.strictEqual(yield* notified(again), "claimable")
      const [swept] = yield* here.sweep({ maxAttempts: 3, onCrash: "retry" })
      assert.strictEqual(swept?.taskId, id("a"))
    })
  )

  it.effect("when the store is drained", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      yield* add(there, "a")
      const [a] = yield* claim(there)
      assert.ok(a)
      const waiting = yield* start(here.awaitWork(untilDrained))
      yield* there.settle([complete(a)])
      assert.strictEqual(yield* notified(waiting), "drained")
    })
  )

  it.effect("of tasks that end while others are left", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      yield* add(there, "a", "b", "c", "d")
      const [a, b] = yield* claim(there, { limit: 2 })
      assert.ok(a && b)
      const settled = (id: string) => Effect.map(here.awaitSettled(Task.TaskId.make(id)), Option.getOrThrow)
      /** A fiber that awaits the task and has read it: replies have the order of requests. */
      const awaiting = (id: string) => Effect.tap(start(settled(id)), () => Effect.andThen(here.counts, here.counts))
      const completed = yield* awaiting("a")
      yield* there.settle([complete(a)])
      assert.strictEqual((yield* notified(completed)).status, "completed")
      const cancelled = yield* awaiting("c")
      yield* there.cancel({ ids: ["c"] })
      assert.strictEqual((yield* notified(cancelled)).status, "cancelled")
    })
  )

  it.effect("of requests, and of running tasks that are cancelled", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const paused = yield* start(here.awaitControl(0))
      yield* there.request("pause")
      assert.deepStrictEqual(yield* notified(paused), { revision: 1, paused: true, stops: 0 })
      yield* add(there, "a")
      yield* claim(there)
      const cancelled = yield* start(here.awaitControl(1))
      yield* there.cancel({ ids: [id("a")] })
      assert.strictEqual((yield* notified(cancelled)).revision, 2)
    })
  )
})

describe.skipIf(isMissing)("a store in Redis that receives no notifications", () => {
  it.effect("finds work and requests by polling", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const proxy = yield* Proxy.make(url)
      const here = yield* open({ prefix: name, url: proxy.url })
      const there = yield* open({ prefix: name })
      yield* listen(here)
      yield* untilSubscribed(yield* client(), name, 1)
      proxy.deafen()
      const waiting = yield* start(here.awaitWork(indefinitely))
      const watching = yield* start(here.awaitControl(0))
      yield* add(there, "a")
      yield* there.request("pause")
      // Until the second look, after the interval.
      while (hasNotEnded(waiting) || hasNotEnded(watching)) {
        yield* TestClock.adjust("1 second")
        yield* here.counts
      }
      assert.strictEqual(yield* Fiber.join(waiting), "claimable")
      assert.strictEqual((yield* Fiber.join(watching)).paused, true)
    })
  )
})

/** The number of commands that clients have sent, without those inside scripts. */
const sent = (redis: Client) =>
  Effect.promise(async () => {
    const calls = (await redis.info("commandstats")).matchAll(/cmdstat_(evalsha|eval|ping|subscribe|info):calls=(\d+)/g)
    return Array.from(calls, ([, , count]) => Number(count)).reduce((total, count) => total + count, 0)
  })

describe.skipIf(cannotStart)("a store in Redis", () => {
  it.live("opens a second connection on the first wait", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const store = yield* open({ url: server.url })
      yield* add(store, "a")
      yield* claim(store)
      assert.strictEqual(yield* listeners(redis, "baton"), 0)
      yield* Effect.forEach([store, store], listen)
      yield* untilSubscribed(redis, "baton", 1)
    })
  )

  it.live("subscribes again when its connection is killed", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const here = yield* open({ url: server.url })
      const there = yield* open({ url: server.url })
      yield* Effect.forEach([here, there], listen)
      yield* untilSubscribed(redis, "baton", 2)
      for (let round = 0; round < 3; round++) {
        yield* Effect.promise(() => redis.sendCommand(["CLIENT", "KILL", "TYPE", "pubsub"]))
        const waiting = yield* start(here.awaitWork(indefinitely))
        yield* add(there, `during-${round}`)
        yield* Fiber.join(waiting)
        yield* claim(here)
        yield* untilSubscribed(redis, "baton", 2)
        const again = yield* start(here.awaitWork(indefinitely))
        yield* add(there, `after-${round}`)
        yield* Fiber.join(again)
        yield* claim(here)
      }
    })
  )

  it.effect("sends at most one command a second while idle", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const store: Store = yield* open({ url: server.url })
      yield* start(store.awaitWork(indefinitely))
      yield* start(store.awaitControl(0))
      yield* untilSubscribed(redis, "baton", 1)
      const before = yield* sent(redis)
      for (let second = 0; second < 30; second++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.forEach([redis, redis, redis], () => listeners(redis, "baton"))
      }
      const commands = (yield* sent(redis)) - before
      assert.isAbove(commands, 1)
      // One of them is this test's.
      assert.isAtMost(commands, 31)
    })
  )
})
