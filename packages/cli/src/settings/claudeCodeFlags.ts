/**
 * How Claude Code is run: the flags of `--executor claude-code`, besides those that it shares with `--executor claude`.
 *
 * @since 0.1.0
 */
import type * as Command from "effect/cli/Command"
import { given } from "./envFlag.ts"
import * as Kind from "./Kind.ts"

/**
 * The flags.
 *
 * @category flags
 * @since 0.1.0
 */
export const claudeCodeFlags = {
  permissionMode: given("permission-mode", Kind.text("MODE", "a permission mode of Claude Code"), {
    description: "What it may do unasked: acceptEdits, auto, bypassPermissions, dontAsk, manual, plan",
    default: "its own"
  }),
  allowedTools: given("allowed-tools", Kind.text("TOOLS", "names of tools, such as 'Edit,Bash(npm test *)'"), {
    description: "Tools that it may use unasked, such as 'Edit,Bash(npm test *)'"
  }),
  cwd: given("cwd", Kind.text("DIR", "the path of a directory"), { description: "The directory it works in" }),
  maxTurns: given("max-turns", Kind.count(1), { description: "The most turns that an attempt may take" }),
  maxCostPerAttempt: given("max-cost-per-attempt", Kind.dollars, {
    description: "End a session when it has cost this much, up to a turn more; --max-cost needs it"
  })
}

/** @since 0.1.0 */
export type ClaudeCodeFlags = Command.Command.Config.Infer<typeof claudeCodeFlags>
