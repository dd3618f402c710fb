/** The executor and the judge for Claude's API. They use one client, so that they share its rate limits. */
import { Batches, ClaudeClient, ClaudeExecutor, ClaudeVerifier, ResponseCache } from "@baton/adapters/claude"
import * as Effect from "effect/Effect"
import * as Parts from "../parts.ts"
import type { RunFlags } from "../../settings/flags.ts"
import * as account from "./account.ts"

/** Builds the parts after checking everything that can be checked without cost. */
export const make = (flags: RunFlags, wanted: Parts.PartOptions, isInBatch: boolean) =>
  Parts.make(flags, wanted, {
    name: "claude",
    billing: isInBatch ? "batch" : "standard",
    address: "ANTHROPIC_BASE_URL",
    key: ClaudeClient.ClaudeClient,
    connect: Effect.map(account.require, (from) => {
      const options = { ...from, ...Parts.clientOptions(flags, wanted) }
      return {
        client: ClaudeClient.layer(options),
        shared: ClaudeClient.layerShared(options),
        batches: isInBatch ? Batches.layer(from) : undefined,
        cache: (filename) => ResponseCache.layer({ filename, server: from.baseUrl })
      }
    }),
    executor: ClaudeExecutor.layer,
    verifier: ClaudeVerifier.layer
  })
