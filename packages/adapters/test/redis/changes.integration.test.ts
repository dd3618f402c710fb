import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schedule } from "effect"
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

/** Half of the poll interval. */
const prompt = Duration.millis(1500)

const untilDrained = { untilDrained: true }
const indefinitely = { untilDrained: false }

/** A fiber that waits for the effect, and has started to. */
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** The result, which has to come from a notification and not from polling. */
const notified = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.timeoutOrElse(Fiber.join(fiber), {
    duration: prompt,
    orElse: () => Effect.die(new Error("no notification arrived"))
  })

const listeners = (redis: Client, name: string) =>
  Effect.promise(async () => Number((await redis.pubSubNumSub([`{${name}}:changes`]))[`{${name}}:changes`]))

const untilSubscribed = (redis: Client, name: string, count: number) =>
  Effect.repeat(Effect.andThen(Effect.sleep("10 millis"), listeners(redis, name)), {
    until: (found) => found === count
  })

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
  it.live("of tasks that are added, within milliseconds", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const delays: Array<number> = []
      for (let round = 0; round < 15; round++) {
        const waiting = yield* start(here.awaitWork(indefinitely))
        yield* Effect.sleep("20 millis")
        const [took] = yield* Effect.timed(Effect.andThen(add(there, `task-${round}`), notified(waiting)))
        delays.push(Duration.toMillis(took))
        assert.lengthOf(yield* claim(here), 1)
      }
      const median = delays.toSorted((left, right) => left - right)[7]
      assert.isBelow(median ?? Infinity, 50)
    })
  )

  it.live("of the end of a lease", () =>
    Effect.gen(function* () {
      const { here, there } = yield* twoStores
      const waiting = yield* start(here.awaitWork(indefinitely))
      yield* add(there, "a")
      yield* claim(there, { lease: Duration.millis(200) })
      yield* notified(waiting)
      const again = yield* start(here.awaitWork(indefinitely))
      assert.strictEqual(yield* notified(again), "claimable")
      const sweep = here.sweep({ maxAttempts: 3, onCrash: "retry" })
      const [swept] = yield* Effect.retry(
        Effect.filterOrFail(sweep, (tasks) => tasks.length === 1),
        Schedule.spaced("10 millis")
      )
      assert.strictEqual(swept?.taskId, id("a"))
    })
  )

  it.live("when the store is drained", () =>
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

  it.live("of requests, and of running tasks that are cancelled", () =>
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
  it.live("finds work and requests by polling", () =>
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
      yield* Effect.sleep("50 millis")
      yield* add(there, "a")
      yield* there.request("pause")
      const [took, signal] = yield* Effect.timed(Fiber.join(waiting))
      assert.strictEqual(signal, "claimable")
      assert.strictEqual((yield* Fiber.join(watching)).paused, true)
      assert.isAbove(Duration.toMillis(took), 500, "no notification arrived")
      assert.isBelow(Duration.toMillis(took), 6000)
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
        yield* notified(waiting)
        yield* claim(here)
        yield* untilSubscribed(redis, "baton", 2)
        const again = yield* start(here.awaitWork(indefinitely))
        yield* add(there, `after-${round}`)
        yield* notified(again)
        yield* claim(here)
      }
    })
  )

  it.live("sends at most one command a second while idle", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const redis = yield* client(server.url)
      const store: Store = yield* open({ url: server.url })
      yield* start(store.awaitWork(indefinitely))
      yield* start(store.awaitControl(0))
      yield* untilSubscribed(redis, "baton", 1)
      yield* Effect.sleep("200 millis")
      const before = yield* sent(redis)
      yield* Effect.sleep("5 seconds")
      // One of them is this test's.
      assert.isAtMost((yield* sent(redis)) - before, 6)
    })
  )
})
