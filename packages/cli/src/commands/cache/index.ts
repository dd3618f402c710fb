/**
 * `baton cache`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { json } from "../../settings/taskFlags.ts"
import { count, number } from "../../view/quantity.ts"
import { safeText } from "../../view/safeText.ts"
import { writeLine } from "../../view/stdout.ts"
import { printJson } from "../../view/printJson.ts"
import { clear } from "./clear.ts"
import { cacheFile, claudeModule } from "./cacheFile.ts"

const Result = Schema.Struct({ file: Schema.String, answers: Schema.Int, bytes: Schema.Int })

/**
 * Tells what the response cache holds.
 *
 * @category commands
 * @since 0.1.0
 */
export const cache = Command.make(
  "cache",
  { json },
  Effect.fnUntraced(function* (input) {
    const filename = yield* cacheFile
    const { ResponseCache } = yield* claudeModule
    const { bytes, entries } = yield* ResponseCache.info({ filename })
    if (input.json) return yield* printJson(Result, { file: filename, answers: entries, bytes })
    yield* writeLine(`${count(entries, "answer")}, ${number(Math.ceil(bytes / 1000))} kB, in ${safeText(filename)}`)
  })
).pipe(
  Command.withDescription(
    "Tell how many answers of Claude are kept beside the store. A request that was answered once is not paid for again: not after a crash, and not in another run. What was requeued is asked anew, and --no-cache asks everything anew."
  ),
  Command.withShortDescription("What is kept of Claude's answers"),
  Command.withExamples([
    { command: "baton cache", description: "How many answers, and how much room they take" },
    { command: "baton cache clear", description: "Forget them" }
  ]),
  Command.withSubcommands([clear])
)
