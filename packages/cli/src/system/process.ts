/**
 * Runs the main fiber of the process, handles signals and sets the exit code.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the main fiber, which drains the run. A second signal exits immediately.
 * After a signal, the exit code is 128 plus the number of the signal: 130, 143 or 129.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"

/** Runs an effect as the main program. Errors are not printed here, because the effect prints its own errors. */
export const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const onSignal = (signal: Signal) => {
    if (!receive(signal)) {
      // Leave the redrawn line.
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
      // Exit after pending output has been written to the pipe.
      process.stdout.write("", () => process.exit())
    })
  })
})({ disableErrorReporting: true })

const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

export type Signal = keyof typeof codes

/** All handled signals. */
export const signals = ["SIGHUP", "SIGINT", "SIGTERM"] as const satisfies ReadonlyArray<Signal>

let received: Signal | undefined

/** Records a received signal. Returns whether it is the first one. */
export const receive = (signal: Signal): boolean => {
  if (received !== undefined) return false
  received = signal
  return true
}

/** Whether a signal was received; the next one exits immediately. */
export const isReceived = (): boolean => received !== undefined

/** The exit code of an interrupted process: that of the received signal, or of SIGINT after Ctrl-C in a prompt. */
export const signalExitCode = (signal: Signal = received ?? "SIGINT"): number => codes[signal]

/**
 * A spawner that kills all running programs when the process exits immediately. Normally the scope of each program stops
 * it. A second signal does not wait for that, so the process groups of the running programs are killed during the exit.
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
        // Added before the program starts, so that it runs after the program has stopped.
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
    // The process has exited, or it is not the leader of a group.
  }
}
