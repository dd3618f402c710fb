/**
 * An executor that runs Claude Code (`claude -p`).
 *
 * @since 0.1.0
 */
export * as ClaudeCodeExecutor from "./ClaudeCodeExecutor.ts"
