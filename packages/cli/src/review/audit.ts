/** The verdicts that people look at in an audit, in the terminal. */
import * as Audit from "@baton/core/Audit"
import type { Attempt } from "@baton/core/Attempt"
import type { Reviews, TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as AuditView from "../view/audit.ts"
import * as ReviewView from "../view/review.ts"
import { type Desk, maxItems } from "./review.ts"

/** The verdicts in a sample that were not audited, for findings of this person. */
export const auditDesk = (
  store: TaskStore["Service"],
  reviews: Reviews,
  { by, ...options }: Audit.Options & { readonly by: string }
): Desk => {
  const about = ({ taskId, token }: Attempt) => ({ taskId, token, by })
  return {
    load: Effect.map(
      Audit.samples(store, options).pipe(
        Stream.filter(({ verification }) => verification.audit === undefined),
        Stream.take(maxItems),
        Stream.runCollect
      ),
      (samples) => samples.map(({ attempt: { token }, task }) => ({ task, token }))
    ),
    itemOf: ({ token }, task, history) => {
      const place = history.findIndex((attempt) => attempt.token === token)
      return history[place]?.verification?.audit === undefined ? ReviewView.itemAt(task, history, place) : undefined
    },
    onKey: (key, { attempt }) => {
      switch (key) {
        case "a":
          return { _tag: "Decide", choice: { ...about(attempt), _tag: "Agree", agrees: true } }
        case "d":
          return {
            _tag: "Comment",
            choose: (comment) => ({ ...about(attempt), _tag: "Disagree", agrees: false, comment })
          }
        default:
          return undefined
      }
    },
    write: (choice) =>
      "agrees" in choice
        ? Effect.map(reviews.audit(choice), (reply) =>
            reply.kept ? undefined : AuditView.refusal(choice.taskId, reply)
          )
        : Effect.die("no finding of an audit"),
    texts: ReviewView.auditTexts
  }
}
