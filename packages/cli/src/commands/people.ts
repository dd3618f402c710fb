/** What `baton review` and `baton audit` have in common: the person and the comment. */
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import { userInfo } from "node:os"
import { value } from "../settings/commandFlags.ts"
import * as Kind from "../system/Kind.ts"
import { CommandFailed } from "../system/CommandFailed.ts"

/** What people can say about outputs in the store. */
export const reviews = Effect.gen(function* () {
  const { reviews } = yield* TaskStore
  if (reviews !== undefined) return reviews
  return yield* new CommandFailed({
    message: "This store cannot hold tasks for review. Use another store: see --store."
  })
})

/** The person. */
export const by = value("by", Kind.text("NAME", "the name of a person"), "Your name; default the user of this machine")

export const comment = (description: string) => value("comment", Kind.comment, description)

/** The user of this machine, who may have no name, as in some containers. */
export const currentUser = Effect.orElseSucceed(
  Effect.try(() => userInfo().username),
  () => "unknown"
)
