/** What single operations of a store cost its server, in processor time: the basis of an extrapolation. */
import { Execution, TaskStore, Verification } from "@baton/core"
import { Duration, Effect, Layer } from "effect"
import { add } from "../orchestrate.ts"
import { storeLayer } from "../temporaryStores.ts"
import type { Place } from "./servers.ts"

const lease = Duration.minutes(10)

const complete = ({ task, token }: TaskStore.Claim): TaskStore.Settlement => ({
  _tag: "Complete",
  taskId: task.id,
  token,
  execution: Execution.make({ output: "done" }),
  verification: Verification.pass(),
  verified: true
})

/** Microseconds of the server's processor time for each task, with so many tasks in one operation. */
export const measure = Effect.fnUntraced(function* (place: Place, keys: number, operations: number, size: number) {
  const cost = Effect.fnUntraced(function* <A, E, R>(work: Effect.Effect<A, E, R>) {
    const before = yield* place.usage
    const result = yield* work
    const after = yield* place.usage
    const millis = after.cpuMillis - before.cpuMillis + after.poolerCpuMillis - before.poolerCpuMillis
    return { result, micros: (millis * 1000) / (operations * size) }
  })
  const times = Array.from({ length: operations }, (_, index) => index)
  return yield* Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const added = yield* cost(add(operations * size, 0, keys))
    const claimed = yield* cost(
      Effect.forEach(times, () => store.claim({ owner: "bench", limit: size, lease, started: size }))
    )
    const extended = yield* cost(
      Effect.forEach(claimed.result, (claims) =>
        store.extend(
          claims.map(({ task, token }) => ({ taskId: task.id, token })),
          lease
        )
      )
    )
    const settled = yield* cost(
      Effect.forEach(claimed.result, (claims) => store.settle(claims.map((claim) => complete(claim))))
    )
    const empty = yield* cost(
      Effect.forEach(times, () => store.claim({ owner: "bench", limit: size, lease, started: size }))
    )
    const swept = yield* cost(Effect.forEach(times, () => store.sweep({ maxAttempts: 3, onCrash: "retry" })))
    return {
      ...(size === 1
        ? { "an empty claim": empty.micros, "an empty sweep": swept.micros }
        : { "add, 1 000 at a time": added.micros }),
      [`claim, ${size} at a time`]: claimed.micros,
      [`extend a lease, ${size} at a time`]: extended.micros,
      [`settle, ${size} at a time`]: settled.micros
    }
  }).pipe(Effect.provide(Layer.fresh(storeLayer(place.url)), { local: true }))
})
