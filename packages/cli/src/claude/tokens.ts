/**
 * How many tokens prompts have: counted by the API on a sample, or guessed from their length.
 *
 * @since 0.1.0
 */
import type { ClaudeClient, MessageRequest } from "@baton/adapters/claude"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * Tokens per byte of a description, and those that every request has besides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rate {
  readonly perByte: number
  readonly fixed: number
  readonly basis: Basis
}

/**
 * - `counted`: the API counted some of the prompts
 * - `guessed`: nobody was asked
 *
 * @category models
 * @since 0.1.0
 */
export const Basis = Schema.Literals(["counted", "guessed"])

/** @since 0.1.0 */
export type Basis = typeof Basis.Type

/** English text; other languages and code have more. */
const bytesPerToken = 3

const encoder = new TextEncoder()

const bytes = (text: string): number => encoder.encode(text).length

/**
 * A guess, from the length of a request for an empty description.
 *
 * @category constructors
 * @since 0.1.0
 */
export const guess = (empty: MessageRequest.MessageRequest): Rate => {
  const { messages, output_config, system } = empty
  return {
    perByte: 1 / bytesPerToken,
    fixed: Math.ceil(bytes(JSON.stringify([messages, output_config?.format, system])) / bytesPerToken),
    basis: "guessed"
  }
}

/**
 * Counts requests for descriptions of a sample, free of charge. Where the server cannot count, it is a guess.
 *
 * @category constructors
 * @since 0.1.0
 */
export const count = Effect.fnUntraced(function* (
  client: ClaudeClient.ClaudeClientService,
  sample: ReadonlyArray<string>,
  requestFor: (description: string) => Effect.Effect<MessageRequest.MessageRequest>
): Effect.fn.Return<Rate> {
  // A message has to say something.
  const empty = yield* requestFor(".")
  const counting = (description: string) => Effect.flatMap(requestFor(description), client.countTokens)
  return yield* Effect.gen(function* () {
    const fixed = yield* client.countTokens(empty)
    const filled = sample.filter((description) => description.trim() !== "")
    const counted = yield* Effect.forEach(filled, counting, { concurrency: 4 })
    const tokens = counted.reduce((sum, tokens) => sum + Math.max(0, tokens - fixed), 0)
    const length = filled.reduce((sum, description) => sum + bytes(description), 0)
    return { perByte: length === 0 ? 1 / bytesPerToken : tokens / length, fixed, basis: "counted" as const }
  }).pipe(Effect.orElseSucceed(() => guess(empty)))
})
