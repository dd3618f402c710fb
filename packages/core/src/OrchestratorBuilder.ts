/**
 * Builds an orchestrator step by step, from the same layers as everywhere else.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Event } from "./Event.ts"
import type { Executor } from "./Executor.ts"
import * as Hooks from "./Hooks.ts"
import * as Orchestrator from "./Orchestrator.ts"
import type { InvalidConfig, OrchestratorConfig } from "./OrchestratorConfig.ts"
import * as Safety from "./Safety.ts"
import type { TaskStore } from "./TaskStore.ts"
import * as Verifier from "./Verifier.ts"

/** The services that an orchestrator requires. */
export type Required = TaskStore | Executor

type Services = Required | Verifier.Verifier | Safety.Safety

type Handler<Tag extends Event["_tag"]> = (
  event: Extract<Event, { readonly _tag: Tag }>
) => Effect.Effect<void, unknown>

/**
 * A builder that has the services `Has`. Every step returns a new builder, and a later layer of a service replaces an
 * earlier one. Without a verifier, tasks complete as unverified. Without safety there are no limits.
 *
 * @category models
 * @since 0.1.0
 */
export interface OrchestratorBuilder<Has extends Services, E, R> {
  readonly withTaskStore: <E2, R2>(
    layer: Layer.Layer<TaskStore, E2, R2>
  ) => OrchestratorBuilder<Has | TaskStore, E | E2, R | R2>
  readonly withExecutor: <E2, R2>(
    layer: Layer.Layer<Executor, E2, R2>
  ) => OrchestratorBuilder<Has | Executor, E | E2, R | R2>
  readonly withVerifier: <E2, R2>(
    layer: Layer.Layer<Verifier.Verifier, E2, R2>
  ) => OrchestratorBuilder<Has | Verifier.Verifier, E | E2, R | R2>
  readonly withSafety: <E2, R2>(
    layer: Layer.Layer<Safety.Safety, E2, R2>
  ) => OrchestratorBuilder<Has | Safety.Safety, E | E2, R | R2>
  /** Adds settings. A setting that was given before is replaced. */
  readonly withConfig: (config: OrchestratorConfig) => OrchestratorBuilder<Has, E, R>
  readonly withHook: (hook: Hooks.Hook) => OrchestratorBuilder<Has, E, R>
  readonly onRunStart: (handler: Handler<"RunStarted">) => OrchestratorBuilder<Has, E, R>
  readonly onRunEnd: (handler: Handler<"RunEnded">) => OrchestratorBuilder<Has, E, R>
  readonly onTaskStart: (handler: Handler<"TaskStarted">) => OrchestratorBuilder<Has, E, R>
  readonly onTaskComplete: (handler: Handler<"TaskCompleted">) => OrchestratorBuilder<Has, E, R>
  readonly onTaskRetry: (handler: Handler<"TaskRetried">) => OrchestratorBuilder<Has, E, R>
  readonly onTaskFail: (handler: Handler<"TaskFailed">) => OrchestratorBuilder<Has, E, R>
  /**
   * The orchestrator, and the services it was built from. Without a store or an executor this does not compile, and the
   * type error says which call is missing.
   */
  readonly build: (
    this: [Required] extends [Has] ? unknown : MissingCall<Exclude<Required, Has>>
  ) => Layer.Layer<
    Orchestrator.Orchestrator | Verifier.Verifier | Safety.Safety | Has,
    E | InvalidConfig,
    R | Exclude<Services, Verifier.Verifier | Safety.Safety | Has>
  >
}

/** Names the call that a builder still needs, in the type error of `build`. */
export type MissingCall<Service extends Required> =
  `Call ${Service extends TaskStore ? "withTaskStore" : "withExecutor"}(layer) before build().`

const builder = <Has extends Services, E, R>(
  services: Layer.Layer<Has, E, R>,
  config: OrchestratorConfig,
  hooks: ReadonlyArray<Hooks.Hook>
): OrchestratorBuilder<Has, E, R> => {
  const withService = <S extends Services, E2, R2>(layer: Layer.Layer<S, E2, R2>) =>
    builder(Layer.merge(services, layer), config, hooks)
  const withHook = (hook: Hooks.Hook) => builder(services, config, [...hooks, hook])
  return {
    withTaskStore: withService,
    withExecutor: withService,
    withVerifier: withService,
    withSafety: withService,
    withConfig: (more) => builder(services, { ...config, ...more }, hooks),
    withHook,
    onRunStart: (RunStarted) => withHook(Hooks.handle({ RunStarted })),
    onRunEnd: (RunEnded) => withHook(Hooks.handle({ RunEnded })),
    onTaskStart: (TaskStarted) => withHook(Hooks.handle({ TaskStarted })),
    onTaskComplete: (TaskCompleted) => withHook(Hooks.handle({ TaskCompleted })),
    onTaskRetry: (TaskRetried) => withHook(Hooks.handle({ TaskRetried })),
    onTaskFail: (TaskFailed) => withHook(Hooks.handle({ TaskFailed })),
    build: () =>
      Orchestrator.layer(config).pipe(
        Layer.provide(Hooks.layer(...hooks)),
        Layer.provideMerge(Layer.merge(defaults, services))
      )
  }
}

const defaults = Layer.merge(Verifier.layerNone, Safety.layerAllowAll)

/**
 * An empty builder.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): OrchestratorBuilder<never, never, never> => builder(Layer.empty, {}, [])
