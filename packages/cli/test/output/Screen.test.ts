import { assert, describe, it } from "@effect/vitest"
import { Effect, PlatformError, Scope, Exit, Sink, Stdio } from "effect"
import { TestClock } from "effect/testing"
import * as Style from "../../src/format/style.ts"
import * as Screen from "../../src/output/Screen.ts"

const erase = "\r\u001B[2K"

const terminal = (canAnimate: boolean) => ({ canAnimate, style: Style.none, columns: () => 80 })

/** A screen, and what it has written so far. */
const open = Effect.fnUntraced(function* (canAnimate: boolean, status: Screen.Status) {
  const written: Array<string> = []
  const scope = yield* Scope.make()
  const screen = yield* Screen.make(terminal(canAnimate), status).pipe(
    Effect.provide(
      Stdio.layerTest({
        stderr: () => Sink.forEach((part: string | Uint8Array) => Effect.sync(() => written.push(String(part))))
      })
    ),
    Scope.provide(scope)
  )
  yield* TestClock.adjust(0)
  return { screen, written, close: Scope.close(scope, Exit.void) }
})

describe("Screen on a terminal", () => {
  it.effect("redraws its line at most ten times a second", () =>
    Effect.gen(function* () {
      let drawings = 0
      const { written } = yield* open(
        true,
        Effect.sync(() => `line ${drawings++}`)
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(written.length, 11)
      assert.strictEqual(written.join(""), Array.from({ length: 11 }, (_, n) => `line ${n}`).join(erase))
    })
  )

  it.effect("writes nothing while nothing changes", () =>
    Effect.gen(function* () {
      const { written } = yield* open(true, Effect.succeed("same"))
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(written, ["same"])
    })
  )

  it.effect("lasting lines go above the line that is redrawn", () =>
    Effect.gen(function* () {
      const { screen, written } = yield* open(true, Effect.succeed("status"))
      screen.line("one")
      screen.line("two")
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(written, ["status", `${erase}one\ntwo\nstatus`])
    })
  )

  it.effect("takes its line away at the end, and loses no line", () =>
    Effect.gen(function* () {
      const { close, screen, written } = yield* open(true, Effect.succeed("status"))
      screen.line("last")
      yield* close
      assert.deepStrictEqual(written, ["status", `${erase}last\n`])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(written.length, 2)
    })
  )
})

describe("Screen without a terminal", () => {
  it.effect("prints where it stands every ten seconds, as lines of their own", () =>
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

  it.effect("does not repeat itself", () =>
    Effect.gen(function* () {
      const { written } = yield* open(false, Effect.succeed("waiting"))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(written, ["waiting\n"])
    })
  )

  it.effect("goes on when nobody reads it any more", () =>
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
