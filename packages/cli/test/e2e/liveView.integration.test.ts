import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import { baton, folder, list } from "./baton.ts"
import * as tmux from "./tmux.ts"

const run = "baton run tasks.txt --shell 'sleep 0.3; cat' --verify 'grep -q [0-9]' -j 6"

/** A shell on a terminal of this size, in a folder with 400 tasks. */
const open = Effect.fnUntraced(function* (columns: number, rows: number) {
  const dir = yield* folder
  dir.write("tasks.txt", Array.from({ length: 400 }, (_, n) => `Name a prime above ${n}`).join("\n"))
  return { dir, terminal: yield* tmux.open(dir.path, columns, rows) }
})

/** The view, after a few tasks have completed. */
const working = (lines: ReadonlyArray<string>) =>
  lines.some((line) => /^running {2}[█▓░]+ .*\/400$/.test(line)) &&
  lines.some((line) => /^tasks +[1-9]\d* completed/.test(line)) &&
  lines.some((line) => /executing +Name a prime above \d+$/.test(line))

/** Checks that the terminal is restored: keys are echoed, lines can be edited, the cursor is visible. */
const isClean = Effect.fnUntraced(function* (terminal: tmux.Terminal) {
  yield* terminal.enter("echo code $?; stty -a | tr ' ' '\\n' | grep -x -e -echo -e echo -e -icanon -e icanon -e isig")
  const lines = yield* terminal.until((lines) => lines.includes("icanon") || lines.includes("-icanon"))
  const modes = (yield* terminal.until((lines) => lines.at(-1) === "$")).filter((line) =>
    /^-?(?:echo|icanon|isig)$/.test(line)
  )
  assert.deepStrictEqual(modes.toSorted(), ["echo", "icanon", "isig"])
  assert.isTrue(yield* terminal.isCursorVisible)
  return lines.find((line) => line.startsWith("code "))
})

/** Checks that the view is cleared and that no task is lost. */
const isDrained = Effect.fnUntraced(function* (cwd: string, lines: ReadonlyArray<string>) {
  assert.isFalse(lines.some((line) => /[█▓░]|executing|latest failures/.test(line)))
  const tasks = yield* list(cwd)
  assert.strictEqual(tasks.length, 400)
  assert.isTrue(tasks.every(({ status }) => status === "completed" || status === "pending"))
  assert.isTrue(tasks.some(({ status }) => status === "completed"))
})

const test = (name: string, effect: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(effect))

describe.skipIf(!tmux.isInstalled)("the live view in a terminal (needs tmux)", () => {
  for (const [columns, rows] of [
    [80, 24],
    [160, 50]
  ] as const) {
    test(
      `q ends the run and restores the terminal, at ${columns} by ${rows}`,
      Effect.gen(function* () {
        const { dir, terminal } = yield* open(columns, rows)
        yield* terminal.enter(run)
        const lines = yield* terminal.until(working)
        // Hidden at the end of the drawing, which the terminal can read in parts.
        yield* Effect.repeat(terminal.isCursorVisible, {
          until: (isVisible) => !isVisible,
          schedule: Schedule.spaced("50 millis")
        })
        assert.strictEqual(lines.at(-1), "p pause   q stop   ? help")
        // Tasks of less than a second leave no blank lines behind.
        assert.isFalse(
          lines.some((line, index) => line === "" && lines[index + 1] === ""),
          lines.join("\n")
        )
        yield* terminal.press("q")
        yield* terminal.line(/^! Stopped as requested: \d+ of 400 tasks completed/)
        assert.strictEqual(yield* isClean(terminal), "code 143")
        yield* isDrained(dir.path, yield* terminal.screen)
      })
    )
  }

  test(
    "Ctrl-C drains the run, a second one ends it at once; both restore the terminal",
    Effect.gen(function* () {
      const { dir, terminal } = yield* open(80, 24)
      yield* terminal.enter(run)
      yield* terminal.until(working)
      yield* terminal.press("C-c")
      yield* terminal.line(/^! Interrupted: \d+ of 400 tasks completed/)
      assert.strictEqual(yield* isClean(terminal), "code 130")
      yield* isDrained(dir.path, yield* terminal.screen)

      yield* terminal.enter("clear; baton run --shell 'sleep 60' --no-verify --lease 1s")
      yield* terminal.line(/executing/)
      yield* terminal.press("C-c")
      yield* terminal.line(/^waiting for running tasks {3}Ctrl-C exits at once/)
      yield* terminal.press("C-c")
      yield* terminal.until((lines) => lines.at(-1) === "$")
      assert.strictEqual(yield* isClean(terminal), "code 130")
    })
  )

  test(
    "`baton stop` in another terminal ends the run and restores this terminal",
    Effect.gen(function* () {
      const { dir, terminal } = yield* open(80, 24)
      yield* terminal.enter(run)
      yield* terminal.until(working)
      const { code, stdout } = yield* baton(dir.path, ["stop"])
      assert.strictEqual(code, 0)
      assert.include(stdout, "Asked every run to stop.")
      yield* terminal.line(/^! Stopped as requested/)
      assert.strictEqual(yield* isClean(terminal), "code 143")
      yield* isDrained(dir.path, yield* terminal.screen)
    })
  )

  test(
    "p pauses, r resumes, a resize redraws, and Ctrl-Z and fg suspend and continue",
    Effect.gen(function* () {
      const { terminal } = yield* open(80, 24)
      yield* terminal.enter(run)
      yield* terminal.until(working)
      yield* terminal.press("p")
      yield* terminal.line(/^paused {3}[█▓░]/)
      yield* terminal.line(/^r resume {3}q stop {3}\? help$/)
      yield* terminal.press("r")
      yield* terminal.until(working)

      for (const [columns, rows] of [
        [60, 20],
        [120, 40],
        [70, 30],
        [100, 30]
      ] as const) {
        yield* terminal.resize(columns, rows)
        // The view is as wide as the terminal and appears once.
        const isRedrawn = (lines: ReadonlyArray<string>) =>
          lines.filter((line) => line.includes("█")).length === 1 &&
          lines.some((line) => /█.*\/400$/.test(line) && line.length === columns - 1)
        yield* terminal.until(isRedrawn)
      }

      yield* terminal.press("C-z")
      yield* terminal.line(/Stopped/)
      assert.isTrue(yield* terminal.isCursorVisible)
      yield* terminal.enter("clear; fg")
      yield* terminal.until(working)
      // Hidden at the end of the drawing, which the terminal can read in parts.
      yield* Effect.repeat(terminal.isCursorVisible, {
        until: (isVisible) => !isVisible,
        schedule: Schedule.spaced("50 millis")
      })
      yield* terminal.press("q")
      yield* terminal.line(/^! Stopped as requested/)
      yield* isClean(terminal)
    })
  )

  test(
    "a run in the background writes lines and is not stopped for accessing the terminal",
    Effect.gen(function* () {
      const { terminal } = yield* open(80, 24)
      yield* terminal.enter(`${run} --max-iterations 20 &`)
      yield* terminal.line(/20 attempts/)
      assert.isFalse((yield* terminal.screen).some((line) => /█|^\[\d+\].*Stopped/.test(line)))
      yield* terminal.enter("clear; wait; echo over")
      yield* terminal.line(/^over$/)
    })
  )

  test(
    "status --watch shows the running tasks, and q exits",
    Effect.gen(function* () {
      const { dir, terminal } = yield* open(80, 24)
      const other = yield* tmux.open(dir.path, 80, 24)
      yield* terminal.enter(run)
      yield* terminal.until(working)
      yield* other.enter("baton status --watch")
      yield* other.until(working)
      yield* other.press("q")
      yield* other.line(/^400 tasks/)
      yield* isClean(other)
      yield* terminal.press("q")
      yield* terminal.line(/^! Stopped as requested/)
    })
  )

  test(
    "an import of many rows shows how many were added, and ends at Ctrl-C",
    Effect.gen(function* () {
      const { dir, terminal } = yield* open(80, 24)
      // The import takes longer than the key, also if this process waits for a busy machine.
      dir.write("many.txt", Array.from({ length: 1_000_000 }, (_, n) => `Name a prime above ${n}`).join("\n"))
      yield* terminal.enter("baton import many.txt")
      yield* terminal.line(/^adding [\d,]+ of 1,000,000 tasks {2}\d+s$/)
      yield* terminal.press("C-c")
      yield* terminal.enter("echo code $?")
      yield* terminal.line(/^code 130$/)
    })
  )
})
