import { assert, describe, it } from "@effect/vitest"
import { Effect, PlatformError, Scope, Exit, Sink, Stdio } from "effect"
import { TestClock } from "effect/testing"
import * as Style from "../../src/view/style.ts"
import { showCursor } from "../../src/view/live/frameWriter.ts"
import * as Screen from "../../src/view/Screen.ts"
import * as xterm from "./live/xterm.ts"

const standard = () => ({ columns: 80, rows: 24 })
const terminal = (canAnimate: boolean, size = standard) => ({ canAnimate, style: Style.none, size })

/** A screen and its output so far. */
const open = Effect.fnUntraced(function* (canAnimate: boolean, status: Screen.Status, size = standard) {
  const written: Array<string> = []
  const scope = yield* Scope.make()
  const screen = yield* Screen.make(terminal(canAnimate, size), status).pipe(
    Effect.provide(
      Stdio.layerTest({
        stderr: () => Sink.forEach((part: string | Uint8Array) => Effect.sync(() => written.push(String(part))))
      })
    ),
    Scope.provide(scope)
  )
  yield* TestClock.adjust(0)
  const shown = Effect.suspend(() => {
    const { all, write } = xterm.open(80, 24)
    return Effect.map(write(written.join("")), all)
  })
  return { screen, shown, written, close: Scope.close(scope, Exit.void) }
})

describe("Screen on a terminal", () => {
  it.effect("redraws at most ten times per second, with one write each time", () =>
    Effect.gen(function* () {
      let drawings = 0
      const { shown, written } = yield* open(
        true,
        Effect.sync(() => `line ${drawings++}\nof two`)
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(written.length, 11)
      assert.deepStrictEqual(yield* shown, ["line 10", "of two"])
    })
  )

  it.effect("writes nothing if nothing changed", () =>
    Effect.gen(function* () {
      const { written } = yield* open(true, Effect.succeed("same"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(written.length, 1)
    })
  )

  it.effect("permanent lines are written above the redrawn ones", () =>
    Effect.gen(function* () {
      const { screen, shown, written } = yield* open(true, Effect.succeed("status"))
      screen.line("one")
      screen.line("two")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(written.length, 2)
      assert.deepStrictEqual(yield* shown, ["one", "two", "status"])
    })
  )

  it.effect("clears the redrawn lines at the end, shows the cursor, and loses no permanent line", () =>
    Effect.gen(function* () {
      const { close, screen, shown, written } = yield* open(true, Effect.succeed("status"))
      screen.line("last")
      yield* close
      assert.deepStrictEqual(yield* shown, ["last"])
      assert.include(written.at(-1), showCursor)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(written.length, 2)
    })
  )

  it.effect("draws nothing during a resize and continues afterwards", () =>
    Effect.gen(function* () {
      const size = { columns: 80, rows: 24 }
      const { shown, written } = yield* open(true, Effect.succeed("status"), () => ({ ...size }))
      for (const columns of [70, 60, 50]) {
        size.columns = columns
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(yield* shown, [])
      }
      yield* TestClock.adjust("300 millis")
      assert.deepStrictEqual(yield* shown, ["status"])
      assert.strictEqual(written.length, 3)
    })
  )

  it.effect("writes only permanent lines while suspended, and continues below them", () =>
    Effect.gen(function* () {
      let drawings = 0
      const { screen, shown, written } = yield* open(
        true,
        Effect.sync(() => `line ${drawings++}`)
      )
      yield* screen.leave
      assert.strictEqual(written.at(-1), showCursor)
      screen.line("a notice")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* shown, ["line 0", "a notice"])
      yield* screen.resume
      assert.deepStrictEqual((yield* shown).slice(0, 2), ["line 0", "a notice"])
      assert.strictEqual((yield* shown).length, 3)
    })
  )
})

describe("Screen without a terminal", () => {
  it.effect("prints the progress every ten seconds on a separate line", () =>
    Effect.gen(function* () {
      let looks = 0
      const { screen, written } = yield* open(
        false,
        Effect.sync(() => `status ${looks++}`)
      )
      screen.line("a notice")
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(written, ["a notice\n"])
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(written, ["a notice\n", "status 0\n", "status 1\n"])
    })
  )

  it.effect("does not print the same line twice", () =>
    Effect.gen(function* () {
      const { written } = yield* open(false, Effect.succeed("waiting"))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(written, ["waiting\n"])
    })
  )

  it.effect("continues after the reader has closed the pipe", () =>
    Effect.gen(function* () {
      const broken = PlatformError.systemError({ _tag: "Unknown", module: "Stdio", method: "stderr" })
      const flushed = yield* Effect.scoped(
        Effect.gen(function* () {
          const screen = yield* Screen.make(terminal(false), Effect.succeed(undefined))
          screen.line("unread")
          return yield* Effect.exit(screen.flush)
        })
      ).pipe(Effect.provide(Stdio.layerTest({ stderr: () => Sink.fail(broken) })))
      assert.isTrue(Exit.isSuccess(flushed))
    })
  )
})
