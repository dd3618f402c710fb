/**
 * Runs the main fiber of the process: signals, and the exit code at the end.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the main fiber, which drains; a second one ends the process at once. A
 * process that a signal stopped ends with 128 and the number of the signal: 130, 143, 129.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"

/** Runs an effect as the main program. Errors are not printed here: the effect has told its user what went wrong. */
export const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const onSignal = (signal: Signal) => {
    if (!receive(signal)) {
      // Off the line that is redrawn.
      if (process.stderr.isTTY) process.stderr.write("\n")
      process.exit(signalExitCode(signal))
    }
    fiber.interruptUnsafe(fiber.id)
  }
  for (const signal of signals) process.on(signal, onSignal)

  fiber.addObserver((exit) => {
    teardown(exit, (code) => {
      const isInterrupted = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
      process.exitCode = isInterrupted ? signalExitCode() : code
      // What is still on its way to a pipe is written first.
      process.stdout.write("", () => process.exit())
    })
  })
})({ disableErrorReporting: true })

const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

export type Signal = keyof typeof codes

/** All of them. */
export const signals = ["SIGHUP", "SIGINT", "SIGTERM"] as const satisfies ReadonlyArray<Signal>

let received: Signal | undefined

/** Notes that a signal was received. Returns whether it was the first. */
export const receive = (signal: Signal): boolean => {
  if (received !== undefined) return false
  received = signal
  return true
}

/** Whether a signal was received: the next one ends the process at once. */
export const isReceived = (): boolean => received !== undefined

/**
 * The exit code of a process that was interrupted: by the signal that was received, or from within, as by Ctrl-C in a
 * prompt.
 */
export const signalExitCode = (signal: Signal = received ?? "SIGINT"): number => codes[signal]

/**
 * A spawner that leaves no program behind when the process has to end at once. In good order every program is stopped by
 * the scope that it runs in. A second signal does not wait for that, so the groups of the programs that still run are
 * killed while the process exits.
 */
export const layer: Layer.Layer<
  ChildProcessSpawner.ChildProcessSpawner,
  never,
  ChildProcessSpawner.ChildProcessSpawner
> = Layer.effect(
  ChildProcessSpawner.ChildProcessSpawner,
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const running = new Set<number>()
    const killAll = () => {
      for (const pid of running) kill(pid)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("exit", killAll)),
      () => Effect.sync(() => process.off("exit", killAll))
    )
    return ChildProcessSpawner.make(
      Effect.fnUntraced(function* (command) {
        let pid: number | undefined
        // Registered before the program starts, so that it runs after the program is gone.
        yield* Effect.addFinalizer(() => Effect.sync(() => pid !== undefined && running.delete(pid)))
        const handle = yield* spawner.spawn(command)
        pid = handle.pid
        running.add(pid)
        return handle
      })
    )
  })
)

const kill = (pid: number) => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended, or was never the leader of a group.
  }
}
