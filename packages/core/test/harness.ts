import { Effect, type Fiber, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import {
  type Event,
  Executor,
  Hooks,
  Orchestrator,
  type OrchestratorConfig,
  Safety,
  Task,
  TaskStore,
  TaskStoreError,
  Verifier
} from "@baton/core"

/** All events of the runs under test, in order. */
export class Journal {
  readonly events: Array<Event.Event> = []
  private readonly queue: Queue.Queue<Event.Event>

  constructor(queue: Queue.Queue<Event.Event>) {
    this.queue = queue
  }

  readonly hook = (event: Event.Event) =>
    Effect.sync(() => {
      this.events.push(event)
      Queue.offerUnsafe(this.queue, event)
    })

  readonly tags = () => this.events.map((event) => event._tag)

  readonly of = <Tag extends Event.Event["_tag"]>(tag: Tag) =>
    this.events.filter((event): event is Extract<Event.Event, { readonly _tag: Tag }> => event._tag === tag)

  /** Waits for the next event with this tag that was not returned yet. */
  readonly next = (tag: Event.Event["_tag"]) =>
    Effect.repeat(Queue.take(this.queue), { until: (event) => event._tag === tag })
}

export const makeJournal = Effect.map(Queue.unbounded<Event.Event>(), (queue) => new Journal(queue))

export interface Parts {
  readonly config?: OrchestratorConfig.OrchestratorConfig
  readonly executor?: Layer.Layer<Executor.Executor>
  readonly verifier?: Layer.Layer<Verifier.Verifier>
  readonly safety?: Layer.Layer<Safety.Safety>
  readonly hooks?: ReadonlyArray<Hooks.Hook>
  readonly store?: Layer.Layer<TaskStore.TaskStore>
}

/** An orchestrator over test layers, with its store and a journal of its events. */
export const make = Effect.fnUntraced(function* (parts: Parts = {}) {
  const journal = yield* makeJournal
  const context = yield* Layer.build(
    Orchestrator.layer({ ...parts.config }).pipe(
      Layer.provide([
        parts.executor ?? Executor.layerFake(),
        parts.verifier ?? Verifier.layerAlwaysPass,
        parts.safety ?? Safety.layerAllowAll,
        Hooks.layer(...(parts.hooks ?? []), journal.hook)
      ]),
      Layer.provideMerge(parts.store ?? TaskStore.layerMemory)
    )
  )
  const orchestrator = yield* Effect.provide(Orchestrator.Orchestrator, context)
  const store = yield* Effect.provide(TaskStore.TaskStore, context)
  return { orchestrator, store, journal }
})

/** A memory store whose methods a test can replace. */
export const memoryStore = Effect.flatMap(Layer.build(TaskStore.layerMemory), (context) =>
  Effect.provide(TaskStore.TaskStore, context)
)

export const layerOf = (store: TaskStore.TaskStore["Service"]) => Layer.succeed(TaskStore.TaskStore, store)

export const tasks = (...ids: ReadonlyArray<string>) => ids.map((id) => Task.makeNew({ id, description: `do ${id}` }))

export const numbered = (count: number) => tasks(...Array.from({ length: count }, (_, index) => `t${index}`))

export const get = (store: TaskStore.TaskStore["Service"], id: string) =>
  Effect.flatMap(store.get(id), Effect.fromOption)

export const unavailable = new TaskStoreError({ reason: "Unavailable", message: "connection refused" })

/** Lets the other fibers run. */
export const yields = (times = 300) =>
  Effect.suspend(() => {
    let left = times
    // Not `Effect.repeat`, whose schedule takes most of the time of the tests that yield most.
    return Effect.whileLoop({ while: () => left-- > 0, body: () => Effect.yieldNow, step: () => {} })
  })

/** Lets an hour pass, a minute at a time. */
export const anHour = Effect.repeat(Effect.andThen(TestClock.adjust("1 minute"), yields(20)), { times: 60 })

export const hasEnded = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() !== undefined

/** A seeded generator of random numbers, so that the seed reproduces a failure. */
export const makeDice = (seed: number) => {
  let state = seed >>> 0
  return (sides: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}
