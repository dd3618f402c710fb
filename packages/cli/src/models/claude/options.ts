/** Reads and validates the flags for Claude. */
import { type ClaudeExecutor, type ClaudeVerifier, Pricing } from "@baton/adapters/claude"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import { CommandFailed } from "../../system/CommandFailed.ts"
import type { Given, RunFlags } from "../../settings/flags.ts"
import type { ModelPrice } from "../../settings/commandFlags.ts"
import { isJsonObject } from "../../sources/Entry.ts"
import * as jsonText from "../../sources/jsonText.ts"
import * as SourceError from "../../sources/SourceError.ts"

/** The options of the executor and the judge, and the prices. */
export interface Settings {
  readonly executor: ClaudeExecutor.Options & { readonly model: string; readonly maxTokens: number }
  readonly verifier: ClaudeVerifier.Options & { readonly model: string }
  readonly prices: Pricing.PriceTable
}

/** Reads the flags. Fails with a message that names the flag. */
export const read = Effect.fnUntraced(function* (
  flags: RunFlags,
  {
    judgeHasFallbacks,
    runsTools
  }: {
    /** Whether the API of the executor runs tools. */
    readonly runsTools: boolean
    /** The fallback models are those of the executor's API. */
    readonly judgeHasFallbacks: boolean
  }
): Effect.fn.Return<Settings, CommandFailed | SourceError.SourceError, FileSystem.FileSystem> {
  return {
    executor: {
      model: flags.model.value,
      fallbackModels: flags.fallbackModel?.value,
      maxTokens: flags.maxOutputTokens.value,
      system: yield* systemOf(flags),
      effort: flags.effort?.value,
      ...(runsTools
        ? {
            webSearch: flags.webSearch?.value,
            webFetch: flags.webFetch?.value,
            codeExecution: flags.codeExecution
          }
        : undefined),
      schema: flags.outputSchema === undefined ? undefined : yield* schemaOf(flags.outputSchema)
    },
    verifier: {
      model: flags.judgeModel.value,
      fallbackModels: judgeHasFallbacks ? flags.fallbackModel?.value : undefined,
      criteria: flags.criteria?.value,
      confirm: flags.confirm.value
    },
    prices: yield* tableOf(flags)
  }
})

const systemOf = Effect.fnUntraced(function* ({ system, systemFile }: RunFlags) {
  if (system !== undefined && systemFile !== undefined) {
    return yield* new CommandFailed({
      message: `${system.by} and ${systemFile.by} are both given. Remove one of them.`
    })
  }
  return systemFile === undefined ? system?.value : yield* readText(systemFile)
})

const schemaOf = Effect.fnUntraced(function* (given: Given<string>) {
  const json = jsonText.parse(yield* readText(given))
  if (Result.isFailure(json)) return yield* SourceError.make(given.value, json.failure.line, json.failure.message)
  const value = json.success
  if (!isJsonObject(value)) {
    return yield* SourceError.make(
      given.value,
      1,
      'expected a JSON Schema, which is an object such as {"type": "object", ...}'
    )
  }
  return yield* Effect.try({
    // Schemas from JSON Schema need no services, but the type does not express that.
    try: () =>
      SchemaRepresentation.fromJsonSchemaDocument(
        JsonSchema.fromSchemaDraft2020_12(closed(value))
      ) as Schema.Codec<unknown>,
    catch: (cause) =>
      new CommandFailed({
        message: `The schema in ${given.value} is not supported: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })
})

/** Forbids additional properties unless the schema allows them, because Claude's structured output requires that. */
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

/** The keys of such an object are names chosen by the author, which can look like keywords of JSON Schema. */
const isMapOfSchemas = (key: string): boolean => ["properties", "$defs", "definitions"].includes(key)

const valuesClosed = (schemas: Schema.JsonObject): Schema.JsonObject =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, closedIn(schema)]))

const closedIn = (value: Schema.Json): Schema.Json => {
  if (isJsonObject(value)) return closed(value)
  return Array.isArray(value) ? value.map((item: Schema.Json) => closedIn(item)) : value
}

/** The prices. A price on the command line overrides the file, and the file overrides the list. */
const tableOf = Effect.fnUntraced(function* (
  flags: Pick<RunFlags, "price" | "prices">
): Effect.fn.Return<Pricing.PriceTable, CommandFailed | SourceError.SourceError, FileSystem.FileSystem> {
  const given = { models: Object.fromEntries(flags.price.map(entryOf)) }
  if (flags.prices === undefined) return Pricing.merge(Pricing.listed, given)
  const own = yield* parse(flags.prices.value, yield* readText(flags.prices))
  return Pricing.merge(Pricing.merge(Pricing.listed, own), given)
})

const entryOf = ({ model, ...price }: ModelPrice) => [model, price] as const

/** Reads a file of prices: `{"models": {"claude-x": {"input": 2, "output": 10}}}`, in USD per million tokens. */
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
        `${where}${issue?.message ?? "not a list of prices"}; write {"models": {"MODEL": {"input": 2, "output": 10}}}, in USD per million tokens`
      )
    )
  })

const validate = Schema.toStandardSchemaV1(Pricing.OwnPrices)["~standard"].validate

/** The line of a value. Each key of its path is searched after the previous one. */
const lineOf = (text: string, path: ReadonlyArray<string>): number => {
  let at = 0
  for (const key of path) {
    const found = text.indexOf(JSON.stringify(key), at)
    if (found === -1) break
    at = found
  }
  return text.slice(0, at).split("\n").length
}

/** The text of the file. Fails with a message that names the flag. */
const readText = ({ by, value }: Given<string>): Effect.Effect<string, CommandFailed, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(fs.readFileString(value), ({ reason }) => {
      const problem = reason._tag === "NotFound" ? "does not exist" : `cannot be read (${reason._tag})`
      return new CommandFailed({ message: `${by} is "${value}": the file ${problem}.` })
    })
  )
