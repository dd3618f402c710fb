import { Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Queue, type Scope, Sink, Stdio } from "effect"
import { TestClock } from "effect/testing"
import * as Style from "../../src/view/style.ts"
import * as Display from "../../src/view/Display.ts"
import { showCursor } from "../../src/view/live/frameWriter.ts"
import * as keyboardOf from "../../src/system/keyboard.ts"
import type { Keyboard } from "../../src/system/keyboard.ts"
import * as events from "./events.ts"
import * as xterm from "./live/xterm.ts"

/** A display that writes to a pipe, and its output so far. */
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
      rateLimitedSince: () => undefined,
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
  const shown = Effect.suspend(() => {
    const { screen, write } = xterm.open(80, 24)
    return Effect.map(write(written.join("")), screen)
  })
  const feed = (...fed: ReadonlyArray<Parameters<Display.Display["hook"]>[0]>) =>
    Effect.forEach(fed, display.hook, { discard: true })
  return { display, feed, shown, text: () => written.join("") }
})

const test = (name: string, effect: Effect.Effect<void, unknown, TaskStore.TaskStore | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(Effect.scoped(effect), TaskStore.layerMemory, { local: true }))

const add = (...ids: ReadonlyArray<string>) =>
  TaskStore.TaskStore.use((store) => store.add(ids.map((id) => Task.makeNew({ id, description: `do ${id}` }))))

const elsewhere = (limit: number) =>
  TaskStore.TaskStore.use((store) => store.claim({ limit, owner: "elsewhere", lease: Duration.hours(1) }))

describe("Display", () => {
  test(
    "reports that it waits for tasks of other workers",
    Effect.gen(function* () {
      yield* add("a", "b", "c")
      yield* elsewhere(2)
      const { text } = yield* open()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0/3 done, waiting for 2 tasks of other workers (leases last 30s)\n")
    })
  )

  test(
    "shows when the next retry starts",
    Effect.gen(function* () {
      yield* add("a")
      const { feed, text } = yield* open()
      yield* feed(events.started(0, "a"), events.retried(1, "a", 1, 60_000))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0/1 done, 1 retrying, next retry in 51s\n")
    })
  )

  test(
    "shows when the next delayed task is due",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const due = [3600, 7200].map((seconds) => DateTime.makeUnsafe(seconds * 1000))
      yield* store.add(due.map((availableAt, n) => Task.makeNew({ id: `t${n}`, description: "later", availableAt })))
      const { text } = yield* open()
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0/2 done, next task due in 59m\n")
    })
  )

  test(
    "an idle worker waits for tasks and includes tasks completed by others",
    Effect.gen(function* () {
      const { text } = yield* open({ endless: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(text(), "0 done, waiting for tasks\n")
    })
  )

  test(
    "shows at most ten failures per second and counts the others",
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
    "reports a dead worker in one line, and at most ten of its tasks per second",
    Effect.gen(function* () {
      const { display, feed, text } = yield* open()
      yield* feed(...Array.from({ length: 25 }, (_, n) => events.reclaimed(1, `t${n}`, "pending")))
      yield* feed(...Array.from({ length: 25 }, (_, n) => events.reclaimed(1, `f${n}`, "failed")))
      yield* display.flush
      const lines = text().trimEnd().split("\n")
      assert.lengthOf(lines, 11)
      assert.strictEqual(lines[0], "! a worker (host/1-abc) stopped responding; its tasks are taken over")
    })
  )

  test(
    "reports only failures if it is quiet",
    Effect.gen(function* () {
      yield* add("a", "b")
      const { feed, text } = yield* open({ quiet: true })
      yield* feed(events.started(0, "a"), events.failed(1, "a", "no"), events.completed(1, "b"))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(text(), "✗ a (do a) failed after 3 attempts: no\n")
    })
  )
})

/** A display on a terminal with a keyboard, and the effects of its keys on the run. */
const openLive = Effect.fnUntraced(function* (options: Partial<Display.Options> = {}) {
  const opened = yield* open({
    terminal: { canAnimate: true, style: Style.none, size: () => ({ columns: 80, rows: 24 }) },
    ...options
  })
  const typed = yield* Queue.unbounded<string>()
  const done: Array<string> = []
  const does = (what: string) => Effect.sync(() => void done.push(what))
  const keyboard: Keyboard = {
    key: Queue.take(typed),
    suspend: does("suspend"),
    quit: does("quit"),
    regain: does("regain")
  }
  yield* opened.display
    .listen({ pause: does("pause"), resume: does("resume"), stop: does("stop") })
    .pipe(Effect.provideService(keyboardOf.Keyboard, Effect.succeed(keyboard)))
  const type = (...keys: ReadonlyArray<string>) =>
    Effect.andThen(Queue.offerAll(typed, keys), TestClock.adjust("200 millis"))
  return { ...opened, type, done }
})

describe("Display on a terminal", () => {
  test(
    "keys pause, resume and stop the run; other keys do nothing",
    Effect.gen(function* () {
      yield* add("a")
      const { done, type } = yield* openLive()
      yield* type("p", "x", "r", "[A", "Q")
      assert.deepStrictEqual(done, ["pause", "resume", "stop"])
    })
  )

  test(
    "lists the keys for the state of the run",
    Effect.gen(function* () {
      yield* add("a")
      const { feed, shown, type } = yield* openLive()
      const last = Effect.map(shown, (lines) => lines.at(-1))
      yield* type()
      assert.strictEqual(yield* last, "p pause   q stop   ? help")
      yield* feed(events.plain("Paused", 1))
      yield* type()
      assert.strictEqual(yield* last, "r resume   q stop   ? help")
      yield* feed(events.reasoned("Draining", 2, "a stop was requested"))
      yield* type()
      assert.strictEqual(yield* last, "waiting for running tasks   Ctrl-C twice exits at once   ? help")
      assert.deepStrictEqual((yield* shown).slice(0, 2), [
        "! paused; press r to resume",
        "! a stop was requested: 0 tasks can finish; Ctrl-C twice exits at once"
      ])
    })
  )

  test(
    "toggles the help",
    Effect.gen(function* () {
      yield* add("a")
      const { shown, type } = yield* openLive()
      yield* type("?")
      assert.include((yield* shown).join("\n"), "pause: start no new tasks")
      yield* type("?")
      assert.notInclude((yield* shown).join("\n"), "pause: start no new tasks")
    })
  )

  test(
    "shows failures in the view, or as lines if the terminal is too small for a view",
    Effect.gen(function* () {
      yield* add("a")
      const wide = yield* openLive()
      yield* wide.feed(events.started(0, "a"), events.failed(1, "a", "no"))
      yield* wide.type()
      const lines = yield* wide.shown
      assert.isTrue(lines[0]?.startsWith("running"))
      assert.include(lines, "✗ a         3/3      0s  no")
      const tiny = yield* openLive({
        terminal: { canAnimate: true, style: Style.none, size: () => ({ columns: 60, rows: 6 }) }
      })
      yield* tiny.feed(events.started(0, "a"), events.failed(1, "a", "no"))
      yield* tiny.type()
      assert.strictEqual((yield* tiny.shown)[0], "✗ a (do a) failed after 3 attempts: no")
      assert.strictEqual((yield* tiny.shown).length, 2)
    })
  )

  test(
    "is cleared at the end of the run, except for permanent lines",
    Effect.gen(function* () {
      yield* add("a")
      const { display, feed, shown, type } = yield* openLive()
      yield* feed(events.started(0, "a"), events.cancelled(1, "a"))
      yield* type()
      yield* feed(events.ended(2, { _tag: "Drained", waiting: 0 }))
      display.line("the summary")
      yield* display.flush
      assert.deepStrictEqual(yield* shown, ["! a was cancelled", "the summary"])
    })
  )

  test(
    "clears the terminal before the process is suspended and draws again afterwards",
    Effect.gen(function* () {
      yield* add("a")
      const { done, text, type } = yield* openLive()
      yield* type()
      yield* type("suspend")
      assert.deepStrictEqual(done, ["suspend"])
      assert.isTrue(text().includes(showCursor) && text().lastIndexOf("?25l") > text().lastIndexOf("?25h"))
    })
  )

  test(
    "accepts no keys and draws nothing if it is quiet",
    Effect.gen(function* () {
      yield* add("a")
      const { done, text, type } = yield* openLive({ quiet: true })
      yield* type("p")
      assert.deepStrictEqual([done, text()], [[], ""])
    })
  )
})
