import { assert, describe, it } from "@effect/vitest"
import { Effect, References, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import {
  type Event,
  Execution,
  ExecutionError,
  Executor,
  RetryPolicy,
  Task,
  type TaskStoreError,
  Verification,
  VerificationError,
  Verifier
} from "@baton/core"
import { layerOf, make, makeDice, memoryStore, unavailable, yields } from "./harness.ts"
import { soak } from "./soak.ts"

const ends = new Set<string>([
  "TaskCompleted",
  "TaskRetried",
  "TaskFailed",
  "TaskReleased",
  "TaskCancelled",
  "LeaseLost"
])

/** The violations of the invariants of one run's events. */
const problemsOf = (events: ReadonlyArray<Event.Event>) => {
  // The run was interrupted before it began.
  if (events.length === 0) return []
  const problems: Array<string> = []
  if (events[0]?._tag !== "RunStarted" || events.at(-1)?._tag !== "RunEnded") problems.push("no start or no end")
  const open = new Set<string>()
  for (const event of events) {
    if (event._tag === "TaskStarted") {
      if (open.has(event.taskId)) problems.push(`${event.taskId} started before its end was published`)
      open.add(event.taskId)
    } else if (ends.has(event._tag) && "taskId" in event) {
      // A task that was refused before its start is released without one.
      if (!open.delete(event.taskId) && event._tag !== "TaskReleased") problems.push(`${event.taskId} ended twice`)
    }
  }
  for (const id of open) problems.push(`the end of ${id} was not published`)
  return problems
}

describe("random faults and interference", () => {
  it.effect.prop(
    "every attempt that starts ends once, stats and events agree, nothing stays in progress, and every task ends",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 31 }))],
    ([seed]) =>
      Effect.gen(function* () {
        const roll = makeDice(seed)
        yield* TestClock.adjust("1 day")
        const concurrency = 1 + roll(5)
        const prefetch = roll(2) === 0 ? undefined : 1 + roll(8)
        const faultRate = roll(3) * 10
        const slowness = roll(20)
        const real = yield* memoryStore
        let troubled = true
        const trouble = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E | TaskStoreError> =>
          Effect.suspend((): Effect.Effect<A, E | TaskStoreError> => {
            if (!troubled) return call
            if (roll(100) < faultRate) return Effect.andThen(yields(roll(slowness + 1)), Effect.fail(unavailable))
            const [before, after] = [roll(slowness + 1), roll(slowness + 1)]
            return Effect.andThen(yields(before), Effect.tap(call, yields(after)))
          })
        let running = 0
        let most = 0
        const at = new Set<string>()
        const twice: Array<string> = []
        const { journal, orchestrator } = yield* make({
          config: {
            concurrency,
            prefetch,
            maxAttempts: 4,
            drainTimeout: "5 seconds",
            executionTimeout: "20 seconds",
            verificationTimeout: "20 seconds",
            retryPolicy: RetryPolicy.exponential({ base: "100 millis", max: "2 seconds" }),
            transientRetry: Schedule.recurs(1)
          },
          executor: Executor.layer(({ id }) =>
            Effect.suspend((): Effect.Effect<Execution.Execution, ExecutionError> => {
              most = Math.max(most, ++running)
              if (at.has(id)) twice.push(id)
              at.add(id)
              const fate = roll(20)
              const after = yields(roll(10))
              if (fate === 0) return Effect.andThen(after, Effect.never)
              if (fate === 1) return Effect.andThen(after, Effect.die(new Error("bug")))
              if (fate < 5) return Effect.andThen(after, new ExecutionError({ reason: "Failed", message: "no" }))
              if (fate < 7) return Effect.andThen(after, new ExecutionError({ reason: "Transient", message: "busy" }))
              if (fate === 7) return Effect.as(Effect.sleep(roll(10_000)), Execution.make({ output: "x" }))
              return Effect.as(after, Execution.make({ output: "x" }))
            }).pipe(
              Effect.ensuring(
                Effect.sync(() => {
                  running--
                  at.delete(id)
                })
              )
            )
          ),
          verifier: Verifier.layer(() =>
            Effect.suspend((): Effect.Effect<Verification.Verification, VerificationError> => {
              const fate = roll(20)
              const after = yields(roll(10))
              if (fate === 0) return Effect.never
              if (fate < 3) return Effect.andThen(after, new VerificationError({ reason: "Failed", message: "crash" }))
              if (fate < 6) return Effect.as(after, Verification.reject("not good"))
              return Effect.as(after, Verification.pass())
            })
          ),
          store: layerOf({
            ...real,
            claim: (options) => trouble(real.claim(options)),
            checkpoint: (checkpoints) => trouble(real.checkpoint(checkpoints)),
            settle: (settlements) => trouble(real.settle(settlements)),
            extend: (leases, lease) => trouble(real.extend(leases, lease)),
            sweep: (options) => trouble(real.sweep(options)),
            counts: trouble(real.counts)
          })
        })
        const total = 1 + roll(30)
        const ids = Array.from({ length: total }, (_, index) => Task.TaskId.make(`t${index}`))
        yield* real.add(ids.map((id) => ({ id, description: "x", priority: roll(3) })))

        const live = (run: Effect.Effect<unknown, unknown>, meddling: boolean) =>
          Effect.gen(function* () {
            const from = journal.events.length
            const fiber = yield* Effect.forkDetach(
              Effect.provideService(run, References.MaxOpsBeforeYield, 3 + roll(60))
            )
            for (let step = 0; step < 2000 && fiber.pollUnsafe() === undefined; step++) {
              yield* yields(20 + roll(60))
              if (roll(3) === 0) yield* TestClock.adjust(roll(1000))
              if (!meddling) continue
              const meddle = roll(60)
              const id = ids[roll(total)]
              if (meddle === 0) yield* Effect.forkDetach(orchestrator.pause)
              else if (meddle < 5) yield* Effect.forkDetach(orchestrator.resume)
              else if (meddle === 5 && id !== undefined) yield* real.cancel({ ids: [id] })
              else if (meddle === 6 && id !== undefined) yield* real.requeue({ ids: [id] })
              else if (meddle === 7) yield* real.request("pause")
              else if (meddle < 12) yield* real.request("resume")
              else if (meddle === 12) yield* orchestrator.stop
              else if (meddle === 13) fiber.interruptUnsafe()
            }
            const exit = fiber.pollUnsafe()
            const events = journal.events.slice(from)
            assert.isDefined(exit, `the run did not end: ${events.map(({ _tag }) => _tag).slice(-12)}`)
            assert.deepStrictEqual(problemsOf(events), [])
            const stats = yield* orchestrator.stats
            const published = (tag: Event.Event["_tag"]) => events.filter(({ _tag }) => _tag === tag).length
            assert.deepStrictEqual(
              [stats.tasksStarted, stats.tasksCompleted, stats.tasksRetried, stats.tasksFailed],
              [published("TaskStarted"), published("TaskCompleted"), published("TaskRetried"), published("TaskFailed")]
            )
            assert.strictEqual((yield* real.counts).in_progress, 0)
            assert.strictEqual(running, 0)
          })

        yield* live(orchestrator.runForever, true)
        yield* live(orchestrator.run, true)
        troubled = false
        yield* real.request("resume")
        // A pause after the end of a run applies to the next one.
        yield* yields(300)
        yield* orchestrator.resume
        yield* live(orchestrator.run, false)
        const counts = yield* real.counts
        assert.strictEqual(counts.pending, 0)
        assert.isAtMost(most, concurrency)
        assert.deepStrictEqual(twice, [])
        for (const id of ids) {
          const attempts = yield* real.attempts(id)
          assert.isFalse(
            attempts.some(({ outcome }) => outcome === "lease_expired"),
            "a lease of a living worker expired"
          )
        }
      }),
    { timeout: soak * 600_000, arbitrary: { runs: soak * 15 } }
  )
})
