import { Execution, TaskStore, TaskStoreError } from "@baton/core"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Latch, Layer, Queue, Ref, Schema, Stream } from "effect"
import { HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { connect } from "node:net"
import { Events, layer as layerEvents } from "../../src/http/internal/events.ts"
import { layerShared } from "../../src/http/internal/workers.ts"
import * as Sharing from "../../src/http/internal/sharing.ts"
import { onStore } from "../sqlite/otherProcess.ts"
import { newFile } from "../sqlite/temporary.ts"
import { received, until, untilChange } from "./events.ts"
import { request } from "./request.ts"
import * as Server from "./server.ts"

describe("events", () => {
  it.live("begin with all queues, and continue with those that change", () =>
    Effect.gen(function* () {
      const { client, store } = yield* Server.Served
      yield* Server.add(store, "one", ["one/1"])
      yield* Server.add(store, "two", ["two/1"])
      const events = yield* received
      const first = yield* Queue.take(events)
      assert(first.event === "changed")
      assert.deepStrictEqual(
        first.data.queues.map(({ queue }) => queue),
        ["one", "two"]
      )
      yield* client.cancel({ payload: { ids: ["two/1"] } })
      const next = yield* until(events, "two", ({ cancelled }) => cancelled === 1)
      assert.deepStrictEqual(
        next.queues.map(({ queue }) => queue),
        ["two"]
      )
      yield* client.control({ payload: { request: "pause" } })
      yield* untilChange(events, ({ control }) => control.paused)
      yield* store.prune({ statuses: ["cancelled"] })
      yield* untilChange(events, ({ removed }) => removed.includes("two"))
    }).pipe(Effect.provide(Server.layer()))
  )

  it.live("end, and are not cut, when the server is about to stop", () =>
    Effect.gen(function* () {
      const isStopped = yield* Deferred.make<void>()
      const program = Effect.gen(function* () {
        const { client } = yield* Server.Served
        const events = yield* client.events()
        // Fails if the connection is cut.
        yield* Stream.runForEach(events, () => Deferred.succeed(isStopped, undefined))
      })
      yield* Effect.provide(program, Server.layer({ until: Deferred.await(isStopped) }))
    })
  )

  it.live("report changes after which every queue has as many tasks as before", () =>
    Effect.gen(function* () {
      const { store } = yield* Server.Served
      yield* Server.add(store, "same", ["same/1"])
      const events = yield* received
      yield* Queue.take(events)
      const [claim] = yield* store.claim({ queues: ["same"], owner: "test", limit: 1, lease: Duration.minutes(1) })
      assert(claim !== undefined)
      yield* until(events, "same", ({ in_progress }) => in_progress === 1)
      yield* store.checkpoint([{ ...claim, taskId: claim.task.id, execution: Execution.make({ output: "x" }) }])
      yield* store.settle([{ _tag: "Release", taskId: claim.task.id, token: claim.token, reason: "" }])
      yield* store.claim({ queues: ["same"], owner: "test", limit: 1, lease: Duration.minutes(1) })
      yield* untilChange(events, () => true)
    }).pipe(Effect.provide(Server.layer()))
  )

  it.live("report what another process does", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const program = Effect.gen(function* () {
        const events = yield* received
        const other = yield* onStore(filename)
        yield* other.call({ op: "add", ids: ["1", "2", "3"] })
        yield* until(events, "default", ({ pending }) => pending === 3)
        yield* other.call({ op: "drain", limit: 1 })
        yield* until(events, "default", ({ completed }) => completed === 3)
      })
      yield* Effect.provide(program, Server.layer({}, SqliteTaskStore.layer({ filename })))
    })
  )

  it.live("reach the other clients while one does not read", () =>
    Effect.gen(function* () {
      const { store, url } = yield* Server.Served
      const { port } = new URL(url)
      // It sends its request and never reads the answer.
      yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof connect>>((resume) => {
          const socket = connect(Number(port), "127.0.0.1", () => {
            socket.pause()
            socket.write(`GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`, () =>
              resume(Effect.succeed(socket))
            )
          })
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const events = yield* received
      for (let index = 1; index <= 5; index++) {
        yield* Server.add(store, "busy", [`busy/${index}`])
        yield* until(events, "busy", ({ pending }) => pending === index)
      }
    }).pipe(Effect.provide(Server.layer()))
  )
})

describe("clients that accept a list of the last second", () => {
  const headers = { "cache-control": "max-age=1" }
  const decode = Schema.decodeEffect(
    Schema.fromJsonString(Schema.Struct({ tasks: Schema.Array(Schema.Struct({ id: Schema.String })) }))
  )

  it.effect("share one read of it, until it is older or clients know of a change", () =>
    Effect.gen(function* () {
      let reads = 0
      let version = 0
      const answer = yield* Sharing.make({
        version: () => version,
        schema: Schema.Int,
        read: (_query: { readonly status: string }) => Effect.sync(() => ++reads)
      })
      const request = HttpServerRequest.fromWeb(new Request("http://localhost/api/tasks", { headers }))
      const five = (status = "failed") =>
        Effect.all(
          Array.from({ length: 5 }, () => answer({ status }, request)),
          { concurrency: "unbounded" }
        )
      yield* five()
      assert.strictEqual(reads, 1)
      yield* five("pending")
      assert.strictEqual(reads, 2)
      version++
      yield* five()
      assert.strictEqual(reads, 3)
      yield* TestClock.adjust("1 second")
      yield* five()
      assert.strictEqual(reads, 4)
      yield* answer({ status: "failed" }, HttpServerRequest.fromWeb(new Request("http://localhost/api/tasks")))
      assert.strictEqual(reads, 5)
    })
  )

  it.live("see each change that an event or an answer has told them", () =>
    Effect.gen(function* () {
      const { client, store, url } = yield* Server.Served
      const list = Effect.flatMap(request(`${url}/api/tasks?status=pending`, { headers }), ({ body }) =>
        Effect.map(decode(body), ({ tasks }) => tasks.map(({ id }) => id))
      )
      yield* Server.add(store, "shared", ["shared/1", "shared/2"])
      const events = yield* received
      yield* Queue.take(events)
      assert.deepStrictEqual(yield* list, ["shared/1", "shared/2"])
      yield* Server.add(store, "shared", ["shared/3"])
      yield* until(events, "shared", ({ pending }) => pending === 3)
      assert.deepStrictEqual(yield* list, ["shared/1", "shared/2", "shared/3"])
      yield* client.cancel({ payload: { ids: ["shared/1"] } })
      assert.deepStrictEqual(yield* list, ["shared/2", "shared/3"])
    }).pipe(Effect.provide(Server.layer()))
  )
})

describe("the workers of queues", () => {
  it.effect("are read once a second at most, whatever shows them", () =>
    Effect.gen(function* () {
      let reads = 0
      const store = yield* TaskStore.TaskStore
      const workers = Effect.suspend(() => {
        reads++
        return store.workers
      })
      const shared = yield* Effect.provide(
        TaskStore.TaskStore,
        Layer.provide(layerShared, Layer.succeed(TaskStore.TaskStore, { ...store, workers }))
      )
      const five = Effect.all(
        Array.from({ length: 5 }, () => shared.workers),
        { concurrency: "unbounded" }
      )
      yield* five
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("999 millis")
      yield* five
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("1 millis")
      yield* five
      assert.strictEqual(reads, 2)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )
})

const poll = TestClock.adjust("500 millis")

/** Reads the events of a subscriber while the latch is open. */
const readWhile = Effect.fnUntraced(function* (latch: Latch.Latch) {
  const stream = yield* (yield* Events).subscribe
  const texts: Array<string> = []
  yield* stream.pipe(
    Stream.decodeText,
    Stream.filter((text) => text.startsWith("event: ")),
    Stream.runForEach((text) =>
      Effect.andThen(
        latch.await,
        Effect.sync(() => texts.push(text))
      )
    ),
    Effect.forkScoped
  )
  return texts
})

const pendingIn = (text: string | undefined) => Number(/"pending":(\d+)/.exec(text ?? "")?.[1])

describe("a client that does not read its events", () => {
  it.effect("loses events, receives a request to reload, and continues with the present state", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const latch = yield* Latch.make(false)
      const texts = yield* readWhile(latch)
      const changes = 200
      for (let index = 1; index <= changes; index++) {
        yield* Server.add(store, "lost", [`lost/${index}`])
        yield* poll
      }
      yield* latch.open
      yield* Effect.repeat(poll, { until: () => texts.at(-1)?.startsWith("event: reload") === true })
      assert.isBelow(texts.length, changes)
      yield* Server.add(store, "lost", [`lost/${changes + 1}`])
      yield* Effect.repeat(poll, { until: () => pendingIn(texts.at(-1)) === changes + 1 })
    }).pipe(Effect.provide(Layer.provideMerge(layerEvents, TaskStore.layerMemory)))
  )
})

describe("a store that was away", () => {
  const isAway = Ref.makeUnsafe(false)
  const unavailable = new TaskStoreError({ reason: "Unavailable", message: "The database cannot be reached." })
  const layerAway = Layer.effect(
    TaskStore.TaskStore,
    Effect.map(TaskStore.TaskStore, (store) => ({
      ...store,
      queues: Effect.flatMap(Ref.get(isAway), (away) => (away ? Effect.fail(unavailable) : store.queues))
    }))
  ).pipe(Layer.provide(TaskStore.layerMemory))

  it.effect("makes clients reload when it is back", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const texts = yield* readWhile(yield* Latch.make(true))
      yield* poll
      yield* Ref.set(isAway, true)
      yield* poll
      yield* Server.add(store, "back", ["back/1"])
      yield* Ref.set(isAway, false)
      yield* Effect.repeat(poll, { until: () => pendingIn(texts.at(-1)) === 1 })
      assert.deepStrictEqual(
        texts.map((text) => text.split("\n")[0]),
        ["event: changed", "event: reload", "event: changed"]
      )
    }).pipe(Effect.provide(Layer.provideMerge(layerEvents, layerAway)))
  )
})
