/**
 * Deletes the messages and replies of executions from the storage of their engine, which never deletes anything by itself: it
 * keeps one of each for an execution and for each of its steps.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
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
    /** Deletes all executions that ended before a time, of all workflows. Returns their number. */
    readonly forgetEnded: (before: DateTime.Utc) => Effect.Effect<number, WorkflowsError>
  }
>()("@baton/adapters/workflow/Retention") {}

const lookEvery = "1 minute"

/**
 * Deletes executions at some time after they have ended. Any number of processes can have this layer.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerAutomatic = (options: { readonly after: Duration.Input }): Layer.Layer<never, never, Retention> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { forgetEnded } = yield* Retention
      const forget = Effect.flatMap(DateTime.now, (now) => forgetEnded(DateTime.subtractDuration(now, options.after)))
      yield* forget.pipe(
        Effect.ignore({ log: true }),
        Effect.repeat(Schedule.spaced(lookEvery)),
        Effect.annotateLogs({ module: "Retention" }),
        Effect.forkScoped
      )
    })
  )
