/**
 * Your own verifier: the output must be JSON that matches a schema. It does no I/O, so it is a pure verifier. Its feedback
 * tells the next attempt which part of the output is wrong and the expected format.
 */
import { Verification, Verifier } from "@baton/core"
import { Result, Schema } from "effect"

export const layer = <A>(schema: Schema.Codec<A, unknown>) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  return Verifier.layerPure((_, { output }) => {
    const decoded = decode(withoutFence(output), { errors: "all" })
    return Result.isSuccess(decoded)
      ? Verification.pass()
      : Verification.reject(`The output must be JSON, without any other text.\n${String(decoded.failure)}`)
  })
}

/** Removes the Markdown fence that models often put around JSON. */
const withoutFence = (text: string): string => /^\s*```(?:json)?\n([\s\S]*?)\n```\s*$/.exec(text)?.[1] ?? text
