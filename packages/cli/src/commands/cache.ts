/** `baton cache` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { json } from "../settings/commandFlags.ts"
import { count, number } from "../view/quantity.ts"
import { safe } from "../view/safeText.ts"
import { writeLine } from "../view/stdout.ts"
import { printJson } from "../view/json.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { StoreUrl } from "../settings/flags.ts"
import { siblingFile } from "../settings/siblingFile.ts"

/** The cache file of the store on this command line. */
const cacheFile = Effect.flatMap(StoreUrl, (url) => {
  const filename = siblingFile(url, "cache")
  return filename === undefined
    ? Effect.fail(new CommandFailed({ message: "A store in memory has no cache. Choose another store with --store." }))
    : Effect.succeed(filename)
})

/** Loaded on demand. */
const claudeModule = Effect.promise(() => import("@baton/adapters/claude"))

const Cleared = Schema.Struct({ forgotten: Schema.Int })

/** Deletes all cached responses. */
const clear = Command.make(
  "clear",
  { json },
  Effect.fnUntraced(function* (input) {
    const filename = yield* cacheFile
    const { ResponseCache } = yield* claudeModule
    const forgotten = yield* ResponseCache.clear({ filename })
    if (input.json) return yield* printJson(Cleared, { forgotten })
    yield* writeLine(forgotten === 0 ? safe`The cache is empty.` : safe`${count(forgotten, "response")} deleted.`)
  })
).pipe(
  Command.withDescription(
    "Delete the cached responses of Claude, so that the next run requests and pays for them again. The results of tasks are not affected, and running tasks continue."
  ),
  Command.withShortDescription("Delete the cached responses"),
  Command.withExamples([{ command: "baton cache clear", description: "Let the next run repeat all requests" }])
)

const Result = Schema.Struct({ file: Schema.String, answers: Schema.Int, bytes: Schema.Int })

/** Reports the size of the response cache. */
export const cache = Command.make(
  "cache",
  { json },
  Effect.fnUntraced(function* (input) {
    const filename = yield* cacheFile
    const { ResponseCache } = yield* claudeModule
    const { bytes, entries } = yield* ResponseCache.info({ filename })
    if (input.json) return yield* printJson(Result, { file: filename, answers: entries, bytes })
    yield* writeLine(safe`${count(entries, "response")}, ${number(Math.ceil(bytes / 1000))} kB, in ${filename}`)
  })
).pipe(
  Command.withDescription(
    "Show how many responses of Claude are cached. The cache is a file next to the store. A cached response is not paid for again, also after a crash or in another run. A requeued task repeats its requests, and --no-cache repeats all requests."
  ),
  Command.withShortDescription("Show or clear the cached responses of Claude"),
  Command.withExamples([
    { command: "baton cache", description: "Show the number and size of the responses" },
    { command: "baton cache clear", description: "Delete them" }
  ]),
  Command.withSubcommands([clear])
)
