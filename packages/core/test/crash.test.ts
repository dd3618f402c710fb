import { assert, describe, it } from "@effect/vitest"
import { Effect, type Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, Task, type TaskStore, Verification, Verifier } from "@baton/core"
import { anHour, layerOf, make, makeDice, memoryStore, yields } from "./harness.ts"
import { soak } from "./soak.ts"

describe("workers that are killed at any moment", () => {
  it.effect.prop(
    "lose no task, complete none twice, and never execute a task again whose output was saved",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))],
    ([seed]) =>
      Effect.gen(function* () {
        const roll = makeDice(seed)
        const real = yield* memoryStore
        const total = 1 + roll(25)
        const ids = Array.from({ length: total }, (_, index) => Task.TaskId.make(`t${index}`))
        yield* real.add(ids.map((id) => ({ id, description: "x" })))
        const saved = new Set<string>()
        const executed = new Set<string>()
        const problems: Array<string> = []
        const accepted = new Map<string, number>()

        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        const worker = Effect.fnUntraced(function* () {
          let dead = false
          // A killed process sends nothing and receives no answer. Its last request may have arrived.
          const call = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
            Effect.suspend(() => {
              if (dead) return Effect.never
              return Effect.andThen(
                yields(roll(6)),
                Effect.suspend(() =>
                  dead
                    ? Effect.never
                    : Effect.tap(effect, () => Effect.andThen(yields(roll(6)), dead ? Effect.never : Effect.void))
                )
              )
            })
          const mortal = <A>(effect: Effect.Effect<A>) => Effect.tap(effect, () => (dead ? Effect.never : Effect.void))
          const { orchestrator } = yield* make({
            config: {
              concurrency: 1 + roll(4),
              prefetch: roll(2) === 0 ? undefined : 1 + roll(6),
              maxAttempts: 1000,
              leaseDuration: "9 seconds"
            },
            executor: Executor.layer(({ id }, { leaseToken }) =>
              mortal(
                Effect.suspend(() => {
                  executed.add(`${leaseToken} ${id}`)
                  if (saved.has(id)) problems.push(`${id} was executed although its output was saved`)
                  return Effect.as(yields(roll(12)), Execution.make({ output: `result of ${id}` }))
                })
              )
            ),
            verifier: Verifier.layer(() => mortal(Effect.as(yields(roll(12)), Verification.pass()))),
            store: layerOf({
              ...real,
              claim: (options) => call(real.claim(options)),
              checkpoint: (checkpoints) =>
                call(
                  Effect.tap(real.checkpoint(checkpoints), ({ lost }) =>
                    Effect.sync(() => {
                      const gone = new Set<string>(lost.map(({ taskId }) => taskId))
                      for (const { taskId } of checkpoints) if (!gone.has(taskId)) saved.add(taskId)
                    })
                  )
                ),
              settle: (settlements) =>
                call(
                  Effect.tap(real.settle(settlements), ({ lost }) =>
                    Effect.sync(() => {
                      const gone = new Set<string>(lost.map(({ taskId }) => taskId))
                      for (const { _tag, taskId } of settlements) {
                        if (_tag === "Complete" && !gone.has(taskId))
                          accepted.set(taskId, (accepted.get(taskId) ?? 0) + 1)
                      }
                    })
                  )
                ),
              start: (leases) => call(real.start(leases)),
              extend: (leases, lease) => call(real.extend(leases, lease)),
              sweep: (options) => call(real.sweep(options)),
              counts: call(real.counts),
              control: call(real.control),
              awaitWork: (options) => call(real.awaitWork(options)),
              awaitControl: (revision) => call(real.awaitControl(revision))
            })
          })
          fibers.push(yield* Effect.forkDetach(orchestrator.run))
          return { kill: () => void (dead = true) }
        })

        let workers = [yield* worker(), yield* worker()]
        const isDone = (counts: TaskStore.Counts) => counts.pending === 0 && counts.in_progress === 0
        let steps = 0
        for (; steps < 3000 && !isDone(yield* real.counts); steps++) {
          yield* yields(roll(15))
          if (roll(4) === 0) yield* TestClock.adjust(roll(3000))
          if (steps < 200 && roll(4) === 0) {
            workers[roll(workers.length)]?.kill()
            workers = [...workers, yield* worker()].slice(-3)
          }
          // The last worker lives.
          if (steps === 200) workers = [...workers, yield* worker()]
        }
        for (const id of ids) {
          const attempts = yield* real.attempts(id)
          if (attempts.filter(({ outcome }) => outcome === "completed").length !== 1)
            problems.push(`${id} is not completed`)
          if (accepted.get(id) !== 1) problems.push(`${id} was accepted ${accepted.get(id)} times`)
          for (const [index, attempt] of attempts.entries()) {
            if (attempt.token !== index + 1) problems.push(`${id}: a claim without a row`)
            const isUnstarted = attempt.error?.includes("before it started") === true
            if (isUnstarted && executed.has(`${attempt.token} ${id}`)) problems.push(`${id}: executed without a start`)
          }
        }
        assert.deepStrictEqual(problems, [])
        for (const { kill } of workers) kill()
        // The runs of dead workers end by their timeouts.
        for (const fiber of fibers) fiber.interruptUnsafe()
        yield* anHour
      }),
    { timeout: soak * 600_000, arbitrary: { runs: soak * 15 } }
  )
})
