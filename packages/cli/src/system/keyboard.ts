/**
 * The keys that are typed while a command is at work.
 *
 * The terminal hands them over one by one and shows none of them. It then does not make signals of Ctrl-C, Ctrl-\ and
 * Ctrl-Z any more, so that is done here, for the same processes: all of the group.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** A keyboard that is listened to. */
export interface Keyboard {
  /** Waits for the next key. `suspend` is Ctrl-Z, `quit` Ctrl-\, and `continue` says that the process was stopped by others and goes on. */
  readonly key: Effect.Effect<string>
  /** Gives the terminal back and stops the process. Returns when it goes on and the terminal is its own again. */
  readonly suspend: Effect.Effect<void>
  /** Gives the terminal back and ends the process as Ctrl-\ does. */
  readonly quit: Effect.Effect<void>
  /** Returns when the terminal is this process's own. */
  readonly regain: Effect.Effect<void>
}

const interrupt = "\u0003"
const suspend = "\u001A"
const quit = "\u001C"

/** A signal takes a moment to stop a process. */
const stopping = "100 millis"

/** How often a process in the background asks whether it is still there. */
const regularly = Schedule.spaced("1 second")

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
    // What comes in one piece is an arrow key or a text that was pasted, which may well hold a q.
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
    Effect.repeat(Effect.sync(isForeground), { until: (is) => is, schedule: regularly }),
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
      yield* Effect.sleep(stopping)
      yield* regain
      // That it goes on is known already.
      yield* Queue.clear(keys)
    })
  }
})

const signal = (name: NodeJS.Signals) => {
  if (process.platform === "win32") process.emit(name)
  else process.kill(0, name)
}

/**
 * Listens to the keyboard until the scope ends. Undefined where there is none, or where it belongs to another process.
 */
export const Keyboard = Context.Reference<Effect.Effect<Keyboard | undefined, never, Scope.Scope>>(
  "@baton/cli/process/Keyboard",
  { defaultValue: () => listen }
)

/**
 * Whether the terminal listens to this process: not when a shell started it with `&` or was told `bg`. A process in the
 * background that changes the modes of the terminal is stopped by the system, so this has to be asked before.
 */
export const isForeground = (): boolean => {
  if (process.platform === "win32") return true
  const [group, foreground] = groups()
  return group !== undefined && group === foreground
}

/** The process group of this process and that in the foreground of its terminal. */
const groups = (): ReadonlyArray<string> => {
  if (process.platform === "linux") {
    try {
      // The name of the program, in parentheses, can hold anything.
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
