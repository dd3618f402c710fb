/**
 * Claude's API: a key, and a model that can be asked. None of it costs anything.
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Given } from "../../settings/envFlag.ts"

/**
 * What there is to say of the part of a run that asks Claude. The key is never shown.
 *
 * @category running
 * @since 0.1.0
 */
export const examine = Effect.fnUntraced(function* (part: "executor" | "verifier", model: Given<string> | undefined) {
  const account = yield* Effect.promise(() => import("../../claude/account.ts"))
  const found = yield* account.find
  if (Option.isNone(found)) {
    return [
      Diagnosis.fail(
        "key",
        "There is no key for Claude's API.",
        "Put one into the environment as ANTHROPIC_API_KEY: console.anthropic.com has them."
      )
    ]
  }
  const { apiKey, baseUrl } = found.value
  const { ClaudeClient, ClaudeExecutor, ClaudeVerifier } = yield* Effect.promise(() => import("@baton/adapters/claude"))
  const id = model?.value ?? (part === "executor" ? ClaudeExecutor.defaultModel : ClaudeVerifier.defaultModel)
  const place = baseUrl === undefined ? "" : ` at ${withoutSecrets(baseUrl)}`
  const key = Diagnosis.ok("key", `There is a key for Claude's API${place}.`)
  const asked = ClaudeClient.ClaudeClient.use((client) => client.model(id)).pipe(
    Effect.provide(ClaudeClient.layer({ apiKey, baseUrl, timeout: "10 seconds" })),
    Effect.matchEffect({
      onSuccess: ({ lifecycle, maxOutputTokens, retiresAt }) =>
        Effect.succeed(
          lifecycle === "active"
            ? Diagnosis.ok(
                "model",
                `${id} can be asked${maxOutputTokens === null ? "" : `, for up to ${maxOutputTokens} tokens`}.`
              )
            : Diagnosis.warn(
                "model",
                `${id} is ${lifecycle}${retiresAt === null ? "" : ` (${retiresAt})`}.`,
                `Name another one with ${part === "executor" ? "--model" : "--judge-model"}.`
              )
        ),
      onFailure: ({ message, reason, type }) =>
        Effect.succeed(
          type === "not_found_error"
            ? Diagnosis.fail(
                "model",
                `There is no model ${id}, or the key may not use it.`,
                `Name another one with ${part === "executor" ? "--model" : "--judge-model"}.`
              )
            : reason === "Fatal"
              ? Diagnosis.fail("key", message, "Put a good key into ANTHROPIC_API_KEY.")
              : Diagnosis.warn("model", `It could not be asked whether there is ${id}: ${message}`, "Try again later.")
        )
    })
  )
  const answer = yield* asked
  return answer.check === "key" ? [answer] : [key, answer]
})

/** A password in an address is as secret as a key. */
const withoutSecrets = (url: string): string => url.replace(/\/\/[^@/]*@/, "//…@").replace(/\?.*$/, "?…")
