/** How a run with `--batch` differs from others: its tasks wait for hours, thousands of them at once. */
import { Batches } from "@baton/adapters/claude"
import type { OrchestratorConfig } from "@baton/core/OrchestratorConfig"
import { Verifier } from "@baton/core/Verifier"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { count } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"

/** What applies when nothing is said. */
export const defaults = {
  /** A task that waits costs a fiber and what it says. */
  concurrency: 10_000,
  prefetch: 100,
  /** Programs that check outputs, all of which come at the same time. */
  verifying: 4,
  /** Where tasks wait for the budget, they wait for a batch of others and then for their own, each a day at most. */
  timeout: Duration.days(7)
} as const

/** The configuration of such a run. What is interrupted is not lost, so the end of a run does not wait for it. */
export const configOf = (config: OrchestratorConfig): OrchestratorConfig => ({
  ...config,
  prefetch: config.prefetch ?? defaults.prefetch,
  executionTimeout: defaults.timeout,
  verificationTimeout: defaults.timeout,
  drainTimeout: config.drainTimeout ?? Duration.zero
})

/** A verifier that is not asked by ten thousand tasks at once when their outputs come. */
export const gently = <E, R>(verifier: Layer.Layer<Verifier, E, R>): Layer.Layer<Verifier, E, R> =>
  Layer.effect(
    Verifier,
    Effect.gen(function* () {
      const inner = yield* Verifier
      const slots = yield* Semaphore.make(defaults.verifying)
      return { ...inner, verify: (...args) => slots.withPermit(inner.verify(...args)) } satisfies Verifier["Service"]
    })
  ).pipe(Layer.provide(verifier))

/** What is to be said of the batches under way when a run ends, if there are any. */
export const notice = Effect.fnUntraced(function* (filename: string): Effect.fn.Return<ReadonlyArray<string>> {
  const requests = yield* requestsIn(filename)
  return requests === 0
    ? []
    : [
        "",
        `  ${count(requests, "request")} ${requests === 1 ? "is" : "are"} in a batch, which goes on without this run: ` +
          "the same command picks up the answers, now or tomorrow."
      ]
})

/** Warns of batches under way before a run that does not know of batches. */
export const warn = Effect.fnUntraced(function* (filename: string): Effect.fn.Return<void> {
  const requests = yield* requestsIn(filename)
  if (requests === 0) return
  yield* Console.error(
    safeText(
      `warning: ${count(requests, "request")} of this list ${requests === 1 ? "is" : "are"} in a batch: ` +
        "add --batch to pick them up, or they are paid for a second time."
    )
  )
})

/** A journal that cannot be read is no reason to say nothing else: whoever opens it is told. */
const underWay = (filename: string) => Effect.orElseSucceed(Batches.inProgress({ filename }), () => [])

const requestsIn = (filename: string) =>
  Effect.map(underWay(filename), (batches) => batches.reduce((sum, { requests }) => sum + requests, 0))
