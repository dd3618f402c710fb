/** The checks of `baton doctor` for an OpenAI-compatible server. */
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { examineModel, withoutSecrets } from "../claude/preflight.ts"
import type { Given } from "../../settings/flags.ts"
import * as account from "./account.ts"

/** Checks the key, the server and the model for a part of a run. The key is never shown. */
export const examine = Effect.fnUntraced(function* (
  part: "executor" | "verifier",
  model: Given<string>,
  baseUrl: Given<string> | undefined
) {
  const found = yield* account.find(baseUrl)
  if (Option.isNone(found)) return [Diagnosis.fail("key", account.missingKey, account.remedy)]
  const flag = part === "executor" ? "--model" : "--judge-model"
  if (model.origin === "default") {
    return [Diagnosis.fail("model", "No model is set, and openai has no default.", `Add ${flag} MODEL.`)]
  }
  const server = found.value.baseUrl === undefined ? "OpenAI's API" : withoutSecrets(found.value.baseUrl)
  const key = Diagnosis.ok(
    "key",
    found.value.apiKey === undefined ? `${server} is used without a key.` : `There is a key for ${server}.`
  )
  const { OpenAiClient } = yield* Effect.promise(() => import("@baton/adapters/openai"))
  const client = yield* Effect.provide(
    OpenAiClient.OpenAiClient,
    OpenAiClient.layer({ ...found.value, timeout: "10 seconds" })
  )
  const answer = yield* examineModel(client, { part, id: model.value, variable: "OPENAI_API_KEY" })
  return answer.check === "key" ? [answer] : [key, answer]
}, Effect.scoped)
