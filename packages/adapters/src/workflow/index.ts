/**
 * Durable programs on `effect/workflow`, whose paid steps are tasks.
 *
 * @since 0.2.0
 */
export * as Executions from "./Executions.ts"
export * as Retention from "./Retention.ts"
export * as Review from "./Review.ts"
export * as Schedules from "./Schedules.ts"
export * as TaskActivity from "./TaskActivity.ts"
export * as Workflows from "./Workflows.ts"
export { WorkflowsError } from "./WorkflowsError.ts"
