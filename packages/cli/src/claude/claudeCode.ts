/** The executor of `--executor claude-code`. */
import { ClaudeCodeExecutor } from "@baton/adapters/claude-code"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { CommandFailed } from "../system/CommandFailed.ts"
import { explicit, type RunFlags } from "../settings/flags.ts"

/** Makes it. Fails with one sentence where it cannot keep a limit. */
export const make = Effect.fnUntraced(function* (flags: RunFlags, timeout: Duration.Duration) {
  const tokens = flags.maxTokens ?? flags.maxTokensPerTask
  if (tokens !== undefined) {
    return yield* new CommandFailed({
      message: `${tokens.by} cannot be kept with --executor claude-code, which has no limit in tokens: limit what it costs, with --max-cost and --max-cost-per-attempt.`
    })
  }
  const cost = flags.maxCost ?? flags.maxCostPerTask
  if (cost !== undefined && flags.maxCostPerAttempt === undefined) {
    return yield* new CommandFailed({
      message: `${cost.by} needs --max-cost-per-attempt with --executor claude-code: what a session costs is known only when it has ended, so each needs a limit of its own.`
    })
  }
  return ClaudeCodeExecutor.layer({
    timeout,
    idleTimeout: flags.idleTimeout?.value,
    cwd: flags.cwd?.value,
    model: explicit(flags.model),
    appendSystemPrompt: flags.system?.value,
    permissionMode: flags.permissionMode?.value,
    // As one value: Claude Code splits it, and knows of the blanks and commas inside of brackets.
    allowedTools: flags.allowedTools === undefined ? undefined : [flags.allowedTools.value],
    maxTurns: flags.maxTurns?.value,
    maxBudgetUsd: flags.maxCostPerAttempt?.value,
    args: flags.effort === undefined ? undefined : ["--effort", flags.effort.value]
  })
})
