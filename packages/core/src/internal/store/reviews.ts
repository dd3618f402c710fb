import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { Attempt, AttemptOutcome } from "../../Attempt.ts"
import * as Execution from "../../Execution.ts"
import type { TaskId } from "../../Task.ts"
import * as TaskState from "../../TaskState.ts"
import type { AuditReply, Finding, RefusedDecision, ReviewDecision, ReviewReply, Reviews } from "../../TaskStore.ts"
import type { DecisionRow, TaskStoreDriver } from "../../TaskStoreDriver.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import type { AuditFinding, Decision, Verification } from "../../Verification.ts"
import * as Codec from "./codec.ts"
import * as Text from "./text.ts"

/** How many ledgers are read at the same time. */
const ledgerReads = 16

const expiredComment = "No decision about the output was made in time."

/** Where each kind of decision leads, as the state machine decides it. */
const decisions = {
  approved: TaskState.decided({ _tag: "Approved" }),
  edited: TaskState.decided({ _tag: "Edited" }),
  rejected: TaskState.decided({ _tag: "Rejected", permanent: false }),
  givenUp: TaskState.decided({ _tag: "Rejected", permanent: true }),
  expired: TaskState.decided({ _tag: "ReviewExpired" })
}

/** The outcomes of attempts whose verdict can be audited. */
const hasEnded: ReadonlySet<AttemptOutcome | undefined> = new Set(["completed", "retried", "failed"])

const outcomes = { completed: "completed", pending: "retried", failed: "failed" } as const

/** Decisions of people: reads the attempts that they are about, and writes what the state machine makes of them. */
export const make = (
  driver: Pick<TaskStoreDriver, "attempts" | "get"> & {
    readonly decide: NonNullable<TaskStoreDriver["decide"]>
    readonly amend: NonNullable<TaskStoreDriver["amend"]>
  },
  {
    changed,
    decoded,
    maxRows
  }: {
    /** Tasks have changed. */
    readonly changed: (ids: ReadonlyArray<TaskId>) => void
    readonly decoded: <A>(read: () => A) => Effect.Effect<A, TaskStoreError>
    readonly maxRows: number
  }
): Reviews => {
  const attemptsOf = (id: TaskId) =>
    Effect.flatMap(driver.attempts(Text.encode(id)), (rows) => decoded(() => rows.map((row) => Codec.attempt(id, row))))

  /** Says who has decided what. A decision that the same person has made before was made by this call, or needs no other. */
  const explain = Effect.fnUntraced(function* (
    decision: ReviewDecision
  ): Effect.fn.Return<RefusedDecision | undefined, TaskStoreError> {
    const { taskId, token } = decision
    const [row] = yield* driver.get([Text.encode(taskId)])
    const status = row === undefined ? undefined : yield* decoded(() => Codec.status(row.status))
    const attempts = status === undefined ? [] : yield* attemptsOf(taskId)
    const attempt = attempts.findLast((each) => each.verification?.decision !== undefined)
    const made = (token === undefined ? attempt : attempts.find((each) => each.token === token))?.verification?.decision
    if (attempt !== undefined && made !== undefined && isSame(made, decision, attempt)) return undefined
    return { taskId, status, decision: made }
  })

  const decide = Effect.fnUntraced(function* (
    all: ReadonlyArray<ReviewDecision>
  ): Effect.fn.Return<ReviewReply, TaskStoreError> {
    const at = yield* DateTime.now
    // The first decision about a task wins, as between two calls.
    const first = Array.from(new Map(all.toReversed().map((decision) => [decision.taskId, decision])).values())
    const found = yield* Effect.forEach(
      first.reverse(),
      (decision) =>
        Effect.map(attemptsOf(decision.taskId), (attempts) => ({ decision, attempt: inReview(attempts, decision) })),
      { concurrency: ledgerReads }
    )
    const decided: Array<TaskId> = []
    const missed = found.flatMap(({ attempt, decision }) => (attempt === undefined ? decision : []))
    const rows = found.flatMap(({ attempt, decision }) =>
      attempt === undefined ? [] : { decision, row: decisionRow(attempt, decision, at) }
    )
    for (let from = 0; from < rows.length; from += maxRows) {
      const part = rows.slice(from, from + maxRows)
      const lost = new Set((yield* driver.decide(part.map(({ row }) => row))).map(({ index }) => index))
      for (const [index, { decision }] of part.entries()) {
        if (lost.has(index)) missed.push(decision)
        else decided.push(decision.taskId)
      }
      changed(decided)
    }
    const refused: Array<RefusedDecision> = []
    for (const decision of missed) {
      const refusal = yield* explain(decision)
      if (refusal === undefined) decided.push(decision.taskId)
      else refused.push(refusal)
    }
    return { decided, refused }
  })

  const audit = Effect.fnUntraced(function* (finding: Finding): Effect.fn.Return<AuditReply, TaskStoreError> {
    const { agrees, by, comment = "", taskId, token } = finding
    const id = Text.encode(taskId)
    while (true) {
      const rows = yield* driver.attempts(id)
      const attempts = yield* decoded(() => rows.map((row) => Codec.attempt(taskId, row)))
      const index = attempts.findIndex((attempt) => attempt.token === token)
      const verification = attempts[index]?.verification
      const before = rows[index]?.verification
      if (verification === undefined || typeof before !== "string" || !hasEnded.has(attempts[index]?.outcome)) {
        return { kept: false }
      }
      const { audit: made } = verification
      if (made !== undefined)
        return { kept: made.by === by && made.agrees === agrees && made.comment === comment, audit: made }
      const audit: AuditFinding = { agrees, by, at: yield* DateTime.now, comment }
      const amended = Codec.verification({ ...verification, audit }) ?? before
      // Another person can be faster in between.
      if (yield* driver.amend({ id, token, before, verification: amended })) return { kept: true, audit }
    }
  })

  return { audit, decide: (all) => (all.length === 0 ? Effect.succeed({ decided: [], refused: [] }) : decide(all)) }
}

const inReview = (attempts: ReadonlyArray<Attempt>, { token }: ReviewDecision): Attempt | undefined => {
  const last = attempts.at(-1)
  return last?.outcome === "in_review" && (token === undefined || token === last.token) ? last : undefined
}

const kinds = { Approve: "approved", Reject: "rejected", Edit: "edited", Expire: "expired" } as const

const commentOf = (decision: ReviewDecision): string =>
  decision._tag === "Expire" ? expiredComment : (decision.comment ?? "")

const isSame = (made: Decision, decision: ReviewDecision, { execution }: Attempt): boolean =>
  made.by === decision.by &&
  made.kind === kinds[decision._tag] &&
  made.comment === commentOf(decision) &&
  (decision._tag !== "Edit" || execution?.output === decision.text)

const statusAfter = (decision: ReviewDecision): "completed" | "pending" | "failed" => {
  const kind = kinds[decision._tag]
  return decisions[decision._tag === "Reject" && decision.giveUp === true ? "givenUp" : kind]
}

const decisionRow = (attempt: Attempt, decision: ReviewDecision, at: DateTime.Utc): DecisionRow => {
  const { taskId, token, usage } = attempt
  // Only a file that a person has written has a task in review without an output.
  const execution = attempt.execution ?? Execution.make({ output: "" })
  const status = statusAfter(decision)
  const comment = commentOf(decision)
  const isEdit = decision._tag === "Edit"
  const made: Decision = {
    kind: kinds[decision._tag],
    by: decision.by,
    at,
    comment,
    ...(isEdit ? { output: execution.output } : undefined)
  }
  const verification: Verification = {
    ...(attempt.verification ?? { passed: false, confidence: 0, feedback: "", issues: [] }),
    decision: made
  }
  const feedback = status === "completed" ? null : Text.encode(comment)
  return {
    id: Text.encode(taskId),
    token,
    outcome: outcomes[status],
    status,
    error: feedback,
    feedback,
    verified: status === "completed",
    execution: Codec.execution(
      isEdit
        ? { ...execution, output: decision.text, metadata: { ...execution.metadata, editedBy: decision.by } }
        : execution
    ),
    verification: Codec.verification(verification) ?? "",
    attemptUsage: Codec.document(usage)
  }
}
