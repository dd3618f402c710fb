/** @since 0.1.0 */
export * as MessageRequest from "../internal/chat/MessageRequest.ts"
export { ModelError, OutputSchemaError } from "../internal/chat/ModelError.ts"
export * as Pacing from "../internal/chat/Pacing.ts"
export * as Pricing from "../internal/chat/Pricing.ts"
export * as Reply from "../internal/chat/Reply.ts"
export * as OpenAiClient from "./OpenAiClient.ts"
export * as OpenAiExecutor from "./OpenAiExecutor.ts"
export * as OpenAiVerifier from "./OpenAiVerifier.ts"
