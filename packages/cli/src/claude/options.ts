/** What the flags say to Claude, read and checked. */
import { type ClaudeExecutor, type ClaudeVerifier, Pricing } from "@baton/adapters/claude"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import { CommandFailed } from "../system/CommandFailed.ts"
import type { Given, RunFlags } from "../settings/flags.ts"
import type { ModelPrice } from "../settings/options.ts"
import { isJsonObject } from "../sources/Entry.ts"
import * as jsonText from "../sources/jsonText.ts"
import * as SourceError from "../sources/SourceError.ts"

/** The options of executor and judge, with their models named, and the prices that apply. */
export interface Settings {
  readonly executor: ClaudeExecutor.Options & { readonly model: string; readonly maxTokens: number }
  readonly verifier: ClaudeVerifier.Options & { readonly model: string }
  readonly prices: Pricing.PriceTable
}

/** Reads them. Fails with one sentence that names the flag. */
export const read = Effect.fnUntraced(function* (
  flags: RunFlags
): Effect.fn.Return<Settings, CommandFailed | SourceError.SourceError, FileSystem.FileSystem> {
  return {
    executor: {
      model: flags.model.value,
      maxTokens: flags.maxOutputTokens.value,
      system: yield* systemOf(flags),
      effort: flags.effort?.value,
      schema: flags.outputSchema === undefined ? undefined : yield* schemaOf(flags.outputSchema)
    },
    verifier: {
      model: flags.judgeModel.value,
      criteria: flags.criteria?.value,
      confirm: flags.confirm.value
    },
    prices: yield* tableOf(flags)
  }
})

const systemOf = Effect.fnUntraced(function* ({ system, systemFile }: RunFlags) {
  if (system !== undefined && systemFile !== undefined) {
    return yield* new CommandFailed({
      message: `${system.by} and ${systemFile.by} are both given: leave one of them out.`
    })
  }
  return systemFile === undefined ? system?.value : yield* readText(systemFile)
})

const schemaOf = Effect.fnUntraced(function* (given: Given<string>) {
  const json = jsonText.parse(yield* readText(given))
  if (Result.isFailure(json)) return yield* SourceError.make(given.value, json.failure.line, json.failure.message)
  const value = json.success
  if (!isJsonObject(value)) {
    return yield* SourceError.make(given.value, 1, 'a JSON Schema is an object, such as {"type": "object", ...}')
  }
  return yield* Effect.try({
    // What a JSON Schema can say needs no services, which its type does not know.
    try: () =>
      SchemaRepresentation.fromJsonSchemaDocument(
        JsonSchema.fromSchemaDraft2020_12(closed(value))
      ) as Schema.Codec<unknown>,
    catch: (cause) =>
      new CommandFailed({
        message: `The schema in ${given.value} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })
})

/** Objects have the fields they name and no others, unless they say so: Claude is held to that in any case. */
const closed = (schema: Schema.JsonObject): Schema.JsonObject => {
  const parts = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      isJsonObject(value) && isMapOfSchemas(key) ? valuesClosed(value) : closedIn(value)
    ])
  )
  return isJsonObject(schema["properties"]) && schema["additionalProperties"] === undefined
    ? { ...parts, additionalProperties: false }
    : parts
}

/** Its keys are names of the author's, which may look like words of JSON Schema. */
const isMapOfSchemas = (key: string): boolean => ["properties", "$defs", "definitions"].includes(key)

const valuesClosed = (schemas: Schema.JsonObject): Schema.JsonObject =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, closedIn(schema)]))

const closedIn = (value: Schema.Json): Schema.Json => {
  if (isJsonObject(value)) return closed(value)
  return Array.isArray(value) ? value.map((item: Schema.Json) => closedIn(item)) : value
}

/** The table. A price on the command line wins over the file, and the file over the list. */
export const tableOf = Effect.fnUntraced(function* (
  flags: Pick<RunFlags, "price" | "prices">
): Effect.fn.Return<Pricing.PriceTable, CommandFailed | SourceError.SourceError, FileSystem.FileSystem> {
  const given = { models: Object.fromEntries(flags.price.map(entryOf)) }
  if (flags.prices === undefined) return Pricing.merge(Pricing.listed, given)
  const own = yield* parse(flags.prices.value, yield* readText(flags.prices))
  return Pricing.merge(Pricing.merge(Pricing.listed, own), given)
})

const entryOf = ({ model, ...price }: ModelPrice) => [model, price] as const

/** Reads a file of prices: `{"models": {"claude-x": {"input": 2, "output": 10}}}`, in USD for a million tokens. */
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

/** The text of the file. Fails with one sentence that names the flag. */
export const readText = ({ by, value }: Given<string>): Effect.Effect<string, CommandFailed, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(fs.readFileString(value), ({ reason }) => {
      const why = reason._tag === "NotFound" ? "there is no such file" : `it cannot be read (${reason._tag})`
      return new CommandFailed({ message: `${by} names ${value}, and ${why}.` })
    })
  )
