import { assert, describe, it } from "@effect/vitest"
import type { TaskStoreError } from "@baton/core"
import { Duration, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import * as Postgres from "../servers/postgres.ts"
import {
  add,
  claim,
  client,
  complete,
  id,
  isMissing,
  names,
  open,
  patient,
  retry,
  schema,
  type Store,
  untilAnswered,
  url
} from "./postgres.ts"
import * as Proxy from "./proxy.ts"

const attempts = (store: Store, name: string) => Effect.map(store.attempts(id(name)), (rows) => rows.length)

/** Opens as many connections as the store needs, so that later operations open none. */
const warmUp = (store: Store) =>
  Effect.all(
    [1, 2, 3].map(() => untilAnswered(store.counts)),
    { concurrency: 3 }
  )

/** Ends the application's listening sessions, and returns their number. */
const endListeners = Effect.fnUntraced(function* (application: string) {
  const sql = yield* client()
  const ended = yield* sql.unsafe(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'",
    [application]
  )
  return ended.length
})

/** On a busy machine, any statement can take that long: it is repeated where the test is not about that. */
const hasty = { statementTimeout: Duration.millis(300) }

describe.skipIf(isMissing)("a PostgreSQL store whose connections fail", () => {
  it.live("(b) gets the tasks of a claim whose answer was lost", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const proxy = yield* Proxy.make(url)
      const other = yield* open({ schema: name })
      const store = yield* untilAnswered(open({ ...hasty, url: proxy.url, schema: name, listen: false }))
      yield* add(other, names(20))
      yield* warmUp(store)
      proxy.swallowAnswers()
      const error = yield* Effect.flip(claim(store, { limit: 10 }))
      assert.equal(error.reason, "Unavailable")
      // The claim is carried out, if not before its caller gives up.
      yield* Effect.repeat(other.counts, { until: ({ in_progress }) => in_progress === 10 })
      proxy.restore()
      // In several calls, each with as many tasks as it has room for.
      const first = yield* untilAnswered(claim(store, { limit: 4 }))
      const second = yield* untilAnswered(claim(store, { limit: 4 }))
      const claims = [...first, ...second, ...(yield* untilAnswered(claim(store, { limit: 4 })))]
      assert.deepEqual(
        claims.map(({ task }) => String(task.id)),
        names(10)
      )
      assert.ok(claims.every(({ task, token }) => task.attempts === 1 && token === 1))
      assert.deepEqual((yield* untilAnswered(store.settle(claims.map((each) => complete(each))))).lost, [])
      assert.equal(yield* attempts(other, "task-0"), 1)
      assert.lengthOf(yield* untilAnswered(claim(store)), 10, "the next claim returns other tasks")
    })
  )

  it.live("(b) recognizes its own settlement when the answer was lost", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const proxy = yield* Proxy.make(url)
      const other = yield* open({ schema: name })
      const store = yield* untilAnswered(open({ ...hasty, url: proxy.url, schema: name, listen: false }))
      yield* add(other, ["a", "b", "c"])
      const [a, b, c] = yield* untilAnswered(claim(store))
      assert.ok(a && b && c)
      // A task that was cancelled in the meantime is lost, even if its settlement got no answer.
      yield* other.cancel({ ids: [id("c")] })
      const ends = [complete(a), retry(b), complete(c)]
      yield* warmUp(store)
      proxy.swallowAnswers()
      assert.equal((yield* Effect.flip(store.settle(ends))).reason, "Unavailable")
      proxy.restore()
      const { lost } = yield* untilAnswered(store.settle(ends))
      assert.deepEqual(lost, [{ taskId: id("c"), token: c.token, status: "cancelled" }])
      assert.deepEqual(
        (yield* other.attempts(id("a"))).map(({ outcome }) => outcome),
        ["completed"]
      )
      assert.lengthOf((yield* untilAnswered(store.settle([complete(a)]))).lost, 1, "the attempt ends only once")
    })
  )

  it.live("gives up a connection that swallows everything, even in an uninterruptible region", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const proxy = yield* Proxy.make(url)
      const store = yield* untilAnswered(open({ ...hasty, url: proxy.url, schema: name }))
      yield* untilAnswered(add(store, ["a"]))
      proxy.swallow()
      const error = yield* claim(store).pipe(Effect.uninterruptible, Effect.flip)
      assert.equal(error.reason, "Unavailable")
      assert.match(
        error.message,
        /^PostgreSQL at 127\.0\.0\.1:\d+ does not answer: check the server and the network\.$/
      )
      proxy.restore()
      assert.lengthOf(yield* untilAnswered(claim(store)), 1)
    })
  )

  it.live("(c) is notified of work again after its listening session was ended", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const other = yield* open({ schema: name })
      const store = yield* open({ schema: name, applicationName: name })
      const isNotifiedOf = Effect.fnUntraced(function* (task: string) {
        const waiting = yield* Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
        yield* add(other, [task])
        assert.equal(yield* Fiber.join(waiting), "claimable")
        yield* claim(store)
      })
      yield* isNotifiedOf("a")
      // The store connects in the background.
      yield* endListeners(name).pipe(Effect.repeat({ until: (ended) => ended > 0 }))
      yield* isNotifiedOf("b")
      yield* endListeners(name).pipe(Effect.repeat({ until: (ended) => ended > 0 }))
    })
  )

  it.live("(c) finds work by polling when notifications stop arriving unnoticed", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const proxy = yield* Proxy.make(url)
      const other = yield* open({ schema: name })
      const store = yield* untilAnswered(open({ ...hasty, url: proxy.url, schema: name }))
      const waiting = yield* Effect.forkChild(untilAnswered(store.awaitWork({ untilDrained: false })), {
        startImmediately: true
      })
      proxy.deafen()
      yield* add(other, ["a"])
      assert.equal(yield* Fiber.join(waiting), "claimable")
    })
  )

  it.effect("polls at most once a second while it is idle", () =>
    Effect.gen(function* () {
      const seconds = 30
      const sql = yield* client()
      for (const listen of [true, false]) {
        const proxy = yield* Proxy.make(url)
        const store = yield* open({ url: proxy.url, schema: yield* schema(), listen })
        // Virtual time would outrun the opening of connections.
        if (listen) yield* store.awaitChange(0)
        const [{ revision }] = yield* Effect.all([store.control, store.control, store.counts], {
          concurrency: "unbounded"
        })
        yield* Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
        yield* Effect.forkChild(store.awaitControl(revision), { startImmediately: true })
        const before = proxy.sent()
        for (let step = 0; step < seconds * 4; step++) {
          yield* TestClock.adjust("250 millis")
          // While requests arrive at the proxy, and their answers at the store.
          yield* sql`SELECT 1`
          yield* proxy.answered
          yield* sql`SELECT 1`
        }
        assert.isAbove(proxy.sent() - before, 2)
        // The first one is at once.
        assert.isAtMost(proxy.sent() - before, seconds + 1)
      }
    })
  )
})

describe.skipIf(!Postgres.isInstalled())("a PostgreSQL server that restarts", () => {
  it.live("fails only the operations in progress: the stores on it recover", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.temporary()
      const store = yield* open({ url: server.url, schema: "baton" })
      const other = yield* open({ url: server.url, schema: "baton" })
      yield* add(store, names(3))
      const [first] = yield* claim(store, { limit: 1 })
      assert.ok(first)

      yield* Effect.promise(server.stop)
      const operations: ReadonlyArray<Effect.Effect<unknown, TaskStoreError>> = [
        store.counts,
        claim(store),
        store.settle([complete(first)]),
        store.sweep(patient)
      ]
      const refusal = /^PostgreSQL at 127\.0\.0\.1:\d+ does not accept connections: start the server/
      for (const operation of operations) {
        // The first ones can still find the connections of before, which this process may not yet know to be closed.
        const refused = yield* Effect.repeat(Effect.flip(operation), {
          until: ({ message, reason }) => reason !== "Unavailable" || refusal.test(message)
        })
        assert.equal(refused.reason, "Unavailable")
      }
      yield* Effect.promise(server.start)
      assert.deepEqual((yield* untilAnswered(store.settle([complete(first)]))).lost, [])

      yield* Effect.promise(server.crash)
      yield* Effect.promise(server.start)
      assert.equal(Option.getOrThrow(yield* untilAnswered(store.get(id("task-0")))).status, "completed")
      assert.lengthOf(yield* untilAnswered(claim(store)), 2)

      // It listens again as well.
      yield* untilAnswered(other.counts)
      const waiting = yield* Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
      yield* add(other, ["new"])
      assert.equal(yield* Fiber.join(waiting), "claimable")
    })
  )
})
