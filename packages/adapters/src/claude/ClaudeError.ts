/**
 * The errors of this package.
 *
 * @since 0.1.0
 */
export { ModelError as ClaudeError, OutputSchemaError, ResponseCacheError } from "../internal/chat/ModelError.ts"
