import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FrameWriter from "../../../src/view/live/frameWriter.ts"
import * as xterm from "./xterm.ts"

/** A writer for a terminal of this size. */
const open = (columns: number, rows: number) => {
  const terminal = xterm.open(columns, rows)
  const frames = FrameWriter.make()
  const written: Array<string> = []
  const write = (text: string) => {
    written.push(text)
    return terminal.write(text)
  }
  const draw = (frame: ReadonlyArray<string>, ...lasting: ReadonlyArray<string>) =>
    Effect.suspend(() => write(frames.draw(frame, lasting, terminal.size())))
  return { ...terminal, draw, frames, written, type: write }
}

const view = (from: number, count: number, width = 20) =>
  Array.from({ length: count }, (_, index) => `line ${from + index} `.padEnd(width, "."))

describe("frame writer", () => {
  it.effect("replaces the previous lines with more or fewer lines", () =>
    Effect.gen(function* () {
      const { all, draw } = open(40, 12)
      for (const count of [3, 8, 8, 1, 5, 2]) {
        yield* draw(view(count, count))
        assert.deepStrictEqual(all(), view(count, count))
      }
    })
  )

  it.effect("permanent lines are written above, and none is lost when they scroll out of view", () =>
    Effect.gen(function* () {
      const { all, draw } = open(40, 8)
      const lasting: Array<string> = []
      for (let n = 0; n < 20; n++) {
        lasting.push(`lasting ${n}`)
        yield* draw(view(n, 5), `lasting ${n}`)
        yield* draw(view(n + 100, 6))
      }
      assert.deepStrictEqual(all(), [...lasting, ...view(119, 6)])
    })
  )

  it.effect("writes nothing if nothing changed, and otherwise writes once", () =>
    Effect.gen(function* () {
      const { draw, written } = open(40, 12)
      yield* draw(view(1, 4))
      yield* draw(view(1, 4))
      yield* draw(["else", ...view(2, 3)], "lasting")
      assert.strictEqual(written[1], "")
      for (const text of [written[0], written[2]]) {
        // eslint-disable-next-line no-control-regex
        assert.match(text ?? "", /^\u001B\[\?2026h[^]*\u001B\[\?2026l$/)
        assert.strictEqual(text?.match(/\?2026/g)?.length, 2)
      }
    })
  )

  it.effect("hides the cursor while lines are drawn and shows it afterwards", () =>
    Effect.gen(function* () {
      const { draw, frames, written } = open(40, 12)
      yield* draw([], "before")
      yield* draw(view(1, 2))
      yield* draw(view(2, 2))
      yield* draw([])
      const has = (sequence: string) => written.map((text) => text.includes(sequence))
      assert.deepStrictEqual(has("\u001B[?25l"), [false, true, false, false])
      assert.deepStrictEqual(has("\u001B[?25h"), [false, false, false, true])
      assert.strictEqual(frames.leave(), "")
      yield* draw(view(3, 2))
      assert.strictEqual(frames.leave(), FrameWriter.showCursor)
    })
  )

  it.effect("leaves no remains after a resize in any direction", () =>
    Effect.gen(function* () {
      const { all, draw, resize } = open(60, 20)
      const fitted = (columns: number, rows: number, n: number) => view(n, Math.min(9, rows - 2), columns - 1)
      yield* draw(fitted(60, 20, 0), "lasting")
      const sizes = [
        [40, 20],
        [23, 20],
        [80, 20],
        [80, 12],
        [80, 24],
        [44, 22]
      ] as const
      for (const [n, [columns, rows]] of sizes.entries()) {
        yield* resize(columns, rows)
        yield* draw(fitted(columns, rows, n))
        assert.deepStrictEqual(all(), ["lasting", ...fitted(columns, rows, n)], `${columns}x${rows}`)
      }
    })
  )

  it.effect("continues below the output of other programs", () =>
    Effect.gen(function* () {
      const { all, draw, frames, type } = open(40, 20)
      yield* draw(view(1, 2))
      yield* type(frames.leave())
      yield* type("[1]+ Stopped\n$ fg\n")
      yield* draw(view(5, 2))
      yield* draw(view(7, 2))
      assert.deepStrictEqual(all(), [...view(1, 2), "[1]+ Stopped", "$ fg", ...view(7, 2)])
    })
  )

  it.effect("accounts for the width of wide characters", () =>
    Effect.gen(function* () {
      const { all, draw } = open(20, 10)
      yield* draw(["四半期報告書の第三", "🎉🎉", "\u001B[31mred\u001B[39m"])
      yield* draw(["四半期報告書の第三", "👩‍👩‍👧 x", "\u001B[31mred\u001B[39m"])
      assert.deepStrictEqual(all().length, 3)
      assert.strictEqual(all()[0], "四半期報告書の第三")
    })
  )
})
