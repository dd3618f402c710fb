import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"

const groups = new Set<number>()
let installed = false

/**
 * Has the process group killed when this process exits before the scope is closed: when a second Ctrl-C, an uncaught
 * exception or `process.exit` leaves no time to stop it in good order. In a session of its own, a program hears nothing
 * of the terminal, and would work on (and be paid for) with nobody there to take its output.
 */
export const endWithProcess = (pid: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      groups.add(pid)
      // One listener for all: one for each would be reported as a leak at the eleventh program.
      if (!installed) globalThis.process.on("exit", killAll)
      installed = true
    }),
    () => Effect.sync(() => groups.delete(pid))
  )

const killAll = () => {
  for (const pid of groups) Result.try(() => globalThis.process.kill(-pid, "SIGKILL"))
}
