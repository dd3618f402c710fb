/** @since 0.1.0 */
export * as Costs from "./Costs.ts"
export * as LanguageModelExecutor from "./LanguageModelExecutor.ts"
export * as LanguageModelVerifier from "./LanguageModelVerifier.ts"
