/**
 * Runs the main fiber of the process: signals, and the exit code at the end.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the main fiber, which drains; a second one ends the process at once. A
 * process that a signal stopped ends with 128 and the number of the signal: 130, 143, 129.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { receive, type Signal, signalExitCode, signals } from "./signals.ts"

/**
 * Runs an effect as the main program. Errors are not printed here: the effect has told its user what went wrong.
 *
 * @category running
 * @since 0.1.0
 */
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
