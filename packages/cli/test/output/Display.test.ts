import { Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, type Scope, Sink, Stdio } from "effect"
import { TestClock } from "effect/testing"
import * as Style from "../../src/format/style.ts"
import * as Display from "../../src/output/Display.ts"
import * as events from "./events.ts"

/** A display of a run on `store` that goes to a pipe, and what it has written so far. */
const open = Effect.fnUntraced(function* (options: Partial<Display.Options> = {}) {
  const written: Array<string> = []
  const store = yield* TaskStore.TaskStore
  const display = yield* Display.make(
    {
      terminal: { canAnimate: false, style: Style.none, size: () => ({ columns: Infinity, rows: Infinity }) },
      store,
      lease: Duration.seconds(30),
      concurrency: 4,
      maxAttempts: 3,
      limits: {},
      endless: false,
      quiet: false,
      ...options
    },
    yield* store.counts
  ).pipe(
    Effect.provide(
      Stdio.layerTest({
        stderr: () => Sink.forEach((part: string | Uint8Array) => Effect.sync(() => written.push(String(part))))
      })
    )
  )
  yield* TestClock.adjust(0)
  const feed = (...fed: ReadonlyArray<Parameters<Display.Display["hook"]>[0]>) =>
    Effect.forEach(fed, display.hook, { discard: true })
  return { display, feed, text: () => written.join("") }
})

const test = (name: string, effect: Effect.Effect<void, unknown, TaskStore.TaskStore | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(Effect.scoped(effect), TaskStore.layerMemory, { local: true }))

const add = (...ids: ReadonlyArray<string>) =>
  TaskStore.TaskStore.use((store) => store.add(ids.map((id) => Task.make({ id, description: `do ${id}` }))))

const elsewhere = (limit: number) =>
  TaskStore.TaskStore.use((store) => store.claim({ limit, owner: "elsewhere", lease: Duration.hours(1) }))

describe("Display", () => {
  test(
    "says which tasks other workers hold instead of looking hung",
    Effect.gen(function* () {
      yield* add("a", "b", "c")
      yield* elsewhere(2)
      const { text } = yield* open()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0/3 done, waiting for 2 tasks of other workers (leases last 30s)\n")
    })
  )

  test(
    "says when the next retry comes",
    Effect.gen(function* () {
      yield* add("a")
      const { feed, text } = yield* open()
      yield* feed(events.started(0, "a"), events.retried(1, "a", 1, 60_000))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0/1 done, 1 retrying, next retry in 51s\n")
    })
  )

  test(
    "a worker without work waits for tasks, and takes in what others completed",
    Effect.gen(function* () {
      const { text } = yield* open({ endless: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0 done, waiting for tasks\n")
    })
  )

  test(
    "shows no more than ten failures a second, and counts the others",
    Effect.gen(function* () {
      const { display, feed, text } = yield* open()
      yield* feed(...Array.from({ length: 25 }, (_, n) => events.failed(1, `t${n}`, "no")))
      yield* feed(events.failed(2, "later", "no"))
      yield* display.flush
      const lines = text().trimEnd().split("\n")
      assert.strictEqual(lines.length, 12)
      assert.deepStrictEqual(lines.slice(10), ["✗ 15 more tasks failed", "✗ later failed after 3 attempts: no"])
    })
  )

  test(
    "a quiet one tells of failures and of nothing else",
    Effect.gen(function* () {
      yield* add("a", "b")
      const { feed, text } = yield* open({ quiet: true })
      yield* feed(events.started(0, "a"), events.failed(1, "a", "no"), events.completed(1, "b"))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(text(), "✗ a (do a) failed after 3 attempts: no\n")
    })
  )
})
