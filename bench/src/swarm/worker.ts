/**
 * Several workers of the swarm in one process, each with its own store and connections:
 * `node worker.ts URL WORKERS CONCURRENCY TASK_MILLIS LEASE_MILLIS`. It reports to its parent.
 */
import { Execution, Executor, Orchestrator, Safety, TaskStore, Verifier } from "@baton/core"
import { Clock, Effect, Layer, Random, Schedule } from "effect"
import { storeLayer } from "../temporaryStores.ts"

/** What a process has seen since its last report. */
export interface Report {
  /** The numbers of tasks whose execution started, each followed by the time. */
  readonly starts: ReadonlyArray<number>
  /** The durations of claims that returned tasks, in milliseconds. */
  readonly claims: ReadonlyArray<number>
  readonly finished: ReadonlyArray<number>
}

const [, , url = "", ...numbers] = process.argv
const [workers = 1, concurrency = 1, taskMillis = 1, leaseMillis = 1] = numbers.map(Number)

const starts: Array<number> = []
const claims: Array<number> = []
const finished: Array<number> = []

const executor = Executor.layer(({ id }) =>
  Effect.gen(function* () {
    const number = Number(id.slice("task-".length))
    starts.push(number, yield* Clock.currentTimeMillis)
    // Tasks that all take as long would start and end together.
    yield* Effect.sleep(taskMillis * (yield* Random.nextBetween(0.5, 1.5)))
    finished.push(number)
    return Execution.make({ output: "done" })
  })
)

/** Measures how long claims take. */
const measured = Layer.effect(
  TaskStore.TaskStore,
  Effect.map(TaskStore.TaskStore, (store) => ({
    ...store,
    claim: (options: TaskStore.ClaimOptions) =>
      Effect.suspend(() => {
        const began = performance.now()
        return Effect.tap(store.claim(options), (claimed) =>
          Effect.sync(() => claimed.length > 0 && claims.push(performance.now() - began))
        )
      })
  }))
)

const worker = Orchestrator.layerWorker({ onEnd: "log" }).pipe(
  Layer.provide(Orchestrator.layer({ concurrency, leaseDuration: leaseMillis })),
  Layer.provide([executor, Verifier.layerAlwaysPass, Safety.layerAllowAll])
)

const send = Effect.sync(() => {
  process.send?.({ starts: starts.splice(0), claims: claims.splice(0), finished: finished.splice(0) } satisfies Report)
})

await Effect.gen(function* () {
  for (let index = 0; index < workers; index++) {
    yield* Layer.build(
      Layer.provide(Layer.fresh(worker), Layer.provide(Layer.fresh(measured), Layer.fresh(storeLayer(url))))
    )
  }
  yield* send
  yield* Effect.repeat(send, Schedule.spaced("100 millis"))
}).pipe(Effect.scoped, Effect.runPromise)
