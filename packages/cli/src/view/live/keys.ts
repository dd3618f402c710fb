/**
 * What the keys of the live view are called and do.
 *
 * @since 0.1.0
 */
import type { Progress } from "../Progress.ts"
import type { Hint } from "./View.ts"

/**
 * Who listens, and to what.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  readonly hasKeys: boolean
  /** Whether the help is shown. */
  readonly isHelping: boolean
  /** Whether a signal has come: the next one ends the process at once. */
  readonly isSignalled: boolean
}

/**
 * What can be typed now, for the last line of the view.
 *
 * @category converting
 * @since 0.1.0
 */
export const hints = ({ draining, paused }: Progress, listening: Listening): ReadonlyArray<Hint> => {
  const { hasKeys, isHelping, isSignalled } = listening
  const help: ReadonlyArray<Hint> = hasKeys ? [["?", isHelping ? "back" : "help"]] : []
  if (draining)
    return [["", "what runs may finish"], [isSignalled ? "Ctrl-C" : "Ctrl-C twice", "ends at once"], ...help]
  if (!hasKeys) return [["Ctrl-C", "stop"]]
  return [paused ? ["r", "resume"] : ["p", "pause"], ["q", "stop"], ...help]
}

/**
 * All of it, for those who ask.
 *
 * @category constants
 * @since 0.1.0
 */
export const help: ReadonlyArray<Hint> = [
  ["p", "pause: no new tasks, those that run go on"],
  ["r", "resume"],
  ["q", "stop: what runs may finish, nothing is lost"],
  ["Ctrl-C", "the same; a second one ends at once"],
  ["Ctrl-Z", "suspend; fg goes on"],
  ["?", "back"],
  ["", "elsewhere: baton status, pause, resume, stop"]
]
