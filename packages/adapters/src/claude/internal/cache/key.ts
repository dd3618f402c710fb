import * as Predicate from "effect/Predicate"
import { hash } from "node:crypto"
import type { About } from "../../ClaudeClient.ts"
import type { MessageRequest } from "../../MessageRequest.ts"

/**
 * What an answer is kept under: a hash of the whole request, so that whatever changes the answer changes the key. A task
 * that was requeued wants a new answer, so its requests are others from then on.
 */
export const keyOf = (request: MessageRequest, { requeues }: About): string =>
  hash("sha256", canonical(requeues > 0 ? { request, requeues } : { request }))

/** JSON in which the order of an object's fields makes no difference. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    Predicate.isObject(part) && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part
  )
