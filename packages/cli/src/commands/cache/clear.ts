/**
 * `baton cache clear`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { json } from "../../settings/taskFlags.ts"
import { count } from "../../view/quantity.ts"
import { writeLine } from "../../view/stdout.ts"
import { printJson } from "../../view/printJson.ts"
import { cacheFile, claudeModule } from "./cacheFile.ts"

const Result = Schema.Struct({ forgotten: Schema.Int })

/**
 * Forgets all answers.
 *
 * @category commands
 * @since 0.1.0
 */
export const clear = Command.make(
  "clear",
  { json },
  Effect.fnUntraced(function* (input) {
    const filename = yield* cacheFile
    const { ResponseCache } = yield* claudeModule
    const forgotten = yield* ResponseCache.clear({ filename })
    if (input.json) return yield* printJson(Result, { forgotten })
    yield* writeLine(forgotten === 0 ? "There is nothing to forget." : `${count(forgotten, "answer")} forgotten.`)
  })
).pipe(
  Command.withDescription(
    "Forget the answers of Claude that are kept beside the store, so that the next run asks and pays for them again. Results of tasks are no part of it: they stay. A run that is under way can go on."
  ),
  Command.withShortDescription("Forget them"),
  Command.withExamples([{ command: "baton cache clear", description: "The next run asks everything anew" }])
)
