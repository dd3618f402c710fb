/** The worker as a layer: it works for as long as the app lives, and drains when the app is stopped. */
import { Orchestrator } from "@baton/core"
import { Effect, Layer } from "effect"

export const worker = Layer.effectDiscard(
  Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    yield* Effect.forkScoped(orchestrator.runForever)
  })
)
