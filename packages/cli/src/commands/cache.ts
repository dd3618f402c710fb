/**
 * `baton cache`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { json } from "../settings/taskFlags.ts"
import { count, number } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import { writeLine } from "../view/stdout.ts"
import { printJson } from "../view/json.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { StoreUrl } from "../settings/storeUrl.ts"
import { beside } from "../settings/beside.ts"

/**
 * The file of the store of this command line.
 *
 * @category getters
 * @since 0.1.0
 */
const cacheFile = Effect.flatMap(StoreUrl, (url) => {
  const filename = beside(url, "cache")
  return filename === undefined
    ? Effect.fail(new CommandFailed({ message: "A store in memory leaves nothing behind, and so it has no cache." }))
    : Effect.succeed(filename)
})

/**
 * The module, loaded when it is needed.
 *
 * @category getters
 * @since 0.1.0
 */
const claudeModule = Effect.promise(() => import("@baton/adapters/claude"))

const Cleared = Schema.Struct({ forgotten: Schema.Int })

/**
 * Forgets all answers.
 *
 * @category commands
 * @since 0.1.0
 */
const clear = Command.make(
  "clear",
  { json },
  Effect.fnUntraced(function* (input) {
    const filename = yield* cacheFile
    const { ResponseCache } = yield* claudeModule
    const forgotten = yield* ResponseCache.clear({ filename })
    if (input.json) return yield* printJson(Cleared, { forgotten })
    yield* writeLine(forgotten === 0 ? "There is nothing to forget." : `${count(forgotten, "answer")} forgotten.`)
  })
).pipe(
  Command.withDescription(
    "Forget the answers of Claude that are kept beside the store, so that the next run asks and pays for them again. Cleareds of tasks are no part of it: they stay. A run that is under way can go on."
  ),
  Command.withShortDescription("Forget them"),
  Command.withExamples([{ command: "baton cache clear", description: "The next run asks everything anew" }])
)

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
