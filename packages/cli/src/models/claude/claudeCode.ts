/** The executor of `--executor claude-code`. */
import { ClaudeCodeExecutor } from "@baton/adapters/claude-code"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { CommandFailed } from "../../system/CommandFailed.ts"
import * as programs from "../../system/programs.ts"
import { costLimit, explicit, type RunFlags, tokenLimit } from "../../settings/flags.ts"

/** Builds the executor. Fails with a message for the user if it does not support a limit. */
export const make = Effect.fnUntraced(function* (flags: RunFlags, timeout: Duration.Duration) {
  const tokens = tokenLimit(flags)
  if (tokens !== undefined) {
    return yield* new CommandFailed({
      message: `${tokens.by} does not work with --executor claude-code, which cannot limit tokens. Limit the cost with --max-cost and --max-cost-per-attempt.`
    })
  }
  const cost = costLimit(flags)
  if (cost !== undefined && flags.maxCostPerAttempt === undefined) {
    return yield* new CommandFailed({
      message: `${cost.by} needs --max-cost-per-attempt with --executor claude-code, because the cost of a session is only known at its end. Add --max-cost-per-attempt USD.`
    })
  }
  yield* programs.check("--executor claude-code", "claude")
  return ClaudeCodeExecutor.layer({
    timeout,
    idleTimeout: flags.idleTimeout?.value,
    cwd: flags.cwd?.value,
    model: explicit(flags.model),
    appendSystemPrompt: flags.system?.value,
    permissionMode: flags.permissionMode?.value,
    // Passed as one value: Claude Code splits it and handles blanks and commas inside parentheses.
    allowedTools: flags.allowedTools === undefined ? undefined : [flags.allowedTools.value],
    maxTurns: flags.maxTurns?.value,
    maxBudgetUsd: flags.maxCostPerAttempt?.value,
    args: flags.effort === undefined ? undefined : ["--effort", flags.effort.value]
  })
})
