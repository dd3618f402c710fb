/** @since 0.1.0 */
export { ClaudeClient } from "./ClaudeClient.ts"
export { ClaudeError } from "./ClaudeError.ts"
export * as ClaudeVerifier from "./ClaudeVerifier.ts"
export * as MessageRequest from "./MessageRequest.ts"
export * as Pacing from "./Pacing.ts"
export * as Pricing from "./Pricing.ts"
export * as Reply from "./Reply.ts"
