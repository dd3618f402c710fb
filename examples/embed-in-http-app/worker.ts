/** The worker as a layer: it runs as long as the app, and drains when the app stops. */
import { Orchestrator } from "@baton/core"
import { Effect, Layer } from "effect"

export const worker = Layer.effectDiscard(
  Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    yield* Effect.forkScoped(orchestrator.runForever)
  })
)
