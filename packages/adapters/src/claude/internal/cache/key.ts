import * as Predicate from "effect/Predicate"
import { hash } from "node:crypto"
import type { About } from "../../ClaudeClient.ts"
import type { MessageRequest } from "../../MessageRequest.ts"

/**
 * What an answer is kept under: a hash of the whole request, so that whatever changes the answer changes the key. A task
 * that was requeued wants a new answer, so its requests are others from then on; and what a stand-in or a gateway answers
 * under the name of a model is not what Claude would have said.
 */
export const keyOf = (request: MessageRequest, { requeues }: About, server: string | undefined): string =>
  hash(
    "sha256",
    canonical({
      request,
      ...(requeues > 0 ? { requeues } : undefined),
      ...(server === undefined ? undefined : { server })
    })
  )

/** JSON in which the order of an object's fields makes no difference. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    Predicate.isObject(part) && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part
  )
