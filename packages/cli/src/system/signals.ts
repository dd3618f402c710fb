/**
 * The signals that end a process, and the exit codes that tell of them: 128 and the number of the signal.
 *
 * @since 0.1.0
 */

const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const

/** @since 0.1.0 */
export type Signal = keyof typeof codes

/**
 * All of them.
 *
 * @category models
 * @since 0.1.0
 */
export const signals = ["SIGHUP", "SIGINT", "SIGTERM"] as const satisfies ReadonlyArray<Signal>

let received: Signal | undefined

/**
 * Notes that a signal was received. Returns whether it was the first.
 *
 * @category running
 * @since 0.1.0
 */
export const receive = (signal: Signal): boolean => {
  if (received !== undefined) return false
  received = signal
  return true
}

/**
 * Whether a signal was received: the next one ends the process at once.
 *
 * @category getters
 * @since 0.1.0
 */
export const isReceived = (): boolean => received !== undefined

/**
 * The exit code of a process that was interrupted: by the signal that was received, or from within, as by Ctrl-C in a
 * prompt.
 *
 * @category getters
 * @since 0.1.0
 */
export const signalExitCode = (signal: Signal = received ?? "SIGINT"): number => codes[signal]
