import { LLMock } from "@copilotkit/aimock"
import { Effect } from "effect"

/** A server that others wrote, until the scope closes. */
export const mock = Effect.acquireRelease(
  Effect.promise(() => LLMock.create({ port: 0, chunkSize: 5 })),
  (mock) => Effect.promise(() => mock.stop())
)
