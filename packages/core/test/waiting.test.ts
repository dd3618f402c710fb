import { Task, TaskStoreDriver } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryDriver from "../src/internal/memory/driver.ts"
import * as Table from "../src/internal/memory/table.ts"

/** A store whose driver is notified by the test, and whose outlook the test sets and counts. */
const make = Effect.gen(function* () {
  const notifications = yield* Queue.unbounded<TaskStoreDriver.Notification>()
  const state = {
    looks: 0,
    /** How often tasks were read by their ids. */
    reads: 0,
    isClaimable: false,
    dueInMillis: null as number | null,
    onLook: Effect.void
  }
  const memory = yield* MemoryDriver.make(Table.make())
  const store = yield* TaskStoreDriver.make({
    ...memory,
    get: (ids) =>
      Effect.andThen(
        Effect.sync(() => state.reads++),
        memory.get(ids)
      ),
    outlook: () =>
      Effect.suspend(() => {
        state.looks++
        const dueInMillis = state.isClaimable ? 0 : state.dueInMillis
        return Effect.as(state.onLook, { dueInMillis, drained: false, revision: 0, paused: false, stops: 0 })
      }),
    notifications: {
      changes: Stream.fromQueue(notifications),
      pollInterval: { listening: "1 minute", disconnected: "1 second" },
      rest: "10 millis"
    }
  })
  const notify = (notification: TaskStoreDriver.Notification) => Effect.asVoid(Queue.offer(notifications, notification))
  const notifyWork = (delayMillis = 0) => Effect.andThen(notify({ kind: "work", delayMillis }), Effect.yieldNow)
  const wait = Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
  /** A fiber that waits, once the store listens, has looked because of that, and has rested. */
  const listen = Effect.gen(function* () {
    const waiting = yield* wait
    yield* notify({ kind: "listening" })
    yield* TestClock.adjust("20 millis")
    state.looks = 0
    return waiting
  })
  return { state, store, notify, notifyWork, wait, listen }
})

describe("a fiber that waits for work", () => {
  it.effect("looks at once", () =>
    Effect.gen(function* () {
      const { state, wait } = yield* make
      state.isClaimable = true
      assert.strictEqual(yield* Fiber.join(yield* wait), "claimable")
      assert.strictEqual(state.looks, 1)
    })
  )

  it.effect("sleeps once until it is due, though that is not a whole number of nanoseconds away", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = {
        ...clock,
        sleep: (duration) =>
          Effect.andThen(
            Effect.sync(() => sleeps++),
            clock.sleep(duration)
          )
      }
      const { state, wait } = yield* Effect.provideService(make, Clock.Clock, counting)
      // The end of a sleep is measured in milliseconds, and its length in nanoseconds.
      state.dueInMillis = 20 + 2 ** -32
      yield* wait
      yield* TestClock.adjust("20 millis")
      state.dueInMillis = null
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(state.looks, 2)
      assert.isAtMost(sleeps, 2)
    })
  )

  it.effect("looks again when it is notified, and not before", () =>
    Effect.gen(function* () {
      const { listen, notifyWork, state } = yield* make
      const waiting = yield* listen
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(state.looks, 0)
      state.isClaimable = true
      yield* notifyWork()
      assert.strictEqual(yield* Fiber.join(waiting), "claimable")
      assert.strictEqual(state.looks, 1)
    })
  )

  it.effect("looks again after the delay of a notification, the shortest one first", () =>
    Effect.gen(function* () {
      const { listen, notifyWork, state } = yield* make
      yield* listen
      yield* notifyWork(20_000)
      yield* notifyWork(30_000)
      yield* notifyWork(25_000)
      yield* TestClock.adjust("19 seconds")
      assert.strictEqual(state.looks, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.looks, 1)
    })
  )

  it.effect("looks again when the last look says so", () =>
    Effect.gen(function* () {
      const { listen, notifyWork, state } = yield* make
      yield* listen
      state.dueInMillis = 5_000
      yield* notifyWork()
      assert.strictEqual(state.looks, 1)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(state.looks, 1)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(state.looks, 2)
    })
  )

  it.effect("looks at the poll interval when no notification arrives, and more often while it is not listening", () =>
    Effect.gen(function* () {
      const { state, notify, wait } = yield* make
      yield* wait
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(state.looks, 11)
      yield* notify({ kind: "listening" })
      yield* TestClock.adjust("10 millis")
      state.looks = 0
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(state.looks, 10)
    })
  )

  it.effect("misses no notification that arrives while it looks", () =>
    Effect.gen(function* () {
      const { listen, notifyWork, state } = yield* make
      const waiting = yield* listen
      state.onLook = Effect.andThen(
        Effect.sync(() => {
          state.isClaimable = true
        }),
        notifyWork()
      )
      yield* notifyWork()
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* Fiber.join(waiting), "claimable")
      assert.strictEqual(state.looks, 2)
    })
  )

  it.effect("looks at most once per rest, however many notifications arrive", () =>
    Effect.gen(function* () {
      const { listen, notifyWork, state } = yield* make
      yield* listen
      for (let round = 0; round < 1000; round++) {
        yield* notifyWork()
        yield* TestClock.adjust("1 millis")
      }
      assert.isAtMost(state.looks, 101)
      assert.isAbove(state.looks, 50)
    })
  )

  it.effect("is woken together with all others that wait", () =>
    Effect.gen(function* () {
      const { listen, notifyWork, state, wait } = yield* make
      yield* Fiber.interrupt(yield* listen)
      const waiting = yield* Effect.forEach([1, 2, 3], () => wait)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.looks, 3)
      state.isClaimable = true
      yield* notifyWork()
      for (const fiber of waiting) assert.strictEqual(yield* Fiber.join(fiber), "claimable")
      assert.strictEqual(state.looks, 6)
    })
  )
})

describe("a fiber that waits for a control request", () => {
  it.effect("misses no request that arrives while it reads the control state", () =>
    Effect.gen(function* () {
      const notifications = yield* Queue.unbounded<TaskStoreDriver.Notification>()
      const memory = yield* MemoryDriver.make(Table.make())
      let revision = 0
      let arrives = false
      const store = yield* TaskStoreDriver.make({
        ...memory,
        // The request is made after the state was read, and announced before the answer arrives.
        control: Effect.suspend(() => {
          const read = { revision, paused: false, stops: 0 }
          if (!arrives) return Effect.succeed(read)
          arrives = false
          revision = 1
          return Effect.as(
            Effect.andThen(
              Queue.offer(notifications, { kind: "control" }),
              Effect.repeat(Effect.yieldNow, { times: 5 })
            ),
            read
          )
        }),
        notifications: {
          changes: Stream.fromQueue(notifications),
          pollInterval: { listening: "1 minute", disconnected: "1 minute" }
        }
      })
      const waiting = yield* Effect.forkChild(store.awaitControl(0), { startImmediately: true })
      arrives = true
      yield* Queue.offer(notifications, { kind: "control" })
      assert.strictEqual((yield* Fiber.join(waiting)).revision, 1)
    })
  )
})

describe("a fiber that waits for changes", () => {
  it.effect("returns when its own process changes something", () =>
    Effect.gen(function* () {
      const { store } = yield* make
      const before = yield* store.awaitChange(-1)
      const waiting = yield* Effect.forkChild(store.awaitChange(before), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(waiting.pollUnsafe())
      yield* store.add([Task.makeNew({ id: "a", description: "a" })])
      assert.isAbove(yield* Fiber.join(waiting), before)
    })
  )

  it.effect("returns at once if something has changed since it last looked", () =>
    Effect.gen(function* () {
      const { store } = yield* make
      const before = yield* store.awaitChange(-1)
      yield* store.request("pause")
      assert.isAbove(yield* store.awaitChange(before), before)
    })
  )

  const notifications: ReadonlyArray<TaskStoreDriver.Notification> = [
    { kind: "work", delayMillis: 0 },
    { kind: "control" },
    { kind: "settled" },
    { kind: "listening" }
  ]
  for (const notification of notifications) {
    it.effect(`returns when another process makes known: ${notification.kind}`, () =>
      Effect.gen(function* () {
        const { notify, store } = yield* make
        const before = yield* store.awaitChange(-1)
        const waiting = yield* Effect.forkChild(store.awaitChange(before), { startImmediately: true })
        yield* notify(notification)
        assert.isAbove(yield* Fiber.join(waiting), before)
      })
    )
  }
})

describe("a fiber that awaits a task", () => {
  const awaiting = Effect.gen(function* () {
    const made = yield* make
    yield* made.store.add([Task.makeNew({ id: "a", description: "a" })])
    yield* Effect.forkChild(made.store.awaitSettled(Task.TaskId.make("a")), { startImmediately: true })
    return made
  })

  it.effect(
    "reads it when another process has settled tasks, and not at an interval while it is notified of that",
    () =>
      Effect.gen(function* () {
        const { notify, state } = yield* awaiting
        yield* notify({ kind: "listening" })
        yield* TestClock.adjust("1 second")
        state.reads = 0
        yield* TestClock.adjust("50 seconds")
        assert.strictEqual(state.reads, 0)
        yield* notify({ kind: "settled" })
        yield* TestClock.adjust("50 millis")
        assert.strictEqual(state.reads, 1)
        // A notification can be lost.
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(state.reads, 2)
      })
  )

  it.effect("reads it more often while it is not notified", () =>
    Effect.gen(function* () {
      const { state } = yield* awaiting
      state.reads = 0
      for (let second = 1; second <= 3; second++) {
        yield* TestClock.adjust("1100 millis")
        assert.strictEqual(state.reads, second)
      }
    })
  )
})
