/**
 * An executor and a verifier that run a program.
 *
 * @since 0.1.0
 */
export * as Command from "./Command.ts"
export * as CommandExecutor from "./CommandExecutor.ts"
export * as CommandVerifier from "./CommandVerifier.ts"
export * as Program from "./Program.ts"
export { ProgramError } from "./ProgramError.ts"
