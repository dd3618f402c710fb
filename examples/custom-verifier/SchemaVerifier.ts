/**
 * A verifier of one's own: the output has to be JSON of a schema. It computes and does no I/O, so it is a pure one, and
 * what it says is feedback for the next attempt: where the output is wrong, and what would be right.
 */
import { Verification, Verifier } from "@baton/core"
import { Result, Schema } from "effect"

export const layer = <A>(schema: Schema.Codec<A, unknown>) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  return Verifier.layerPure((_, { output }) => {
    const decoded = decode(withoutFence(output), { errors: "all" })
    return Result.isSuccess(decoded)
      ? Verification.pass()
      : Verification.reject(`The output has to be JSON, and nothing else.\n${String(decoded.failure)}`)
  })
}

/** Models like to put JSON into a fence of Markdown. */
const withoutFence = (text: string): string => /^\s*```(?:json)?\n([\s\S]*?)\n```\s*$/.exec(text)?.[1] ?? text
