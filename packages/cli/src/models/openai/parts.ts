/** The executor and the judge for OpenAI-compatible servers. They use one client, so that they share its rate limits. */
import { OpenAiClient, OpenAiExecutor, OpenAiVerifier, ResponseCache } from "@baton/adapters/openai"
import * as Effect from "effect/Effect"
import * as Parts from "../parts.ts"
import type { RunFlags } from "../../settings/flags.ts"
import * as account from "./account.ts"
import { checkNames } from "./names.ts"

/** Builds the parts after checking everything that can be checked without cost. */
export const make = (flags: RunFlags, wanted: Parts.PartOptions) =>
  Effect.andThen(
    checkNames(flags, {
      executor: wanted.executor ? "openai" : undefined,
      verifier: wanted.verifier ? "openai" : undefined
    }),
    Parts.make(flags, wanted, {
      name: "openai",
      billing: "standard",
      address: flags.baseUrl?.by ?? "OPENAI_BASE_URL",
      key: OpenAiClient.OpenAiClient,
      connect: Effect.map(account.require(flags.baseUrl), (from) => {
        const options = { ...from, ...Parts.clientOptions(flags, wanted) }
        return {
          client: OpenAiClient.layer(options),
          shared: OpenAiClient.layerShared(options),
          cache: (filename) => ResponseCache.layer({ filename, server: from.baseUrl })
        }
      }),
      executor: OpenAiExecutor.layer,
      verifier: OpenAiVerifier.layer
    })
  )
