/**
 * Executions that a workflow executes itself. The engines of `effect/workflow` let them continue when it fails, and when it is
 * interrupted, they let the step that is running in them end first.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import { WorkflowEngine, WorkflowInstance } from "effect/workflow/WorkflowEngine"

/** With this, the engine of `effect/cluster` keeps that an execution was interrupted. */
const interruptSignal = DurableDeferred.make("Workflow/InterruptSignal")

/** Whether an execution of that engine was interrupted. The replay that ends it can come later. */
export const isInterrupted = (
  engine: WorkflowEngine["Service"],
  instance: WorkflowInstance["Service"]
): Effect.Effect<boolean> =>
  Effect.provideService(Effect.map(engine.deferredResult(interruptSignal), Option.isSome), WorkflowInstance, instance)

/**
 * An engine that interrupts the executions within an execution when it fails or is interrupted, without waiting for their steps.
 * Those that were started with `detached` continue.
 */
export const make = (engine: WorkflowEngine["Service"]): WorkflowEngine["Service"] => {
  /**
   * For each execution in this process, the executions within it that have not ended. A replay that fails early does not reach all
   * of those that an earlier one began.
   */
  const childrenOf = new Map<string, Map<string, Workflow.Any>>()

  const interruptAll = (children: ReadonlyMap<string, Workflow.Any>) =>
    Effect.forEach(
      children,
      ([child, workflow]) =>
        Effect.catchCause(engine.interruptUnsafe(workflow, child), (cause) =>
          Effect.logWarning("An execution could not be interrupted", cause).pipe(
            Effect.annotateLogs({ module: "Workflows", workflow: workflow._tag, execution: child })
          )
        ),
      { concurrency: 8, discard: true }
    )

  const linked: WorkflowEngine["Service"] = WorkflowEngine.of({
    ...engine,
    register: <
      Name extends string,
      Payload extends Workflow.AnyStructSchema,
      Success extends Schema.Top,
      Error extends Schema.Top,
      R
    >(
      workflow: Workflow.Workflow<Name, Payload, Success, Error>,
      execute: (payload: Payload["Type"], executionId: string) => Effect.Effect<Success["Type"], Error["Type"], R>
    ) =>
      engine.register(workflow, (payload, executionId) =>
        Effect.gen(function* () {
          const instance = yield* WorkflowInstance
          const children = childrenOf.get(executionId) ?? new Map<string, Workflow.Any>()
          childrenOf.set(executionId, children)
          const forget = Effect.sync(() => childrenOf.delete(executionId))
          // It continues in another process, or begins anew in this one.
          yield* Workflow.provideScope(Effect.addFinalizer(() => (instance.abandoned ? forget : Effect.void)))
          const end = Workflow.addFinalizer((exit) =>
            // The finalizers of replays before the last one are run with a success.
            Exit.isSuccess(exit) ? Effect.void : Effect.andThen(interruptAll(children), forget)
          )
          return yield* Effect.onExit(
            Effect.provideService(execute(payload, executionId), WorkflowEngine, linked),
            // The last finalizer runs first: others undo what the workflow did, and can execute workflows for that.
            (exit) => (Exit.isSuccess(exit) ? forget : end)
          )
        })
      ),
    execute: <
      Name extends string,
      Payload extends Workflow.AnyStructSchema,
      Success extends Schema.Top,
      Error extends Schema.Top,
      const Discard extends boolean = false
    >(
      workflow: Workflow.Workflow<Name, Payload, Success, Error>,
      options: Parameters<typeof engine.execute<Name, Payload, Success, Error, Discard>>[1]
    ) =>
      Effect.gen(function* () {
        const execute = engine.execute<Name, Payload, Success, Error, Discard>(workflow, options)
        const parent = Option.getOrUndefined(yield* Effect.serviceOption(WorkflowInstance))
        const children = parent === undefined ? undefined : childrenOf.get(parent.executionId)
        if (parent === undefined || children === undefined || options.detached === true) return yield* execute
        children.set(options.executionId, workflow)
        // The replay that ends an interrupted execution does not wait for the executions within it.
        if (!parent.interrupted && (yield* isInterrupted(engine, parent))) {
          return yield* Workflow.suspend(parent)
        }
        return yield* Effect.onExit(execute, (exit) =>
          Effect.sync(() => {
            const hasEnded = Exit.isSuccess(exit) ? options.discard !== true : !Cause.hasInterruptsOnly(exit.cause)
            if (hasEnded) children.delete(options.executionId)
          })
        )
      })
  })
  return linked
}

/** The engine of a layer, as `make` returns it. */
export const layer = <Services, E, R>(
  engine: Layer.Layer<WorkflowEngine | Services, E, R>
): Layer.Layer<WorkflowEngine | Services, E, R> =>
  Layer.provideMerge(Layer.effect(WorkflowEngine, Effect.map(WorkflowEngine, make)), engine)
