import { assert, describe, it } from "@effect/vitest"
import { Effect, Sink, Stdio } from "effect"
import { TestClock } from "effect/testing"
import * as importProgress from "../../src/view/importProgress.ts"
import * as Style from "../../src/view/style.ts"

/** An import in a pipe, where a line is printed every ten seconds, and what it has printed. */
const open = Effect.fnUntraced(function* (isHidden: boolean) {
  const written: Array<string> = []
  const terminal = { canAnimate: false, style: Style.none, size: () => ({ columns: 80, rows: 24 }) }
  const { onProgress } = yield* importProgress.make(terminal, { isHidden }).pipe(
    Effect.provide(
      Stdio.layerTest({
        stderr: () => Sink.forEach((part: string | Uint8Array) => Effect.sync(() => written.push(String(part))))
      })
    )
  )
  return { onProgress, printed: () => written.join("") }
})

describe("the progress of an import", () => {
  it.effect("is shown while a million rows are read, checked and added", () =>
    Effect.gen(function* () {
      const { onProgress, printed } = yield* open(false)
      yield* TestClock.adjust("10.1 seconds")
      onProgress({ step: "checking", tasks: 400_000 })
      yield* TestClock.adjust("10 seconds")
      onProgress({ step: "checking", tasks: 1_000_000 })
      onProgress({ step: "adding", tasks: 250_000 })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(printed().split("\n"), [
        "reading the sources  10s",
        "checking the sources: 400,000 tasks  20s",
        "adding 250,000 of 1,000,000 tasks  30s",
        ""
      ])
    })
  )

  it.effect("is not shown by a quiet run", () =>
    Effect.gen(function* () {
      const { onProgress, printed } = yield* open(true)
      onProgress({ step: "adding", tasks: 1 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(printed(), "")
    })
  )
})
