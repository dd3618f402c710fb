/**
 * Posts events to a URL. An event can arrive twice, and events can arrive out of order; the last event of a run arrives
 * last.
 */
import type { Event } from "@baton/core/Event"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { eventJson } from "../view/events.ts"
import * as Delivery from "./Delivery.ts"
import * as Post from "./post.ts"

/** The events that are posted. */
export const events: ReadonlySet<Event["_tag"]> = new Set(["TaskCompleted", "TaskInReview", "TaskFailed", "RunEnded"])

/** Posts events until its scope closes. */
export const make = Effect.fnUntraced(function* ({
  name,
  ...target
}: Post.Target & { readonly name: string }): Effect.fn.Return<Delivery.Delivery, never, Scope.Scope> {
  const post = yield* Post.make(target)
  return yield* Delivery.make({
    name,
    wants: (event) => events.has(event._tag),
    concurrency: 8,
    deliver: (event) => post(eventJson(event))
  })
})
