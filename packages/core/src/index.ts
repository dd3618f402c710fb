/**
 * Run a list of AI tasks to verified completion.
 *
 * @since 0.1.0
 */
export * as Attempt from "./Attempt.ts"
export { type AttemptContext, idempotencyKey } from "./AttemptContext.ts"
export * as Event from "./Event.ts"
export * as Execution from "./Execution.ts"
export { ExecutionError } from "./ExecutionError.ts"
export * as Executor from "./Executor.ts"
export * as Hooks from "./Hooks.ts"
export * as Orchestrator from "./Orchestrator.ts"
export * as OrchestratorBuilder from "./OrchestratorBuilder.ts"
export * as OrchestratorConfig from "./OrchestratorConfig.ts"
export * as OrchestratorMetrics from "./OrchestratorMetrics.ts"
export * as RetryPolicy from "./RetryPolicy.ts"
export * as Safety from "./Safety.ts"
export { SafetyStop } from "./SafetyStop.ts"
export * as Stats from "./Stats.ts"
export * as StopReason from "./StopReason.ts"
export * as Task from "./Task.ts"
export * as TaskState from "./TaskState.ts"
export * as TaskStore from "./TaskStore.ts"
export { Refusal, TasksRefused, TaskStoreError } from "./TaskStoreError.ts"
export * as Usage from "./Usage.ts"
export * as Verification from "./Verification.ts"
export { VerificationError } from "./VerificationError.ts"
export * as Verifier from "./Verifier.ts"
