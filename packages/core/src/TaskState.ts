/**
 * The state machine of a task, as one pure total function. It decides every change of status: a run asks it directly, and
 * stores get its decisions as the statuses and numbers below, which they apply in SQL or Lua.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TaskStatus } from "./Task.ts"

/**
 * What the state machine looks at.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskState = Schema.Struct({ status: TaskStatus, attempts: Schema.Int })

/** @since 0.1.0 */
export interface TaskState extends Schema.Schema.Type<typeof TaskState> {}

/**
 * What can happen to a task.
 *
 * @category models
 * @since 0.1.0
 */
export const Transition = Schema.TaggedUnion({
  Claimed: {},
  Verified: {},
  /** An attempt failed; `permanent` when trying again would not help. */
  AttemptFailed: { permanent: Schema.Boolean },
  Released: {},
  /** The worker stopped answering while it worked on the task. */
  LeaseExpired: {},
  /** The worker stopped answering before it started the task. */
  ClaimExpired: {},
  Requeued: {},
  Cancelled: {},
  /** The task was given other work, or its output was rejected after it was accepted. */
  Revised: {},
  /** A task that it waits for has failed, and it is not to wait until that is requeued. */
  DependencyFailed: {},
  /** A person has to decide about the output. */
  SentToReview: {},
  /** A person accepted the output. */
  Approved: {},
  /** A person rejected the output, with a comment for the next attempt; `permanent` when there is to be none. */
  Rejected: { permanent: Schema.Boolean },
  /** A person replaced the output by another text. */
  Edited: {},
  /** No person decided in time. */
  ReviewExpired: {}
})

/** @since 0.1.0 */
export type Transition = typeof Transition.Type

/** What a run decides about failures. */
export interface FailurePolicy {
  /** Total attempts, the first included. */
  readonly maxAttempts: number
  /** `dead-letter`: a task whose worker died is not run again by itself. */
  readonly onCrash: "retry" | "dead-letter"
}

/**
 * The transition does not exist from this status.
 *
 * @category errors
 * @since 0.1.0
 */
export class IllegalTransition extends Schema.TaggedError<IllegalTransition>()("IllegalTransition", {
  status: TaskStatus,
  transition: Schema.String
}) {
  override get message(): string {
    return `A task that is ${this.status} cannot be ${this.transition}.`
  }
}

/**
 * Where a task goes from here, or why it cannot.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transition = (
  from: TaskState,
  event: Transition,
  policy: FailurePolicy
): Result.Result<TaskState, IllegalTransition> => {
  const illegal = () => Result.fail(new IllegalTransition({ status: from.status, transition: event._tag }))
  const to = (status: TaskStatus, attempts = from.attempts) => Result.succeed({ status, attempts })
  const afterFailure = (giveUp: boolean) => to(giveUp || from.attempts >= policy.maxAttempts ? "failed" : "pending")
  const running = from.status === "in_progress"
  const reviewed = from.status === "in_review"
  switch (event._tag) {
    case "Claimed":
      return from.status === "pending" ? to("in_progress", from.attempts + 1) : illegal()
    case "Verified":
      return running ? to("completed") : illegal()
    case "AttemptFailed":
      return running ? afterFailure(event.permanent) : illegal()
    case "Released":
      return running ? to("pending", Math.max(0, from.attempts - 1)) : illegal()
    case "LeaseExpired":
      return running ? afterFailure(policy.onCrash === "dead-letter") : illegal()
    case "ClaimExpired":
      return running ? to("pending", Math.max(0, from.attempts - 1)) : illegal()
    case "Requeued":
      return from.status === "failed" || from.status === "cancelled" ? to("pending", 0) : illegal()
    case "Cancelled":
      return from.status === "pending" || running ? to("cancelled") : illegal()
    case "DependencyFailed":
      return from.status === "pending" ? to("failed") : illegal()
    case "Revised":
      return running || reviewed ? illegal() : to("pending", 0)
    case "SentToReview":
      return running ? to("in_review") : illegal()
    case "Approved":
    case "Edited":
      return reviewed ? to("completed") : illegal()
    // Whatever the number of attempts: the limit is for failures that no person has looked at.
    case "Rejected":
      return reviewed ? to(event.permanent ? "failed" : "pending") : illegal()
    case "ReviewExpired":
      return reviewed ? to("failed") : illegal()
  }
}

/** The policy under which no failure is the last one. */
const patient: FailurePolicy = { maxAttempts: Infinity, onCrash: "retry" }

/**
 * The statuses from which a transition exists.
 *
 * @category getters
 * @since 0.1.0
 */
export const statusesBefore = (
  event: "Claimed" | "Requeued" | "Cancelled" | "Revised" | "DependencyFailed"
): ReadonlyArray<TaskStatus> =>
  TaskStatus.literals.filter((status) =>
    Result.isSuccess(transition({ status, attempts: 0 }, { _tag: event }, patient))
  )

/**
 * With how many attempts a task whose lease expired goes to the dead-letter queue.
 *
 * @category getters
 * @since 0.1.0
 */
export const failsFrom = (policy: FailurePolicy): number => {
  const fails = (attempts: number) =>
    Result.getOrThrow(transition({ status: "in_progress", attempts }, { _tag: "LeaseExpired" }, policy)).status ===
    "failed"
  return fails(0) ? 0 : policy.maxAttempts
}

/**
 * How many attempts a task gets back whose lease expired before it was started. It becomes pending.
 *
 * @category getters
 * @since 0.2.0
 */
export const returnedUnstarted = (): 0 | 1 => {
  const next = transition({ status: "in_progress", attempts: 1 }, { _tag: "ClaimExpired" }, patient)
  return Result.getOrThrow(next).attempts === 0 ? 1 : 0
}

/**
 * What becomes of a task whose attempt is settled: its status, and how many attempts it gets back. An `AttemptFailed` that
 * is not permanent is one after which the policy allows another attempt.
 *
 * @category getters
 * @since 0.1.0
 */
export const settled = (
  event: Extract<Transition, { readonly _tag: "Verified" | "AttemptFailed" | "Released" | "SentToReview" }>
): { readonly status: "completed" | "pending" | "failed" | "in_review"; readonly attemptsReturned: 0 | 1 } => {
  const { attempts, status } = Result.getOrThrow(transition({ status: "in_progress", attempts: 1 }, event, patient))
  return {
    status: status === "completed" || status === "failed" || status === "in_review" ? status : "pending",
    attemptsReturned: attempts === 0 ? 1 : 0
  }
}

/**
 * What becomes of a task in review that a person has decided about.
 *
 * @category getters
 * @since 0.2.0
 */
export const decided = (
  event: Extract<Transition, { readonly _tag: "Approved" | "Rejected" | "Edited" | "ReviewExpired" }>
): "completed" | "pending" | "failed" => {
  const { status } = Result.getOrThrow(transition({ status: "in_review", attempts: 1 }, event, patient))
  return status === "completed" || status === "failed" ? status : "pending"
}
