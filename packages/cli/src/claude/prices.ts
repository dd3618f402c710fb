/**
 * The prices that a run goes by: the list, and what the user lays over it with `--prices FILE` and `--price MODEL=IN,OUT`.
 *
 * @since 0.1.0
 */
import { Pricing } from "@baton/adapters/claude"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { ClaudeFlags, ModelPrice } from "../settings/claudeFlags.ts"
import * as jsonText from "../sources/jsonText.ts"
import * as SourceError from "../sources/SourceError.ts"
import type { CommandFailed } from "../system/CommandFailed.ts"
import { readText } from "./readText.ts"

/**
 * The table. A price on the command line wins over the file, and the file over the list.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tableOf = Effect.fnUntraced(function* (
  flags: Pick<ClaudeFlags, "price" | "prices">
): Effect.fn.Return<Pricing.PriceTable, CommandFailed | SourceError.SourceError, FileSystem.FileSystem> {
  const given = { models: Object.fromEntries(flags.price.map(entryOf)) }
  if (flags.prices === undefined) return Pricing.merge(Pricing.listed, given)
  const own = yield* parse(flags.prices.value, yield* readText(flags.prices))
  return Pricing.merge(Pricing.merge(Pricing.listed, own), given)
})

const entryOf = ({ model, ...price }: ModelPrice) => [model, price] as const

/**
 * Reads a file of prices: `{"models": {"claude-x": {"input": 2, "output": 10}}}`, in USD for a million tokens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (file: string, text: string): Effect.Effect<Pricing.OwnPrices, SourceError.SourceError> =>
  Effect.suspend(() => {
    const json = jsonText.parse(text)
    if (Result.isFailure(json)) return Effect.fail(SourceError.make(file, json.failure.line, json.failure.message))
    const decoded = validate(json.success)
    if (decoded instanceof Promise) return Effect.die(new Error("the schema of prices is not pure"))
    if (decoded.issues === undefined) return Effect.succeed(decoded.value)
    const [issue] = decoded.issues
    const path = (issue?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part))
    const where = path.length === 0 ? "" : `${path.join(" → ")}: `
    return Effect.fail(
      SourceError.make(
        file,
        lineOf(text, path),
        `${where}${issue?.message ?? "not a list of prices"}; write {"models": {"MODEL": {"input": 2, "output": 10}}}, in USD for a million tokens`
      )
    )
  })

const validate = Schema.toStandardSchemaV1(Pricing.OwnPrices)["~standard"].validate

/** The line of a value, by the keys on the way to it: each is looked for behind the one before. */
const lineOf = (text: string, path: ReadonlyArray<string>): number => {
  let at = 0
  for (const key of path) {
    const found = text.indexOf(JSON.stringify(key), at)
    if (found === -1) break
    at = found
  }
  return text.slice(0, at).split("\n").length
}
