import * as Predicate from "effect/Predicate"
import { hash } from "node:crypto"
import type { About } from "./Client.ts"
import type { MessageRequest } from "./MessageRequest.ts"

/**
 * The key of a reply in the response cache: a hash of the whole request, so that whatever changes the reply changes the
 * key. A requeued task gets new keys. So does each server: a gateway's reply under the name of a model is not Claude's.
 */
export const cacheKey = (request: MessageRequest, about: About, server: string | undefined): string =>
  hash(
    "sha256",
    canonicalJson({
      request,
      ...(about.requeues > 0 ? { requeues: about.requeues } : undefined),
      ...(server === undefined ? undefined : { server })
    })
  )

/** JSON in which the order of an object's fields makes no difference. */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    Predicate.isObject(part) && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part
  )
