/** Settings for runs with `--batch`, where thousands of tasks wait for hours at the same time. */
import type { OrchestratorConfig } from "@baton/core/OrchestratorConfig"
import { TaskStore } from "@baton/core/TaskStore"
import { Verifier } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { existsSync } from "node:fs"
import { CommandFailed } from "../system/CommandFailed.ts"
import { count } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"

/** The defaults of such a run. */
export const defaults = {
  /** A waiting task only uses a fiber and the memory for its text. */
  concurrency: 10_000,
  /** Requests in a batch continue without the run, so it does not wait for them. */
  drainTimeout: Duration.zero,
  /** The number of verifier programs that run at the same time; the outputs of a batch arrive together. */
  verifying: 4,
  /** A task can wait for the batch of other tasks, until the budget allows its own. Each batch takes up to a day. */
  timeout: Duration.days(7)
} as const

/** The configuration of such a run. */
export const configOf = (config: OrchestratorConfig): OrchestratorConfig => ({
  ...config,
  executionTimeout: defaults.timeout,
  verificationTimeout: defaults.timeout
})

/** Limits the number of concurrent calls to a verifier, because all outputs of a batch arrive at the same time. */
export const withLimit = <E, R>(verifier: Layer.Layer<Verifier, E, R>): Layer.Layer<Verifier, E, R> =>
  Layer.effect(
    Verifier,
    Effect.gen(function* () {
      const inner = yield* Verifier
      const slots = yield* Semaphore.make(defaults.verifying)
      return { ...inner, verify: (...args) => slots.withPermit(inner.verify(...args)) } satisfies Verifier["Service"]
    })
  ).pipe(Layer.provide(verifier))

/** Lines about pending batches for the end of a run. */
export const notice = Effect.gen(function* () {
  const requests = yield* pendingRequests
  return requests === 0
    ? []
    : [
        "",
        `  ${count(requests, "request")} ${requests === 1 ? "is" : "are"} in a batch, which continues without this run.`,
        "  Run the same command again to collect the results."
      ]
})

/** Warns about pending batches before a run without `--batch`. */
export const warn = Effect.gen(function* () {
  const requests = yield* pendingRequests
  if (requests === 0) return
  yield* printMessage(
    safeText(
      `warning: ${count(requests, "request")} of this list ${requests === 1 ? "is" : "are"} in a batch. ` +
        "Add --batch to collect the results; otherwise the requests are sent and paid for again."
    )
  )
})

/** Refuses to start next to the journal of an earlier version, whose batches are not in the store. */
export const refuseFormerJournal = Effect.fnUntraced(function* (filename: string) {
  if (!existsSync(filename)) return
  return yield* new CommandFailed({
    message:
      `${filename} has the batches of an earlier version of Baton, and this version keeps batches in the store. ` +
      "Collect them with that version, or remove the file: requests that are still in a batch are then sent, and paid for, again."
  })
})

/** The number of requests of the queues of this run that are in a batch. An error of the store ends the run elsewhere. */
const pendingRequests = Effect.gen(function* () {
  const { batches } = yield* TaskStore
  const pending = batches === undefined ? [] : yield* Effect.orElseSucceed(batches.list, () => [])
  return pending.reduce((sum, { requests }) => sum + requests, 0)
})
