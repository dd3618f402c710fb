import { Task, TaskState } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"

const { Approved, AttemptFailed, Cancelled, ClaimExpired, Claimed, DependencyFailed, Edited, LeaseExpired } =
  TaskState.Transition.cases
const { Rejected, Released, Requeued, ReviewExpired, Revised, SentToReview, Verified } = TaskState.Transition.cases

const attempts = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 }))

const State = Schema.Struct({ status: Task.TaskStatus, attempts })

const Policy = Schema.Struct({
  maxAttempts: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })),
  onCrash: Schema.Literals(["retry", "dead-letter"])
})

const policy = { maxAttempts: 3, onCrash: "retry" } as const

const isTerminal = (status: Task.TaskStatus) => Task.terminalStatuses.some((terminal) => terminal === status)

/** Where a task ends up after all the events that its states allow. */
const walk = (
  from: TaskState.TaskState,
  events: ReadonlyArray<TaskState.Transition>,
  policy: TaskState.FailurePolicy
) => events.reduce((state, event) => Result.getOrElse(TaskState.transition(state, event, policy), () => state), from)

describe("TaskState", () => {
  it.effect.each([
    ["pending", 0, Claimed.make({}), { status: "in_progress", attempts: 1 }],
    ["in_progress", 1, Verified.make({}), { status: "completed", attempts: 1 }],
    ["in_progress", 2, AttemptFailed.make({ permanent: false }), { status: "pending", attempts: 2 }],
    ["in_progress", 3, AttemptFailed.make({ permanent: false }), { status: "failed", attempts: 3 }],
    ["in_progress", 1, AttemptFailed.make({ permanent: true }), { status: "failed", attempts: 1 }],
    ["in_progress", 2, Released.make({}), { status: "pending", attempts: 1 }],
    ["in_progress", 2, LeaseExpired.make({}), { status: "pending", attempts: 2 }],
    ["in_progress", 3, LeaseExpired.make({}), { status: "failed", attempts: 3 }],
    ["in_progress", 3, ClaimExpired.make({}), { status: "pending", attempts: 2 }],
    ["pending", 0, DependencyFailed.make({}), { status: "failed", attempts: 0 }],
    ["failed", 3, Requeued.make({}), { status: "pending", attempts: 0 }],
    ["cancelled", 2, Requeued.make({}), { status: "pending", attempts: 0 }],
    ["pending", 2, Cancelled.make({}), { status: "cancelled", attempts: 2 }],
    ["in_progress", 2, Cancelled.make({}), { status: "cancelled", attempts: 2 }],
    ["pending", 2, Revised.make({}), { status: "pending", attempts: 0 }],
    ["completed", 1, Revised.make({}), { status: "pending", attempts: 0 }],
    ["failed", 3, Revised.make({}), { status: "pending", attempts: 0 }],
    ["cancelled", 0, Revised.make({}), { status: "pending", attempts: 0 }],
    ["in_progress", 3, SentToReview.make({}), { status: "in_review", attempts: 3 }],
    ["in_review", 3, Approved.make({}), { status: "completed", attempts: 3 }],
    ["in_review", 3, Edited.make({}), { status: "completed", attempts: 3 }],
    ["in_review", 3, Rejected.make({ permanent: false }), { status: "pending", attempts: 3 }],
    ["in_review", 1, Rejected.make({ permanent: true }), { status: "failed", attempts: 1 }],
    ["in_review", 1, ReviewExpired.make({}), { status: "failed", attempts: 1 }]
  ] as const)("of three attempts, %s with %i used: %o leads to %o", ([status, attempts, event, expected]) =>
    Effect.sync(() => {
      assert.deepStrictEqual(TaskState.transition({ status, attempts }, event, policy), Result.succeed(expected))
    })
  )

  it.effect("work that must not run twice fails with its first worker", () =>
    Effect.sync(() => {
      const cautious = { maxAttempts: 3, onCrash: "dead-letter" } as const
      assert.deepStrictEqual(
        TaskState.transition({ status: "in_progress", attempts: 1 }, LeaseExpired.make({}), cautious),
        Result.succeed({ status: "failed", attempts: 1 } as const)
      )
    })
  )

  it.effect("work that was never started is given back, even if it must not run twice", () =>
    Effect.sync(() => {
      for (const onCrash of ["retry", "dead-letter"] as const) {
        assert.deepStrictEqual(
          TaskState.transition({ status: "in_progress", attempts: 1 }, ClaimExpired.make({}), {
            maxAttempts: 1,
            onCrash
          }),
          Result.succeed({ status: "pending", attempts: 0 } as const)
        )
      }
    })
  )

  it.effect.prop(
    "a transition leads somewhere or is refused with the status it does not exist for",
    [State, TaskState.Transition, Policy],
    ([state, event, policy]) =>
      Effect.sync(() => {
        const next = TaskState.transition(state, event, policy)
        if (Result.isFailure(next)) {
          assert.strictEqual(next.failure._tag, "IllegalTransition")
          assert.strictEqual(next.failure.status, state.status)
          assert.strictEqual(next.failure.transition, event._tag)
        } else {
          assert.isTrue(Schema.is(TaskState.TaskState)(next.success))
          if (event._tag !== "Revised") assert.notStrictEqual(next.success.status, state.status)
        }
      })
  )

  it.effect.prop(
    "attempts are never negative, and grow by one with a claim only",
    [State, TaskState.Transition, Policy],
    ([state, event, policy]) =>
      Effect.sync(() => {
        const next = Result.getOrElse(TaskState.transition(state, event, policy), () => state)
        assert.isAtLeast(next.attempts, 0)
        if (next.attempts > state.attempts) {
          assert.strictEqual(event._tag, "Claimed")
          assert.strictEqual(next.attempts, state.attempts + 1)
        }
      })
  )

  it.effect.prop(
    "after a failure no task is pending that has used up its attempts",
    [State, Schema.Union([TaskState.Transition.cases.AttemptFailed, TaskState.Transition.cases.LeaseExpired]), Policy],
    ([{ attempts }, event, policy]) =>
      Effect.sync(() => {
        const next = Result.getOrThrow(TaskState.transition({ status: "in_progress", attempts }, event, policy))
        assert.include(["pending", "failed"], next.status)
        if (next.status === "pending") assert.isBelow(attempts, policy.maxAttempts)
      })
  )

  it.effect.prop(
    "a terminal status is left by a requeue or a revision only, and completed by a revision only",
    [State, TaskState.Transition, Policy],
    ([state, event, policy]) =>
      Effect.sync(() => {
        if (!isTerminal(state.status)) return
        const next = TaskState.transition(state, event, policy)
        const leaves = event._tag === "Revised" || (event._tag === "Requeued" && state.status !== "completed")
        assert.strictEqual(Result.isSuccess(next), leaves)
        if (Result.isSuccess(next)) assert.deepStrictEqual(next.success, { status: "pending", attempts: 0 })
      })
  )

  it.effect.prop(
    "only a task in progress can end an attempt, and only a pending one can be claimed",
    [State, TaskState.Transition, Policy],
    ([state, event, policy]) =>
      Effect.sync(() => {
        const legal = Result.isSuccess(TaskState.transition(state, event, policy))
        const ending = ["Verified", "AttemptFailed", "Released", "LeaseExpired", "ClaimExpired", "SentToReview"]
        if (ending.includes(event._tag)) {
          assert.strictEqual(legal, state.status === "in_progress")
        }
        if (["Approved", "Edited", "Rejected", "ReviewExpired"].includes(event._tag)) {
          assert.strictEqual(legal, state.status === "in_review")
        }
        if (event._tag === "Claimed") assert.strictEqual(legal, state.status === "pending")
      })
  )

  it.effect.prop(
    "a task that is not requeued, revised or reviewed is never claimed more often than its attempts allow, releases aside",
    [Schema.Array(TaskState.Transition), Policy],
    ([events, policy]) =>
      Effect.sync(() => {
        const returning = new Set<string>(["Requeued", "Released", "ClaimExpired", "Revised", "Rejected"])
        const failing = events.filter(({ _tag }) => !returning.has(_tag))
        const reached = walk({ status: "pending", attempts: 0 }, failing, policy)
        assert.isAtMost(reached.attempts, policy.maxAttempts)
      })
  )
})
