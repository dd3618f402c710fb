/**
 * Deletes what executions leave behind in the storage of their engine, which never deletes anything by itself: a message and a
 * reply for each execution and each of its steps.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Workflow from "effect/workflow/Workflow"
import type { WorkflowsError } from "./WorkflowsError.ts"

/**
 * The retention of an engine. `Workflows.layerSingle` and `Workflows.layerCluster` provide it.
 *
 * @category services
 * @since 0.2.0
 */
export class Retention extends Context.Service<
  Retention,
  {
    /**
     * Deletes an execution that has ended, and its result. Returns whether there was one. Executing the workflow with the same
     * payload then begins again, and finds the tasks of its steps in the task store, so keep those until then as well.
     */
    readonly forget: <
      Tag extends string,
      Payload extends Workflow.AnyStructSchema,
      Success extends Schema.Top,
      Error extends Schema.Top
    >(
      workflow: Workflow.Workflow<Tag, Payload, Success, Error>,
      executionId: string
    ) => Effect.Effect<boolean, WorkflowsError, Success["DecodingServices"] | Error["DecodingServices"]>
  }
>()("@baton/adapters/workflow/Retention") {}
