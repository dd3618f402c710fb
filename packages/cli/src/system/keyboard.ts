/**
 * Reads single keys while a command runs.
 *
 * In raw mode, the terminal does not echo keys and does not turn Ctrl-C, Ctrl-\ and Ctrl-Z into signals, so this module
 * sends the signals to the process group.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** An open keyboard. */
export interface Keyboard {
  /** Waits for the next key. `suspend` is Ctrl-Z, `quit` is Ctrl-\, and `continue` follows a SIGCONT from another process. */
  readonly key: Effect.Effect<string>
  /** Releases the terminal and stops the process. Returns when the process continues in the foreground. */
  readonly suspend: Effect.Effect<void>
  /** Releases the terminal and sends SIGQUIT. */
  readonly quit: Effect.Effect<void>
  /** Returns when this process is in the foreground. */
  readonly regain: Effect.Effect<void>
}

const interrupt = "\u0003"
const suspend = "\u001A"
const quit = "\u001C"

/** Time for a signal to stop the process. */
const stopDelay = "100 millis"

/** How often a background process checks whether it is in the foreground again. */
const foregroundChecks = Schedule.spaced("1 second")

const listen: Effect.Effect<Keyboard | undefined, never, Scope.Scope> = Effect.gen(function* () {
  const { stdin } = process
  if (!stdin.isTTY || !isForeground()) return undefined
  const keys = yield* Queue.unbounded<string>()

  const onData = (data: string) => {
    for (const character of data) {
      if (character === interrupt) signal("SIGINT")
      else if (character === quit) Queue.offerUnsafe(keys, "quit")
      else if (character === suspend) Queue.offerUnsafe(keys, "suspend")
    }
    // Several characters at once are an arrow key or pasted text, which may contain a q.
    if (data.length === 1 && data >= " ") Queue.offerUnsafe(keys, data)
  }
  const onContinue = () => Queue.offerUnsafe(keys, "continue")

  const acquire = Effect.sync(() => {
    stdin.setRawMode(true)
    stdin.setEncoding("utf8").on("data", onData).resume()
  })
  const release = Effect.sync(() => {
    stdin.off("data", onData).pause()
    stdin.setRawMode(false)
  })
  const regain = Effect.andThen(
    Effect.repeat(Effect.sync(isForeground), { until: (is) => is, schedule: foregroundChecks }),
    acquire
  )

  const onExit = () => stdin.setRawMode(false)
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("exit", onExit).on("SIGCONT", onContinue)),
    () => Effect.sync(() => process.off("exit", onExit).off("SIGCONT", onContinue))
  )
  yield* Effect.acquireRelease(acquire, () => release)
  return {
    key: Queue.take(keys),
    regain: Effect.andThen(release, regain),
    quit: Effect.andThen(
      release,
      Effect.sync(() => signal("SIGQUIT"))
    ),
    suspend: Effect.gen(function* () {
      yield* release
      signal("SIGTSTP")
      yield* Effect.sleep(stopDelay)
      yield* regain
      // Discard the `continue` of this suspension.
      yield* Queue.clear(keys)
    })
  }
})

const signal = (name: NodeJS.Signals) => {
  if (process.platform === "win32") process.emit(name)
  else process.kill(0, name)
}

/**
 * Opens the keyboard until the scope closes. Undefined without a terminal, or if another process is in the foreground.
 */
export const Keyboard = Context.Reference<Effect.Effect<Keyboard | undefined, never, Scope.Scope>>(
  "@baton/cli/system/Keyboard",
  { defaultValue: () => listen }
)

/**
 * Whether this process is in the foreground of its terminal, and not in the background after `&` or `bg`. The system stops
 * a background process that changes the modes of the terminal, so this must be checked first.
 */
export const isForeground = (): boolean => {
  if (process.platform === "win32") return true
  const [group, foreground] = groups()
  return group !== undefined && group === foreground
}

/** The process group of this process and the foreground group of its terminal. */
const groups = (): ReadonlyArray<string> => {
  if (process.platform === "linux") {
    try {
      // The name of the program, in parentheses, can contain any characters.
      const [, , group = "", , , foreground = ""] = readFileSync("/proc/self/stat", "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
      return [group, foreground]
    } catch {
      // A system without /proc.
    }
  }
  const { stdout } = spawnSync("ps", ["-o", "pgid=,tpgid=", "-p", String(process.pid)], { encoding: "utf8" })
  return (stdout ?? "").trim().split(/\s+/)
}
