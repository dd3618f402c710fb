import type { TaskStore } from "@baton/core"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Latch, Option, Schedule } from "effect"
import { describe } from "vitest"
import * as Servers from "../servers/redis.ts"
import * as Proxy from "./proxy.ts"
import { add, cannotStart, claim, client, complete, id, open, refused, type Store } from "./redis.ts"

/** The error of a call. */
const failure = Effect.fnUntraced(function* (call: Effect.Effect<unknown, unknown>) {
  const error = yield* Effect.flip(call)
  assert.propertyVal(error, "reason", "Unavailable")
  assert.instanceOf(error, Error)
  return error.message
})

/** Retries until the call succeeds, as the orchestrator does while a store is unreachable. */
const persist = <A, E>(call: Effect.Effect<A, E>) => Effect.retry(call, Schedule.spaced("20 millis"))

const outcomes = (store: Store, name: string) =>
  Effect.map(store.attempts(id(name)), (attempts) => attempts.map(({ outcome }) => outcome))

describe.skipIf(cannotStart)("a Redis server that is unreachable", () => {
  it.live("keeps everything through a crash if it flushes each write to its append-only file", () =>
    Effect.gen(function* () {
      // With `everysec`, Redis postpones writes to the file by up to 2 seconds while its disk is busy.
      const server = yield* Servers.temporary({ appendfsync: "always" })
      const store = yield* open({ url: server.url })
      yield* add(store, "a", "b", "c")
      const [a, b] = yield* claim(store, { limit: 2 })
      assert.ok(a && b)
      yield* store.settle([complete(a, "the answer")])
      yield* Effect.promise(server.crash)
      assert.match(
        yield* failure(store.counts),
        /^(The connection to )?Redis at 127.0.0.1:\d+ (broke|refuses connections)/
      )
      assert.match(yield* failure(store.counts), /^Redis at 127.0.0.1:\d+ refuses connections: start it/)
      yield* Effect.promise(server.start)
      const { completed, in_progress, pending } = yield* persist(store.counts)
      assert.deepStrictEqual({ completed, in_progress, pending }, { completed: 1, in_progress: 1, pending: 1 })
      assert.strictEqual(Option.getOrThrow(yield* store.get(id("a"))).result, "the answer")
      assert.deepStrictEqual((yield* store.settle([complete(b)])).lost, [])
    })
  )

  it.live("is subscribed to again once it is back", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const store = yield* open({ url: server.url })
      const other = yield* open({ url: server.url })
      const waiting = yield* Effect.forkChild(persist(store.awaitWork({ untilDrained: false })))
      const watching = yield* Effect.forkChild(persist(store.awaitControl(0)))
      yield* Effect.promise(server.stop)
      yield* failure(other.counts)
      yield* Effect.promise(server.start)
      yield* persist(add(other, "a"))
      yield* other.request("pause")
      assert.strictEqual(yield* Fiber.join(waiting), "claimable")
      assert.strictEqual((yield* Fiber.join(watching)).paused, true)
    })
  )

  it.live("makes opening a store fail with a sentence", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      yield* Effect.promise(server.stop)
      const error = yield* refused({ url: server.url })
      assert.strictEqual(
        error.message,
        `Redis at 127.0.0.1:${server.port} refuses connections: start it, or correct the URL.`
      )
    })
  )
})

describe.skipIf(cannotStart)("connections that a Redis server closes", () => {
  it.live("are replaced", () =>
    Effect.gen(function* () {
      const server = yield* Servers.temporary()
      const store = yield* open({ url: server.url })
      yield* add(store, "a")
      const redis = yield* client(server.url)
      for (let round = 0; round < 5; round++) {
        yield* Effect.promise(() => redis.sendCommand(["CLIENT", "KILL", "SKIPME", "yes"]))
        assert.strictEqual((yield* persist(store.counts)).pending, 1)
      }
    })
  )
})

describe.skipIf(cannotStart)("a network between store and Redis", () => {
  const commandTimeout = Duration.seconds(1)

  /** A private server behind a proxy. It has the scripts loaded, so that one command is one round trip. */
  const network = Effect.gen(function* () {
    const { url } = yield* Servers.temporary()
    const proxy = yield* Proxy.make(url)
    const store = yield* open({ url, prefix: "rehearsal" })
    yield* add(store, "a")
    const claims = yield* claim(store)
    yield* store.settle(claims.map((claimed) => complete(claimed)))
    return { proxy, url }
  })

  it.live("that drops everything makes calls fail in time, and the store reconnects", () =>
    Effect.gen(function* () {
      const { proxy } = yield* network
      const store = yield* open({
        url: proxy.url,
        commandTimeout,
        connectTimeout: commandTimeout
      })
      yield* add(store, "a")
      proxy.swallow()
      assert.match(yield* failure(store.counts), /did not answer within 1 s/)
      assert.match(yield* failure(claim(store)), /did not answer within 1 s/)
      proxy.heal()
      assert.lengthOf(yield* persist(claim(store)), 1)
    })
  )

  it.live("that drops everything is retried with one connection for any number of waiting calls", () =>
    Effect.gen(function* () {
      const { proxy } = yield* network
      const store = yield* open({
        url: proxy.url,
        commandTimeout,
        connectTimeout: commandTimeout
      })
      proxy.swallow()
      yield* failure(store.counts)
      const calls = Array.from({ length: 50 }, () => Effect.flip(store.counts))
      const before = proxy.connections()
      yield* Effect.all(calls, { concurrency: "unbounded" })
      // One connection for calls, one for notifications.
      assert.isAtMost(proxy.connections() - before, 2)
    })
  )

  it.live("that drops everything does not prevent a store from closing", () =>
    Effect.gen(function* () {
      const { proxy } = yield* network
      const use = Effect.gen(function* () {
        const store = yield* open({ url: proxy.url })
        yield* add(store, "a")
        proxy.swallow()
        yield* Effect.forkChild(store.counts, { startImmediately: true })
      })
      yield* Effect.scoped(use)
    })
  )

  it.live("that loses the reply of a settle reports no lost lease, and the task is settled once", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* network
      const store = yield* open({ url: proxy.url, commandTimeout })
      const other = yield* open({ url })
      yield* add(store, "a", "b")
      const [a, b] = yield* claim(store)
      assert.ok(a && b)
      const settle = store.settle([complete(a, "the answer"), { ...complete(b), _tag: "Release", reason: "later" }])
      proxy.swallowReplies()
      yield* failure(settle)
      // The settle was carried out: another worker may already have claimed the released task.
      const [again] = yield* persist(Effect.filterOrFail(claim(other), (claims) => claims.length === 1))
      assert.strictEqual(again?.task.id, "b")
      proxy.heal()
      assert.deepStrictEqual((yield* persist(settle)).lost, [])
      assert.deepStrictEqual(yield* outcomes(store, "a"), ["completed"])
      assert.deepStrictEqual(yield* outcomes(store, "b"), ["released", "running"])
      // A different call with the same leases is not a repetition.
      const late = yield* store.settle([complete(a), complete(b)])
      assert.deepStrictEqual(
        late.lost.map(({ status, taskId }) => [taskId, status]),
        [
          [id("a"), "completed"],
          [id("b"), "in_progress"]
        ]
      )
    })
  )

  it.live("that loses a settle request lets it succeed once the network is back", () =>
    Effect.gen(function* () {
      const { proxy } = yield* network
      const store = yield* open({ url: proxy.url, commandTimeout })
      yield* add(store, "a")
      const [a] = yield* claim(store)
      assert.ok(a)
      const settle = store.settle([complete(a, "the answer")])
      proxy.swallow()
      yield* failure(settle)
      proxy.heal()
      assert.deepStrictEqual((yield* persist(settle)).lost, [])
      assert.strictEqual(Option.getOrThrow(yield* store.get(id("a"))).result, "the answer")
    })
  )

  it.live("that loses the reply of a claim makes the next claim return its tasks, as they were claimed", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* network
      const store = yield* open({ url: proxy.url, commandTimeout })
      const other = yield* open({ url })
      yield* add(store, "a", "b", "c", "d", "e")
      yield* claim(other, { limit: 1, owner: "other" })
      proxy.swallowReplies()
      yield* failure(claim(store, { limit: 3 }))
      assert.strictEqual((yield* other.counts).in_progress, 4, "they are claimed anyway")
      // This claim is not answered either, so the tasks it found stay unanswered.
      yield* failure(claim(store, { limit: 3 }))
      proxy.heal()
      assert.deepStrictEqual(
        (yield* persist(claim(store, { owner: "somebody else", limit: 1 }))).map(({ task }) => String(task.id)),
        ["e"],
        "they are the owner's"
      )
      const two = yield* persist(claim(store, { limit: 2 }))
      const third = yield* persist(claim(store, { limit: 2 }))
      const claims = [...two, ...third]
      assert.deepStrictEqual(
        claims.map(({ task, token }) => [String(task.id), task.attempts, Number(token)]),
        [
          ["b", 1, 1],
          ["c", 1, 1],
          ["d", 1, 1]
        ]
      )
      assert.lengthOf(yield* persist(claim(store)), 0, "and they come once")
      assert.deepStrictEqual((yield* store.settle(claims.map((claimed) => complete(claimed)))).lost, [])
      assert.deepStrictEqual(yield* outcomes(store, "b"), ["completed"])
    })
  )

  it.live("that loses the reply of a claim leaves its tasks to the sweep when the worker has ended too", () =>
    Effect.gen(function* () {
      const { proxy, url } = yield* network
      const store = yield* open({ url: proxy.url, commandTimeout })
      const other = yield* open({ url })
      yield* add(store, "a")
      proxy.swallowReplies()
      yield* failure(claim(store, { lease: Duration.millis(300), owner: "cut off" }))
      const sweep = other.sweep({ maxAttempts: 5, onCrash: "retry" })
      const swept = yield* persist(Effect.filterOrFail(sweep, (tasks) => tasks.length === 1))
      assert.deepStrictEqual(
        swept.map(({ owner, status, taskId }) => [taskId, owner, status]),
        [["a", "cut off", "pending"]]
      )
      assert.lengthOf(yield* claim(other), 1)
      assert.deepStrictEqual(yield* outcomes(other, "a"), ["lease_expired", "running"])
    })
  )

  it.live("that loses the reply of an add lets it be repeated", () =>
    Effect.gen(function* () {
      const { proxy } = yield* network
      const store = yield* open({ url: proxy.url, commandTimeout })
      proxy.swallowReplies()
      yield* failure(add(store, "a", "b"))
      proxy.heal()
      assert.deepStrictEqual(yield* persist(add(store, "a", "b", "c")), {
        added: [id("c")],
        existing: 2,
        different: []
      })
    })
  )

  it.live("that is cut repeatedly loses nothing and settles nothing twice", () =>
    Effect.gen(function* () {
      const { proxy } = yield* network
      const store = yield* open({ url: proxy.url })
      const names = Array.from({ length: 200 }, (_, index) => `task-${index}`)
      yield* persist(add(store, ...names))
      // Cuts follow an answer that got through, however long that takes on a busy machine.
      const through = Latch.makeUnsafe(false)
      const cutting = yield* Effect.forkChild(
        Effect.forever(
          Effect.gen(function* () {
            yield* through.await
            through.closeUnsafe()
            yield* Effect.sleep("5 millis")
            proxy.cut()
          })
        )
      )
      const lost: Array<TaskStore.LostLease> = []
      const work = Effect.gen(function* () {
        while (true) {
          const claims = yield* persist(claim(store, { limit: 5, lease: Duration.seconds(1) }))
          through.openUnsafe()
          lost.push(...(yield* persist(store.settle(claims.map((claimed) => complete(claimed))))).lost)
          yield* persist(store.sweep({ maxAttempts: 1000, onCrash: "retry" }))
          if ((yield* persist(store.counts)).completed === names.length) return
        }
      })
      yield* Effect.all([work, work], { concurrency: 2 })
      yield* Fiber.interrupt(cutting)
      for (const name of names) {
        const ended = yield* persist(outcomes(store, name))
        assert.strictEqual(ended.at(-1), "completed")
        assert.lengthOf(
          ended.filter((outcome) => outcome === "completed"),
          1
        )
      }
      for (const { taskId, token } of lost) {
        const attempt = (yield* persist(store.attempts(taskId))).find((attempt) => attempt.token === token)
        assert.strictEqual(attempt?.outcome, "lease_expired", "a lease that was reported as lost was")
      }
    })
  )
})
