/** Settings for runs with `--batch`, where thousands of tasks wait for hours at the same time. */
import { Batches } from "@baton/adapters/claude"
import type { OrchestratorConfig } from "@baton/core/OrchestratorConfig"
import { Verifier } from "@baton/core/Verifier"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
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
export const notice = Effect.fnUntraced(function* (filename: string): Effect.fn.Return<ReadonlyArray<string>> {
  const requests = yield* requestsIn(filename)
  return requests === 0
    ? []
    : [
        "",
        `  ${count(requests, "request")} ${requests === 1 ? "is" : "are"} in a batch, which continues without this run.`,
        "  Run the same command again to collect the results."
      ]
})

/** Warns about pending batches before a run without `--batch`. */
export const warn = Effect.fnUntraced(function* (filename: string): Effect.fn.Return<void> {
  const requests = yield* requestsIn(filename)
  if (requests === 0) return
  yield* printMessage(
    safeText(
      `warning: ${count(requests, "request")} of this list ${requests === 1 ? "is" : "are"} in a batch. ` +
        "Add --batch to collect the results; otherwise the requests are sent and paid for again."
    )
  )
})

/** Errors are ignored here; a run that opens the journal reports them. */
const pendingBatches = (filename: string) => Effect.orElseSucceed(Batches.inProgress({ filename }), () => [])

const requestsIn = (filename: string) =>
  Effect.map(pendingBatches(filename), (batches) => batches.reduce((sum, { requests }) => sum + requests, 0))
