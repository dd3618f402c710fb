import * as Budget from "../../Budget.ts"
import * as TaskState from "../../TaskState.ts"
import type { Lease, Settlement } from "../../TaskStore.ts"
import type { LeaseRow, SettlementRow } from "../../TaskStoreDriver.ts"
import * as Codec from "./codec.ts"
import * as Text from "./text.ts"

/** What a write names of the lease it is made under. */
export const leaseRow = ({ taskId, token }: Lease): LeaseRow => ({ id: Text.encode(taskId), token })

/** Where each kind of settlement leads, as the state machine decides it. */
const decisions = {
  Complete: TaskState.settled({ _tag: "Verified" }),
  Review: TaskState.settled({ _tag: "SentToReview" }),
  Retry: TaskState.settled({ _tag: "AttemptFailed", permanent: false }),
  Fail: TaskState.settled({ _tag: "AttemptFailed", permanent: true }),
  Release: TaskState.settled({ _tag: "Released" })
}

/** The row that records a settlement. Each is one object of all its fields, because a spread takes four times the memory. */
export const settlementRow = (settlement: Settlement): SettlementRow => {
  const id = Text.encode(settlement.taskId)
  const { token } = settlement
  const { attemptsReturned, status } = decisions[settlement._tag]
  const attemptUsage = Codec.document(settlement.attemptUsage)
  const usage = Codec.document(settlement.usage)
  const spent =
    settlement.attemptUsage === undefined
      ? Budget.zero
      : Budget.increase(settlement.committed ?? Budget.zero, Budget.ofUsage(settlement.attemptUsage))
  if (settlement._tag === "Release") {
    return {
      id,
      token,
      outcome: "released",
      status,
      attemptsReturned,
      availableInMillis: 0,
      error: Text.encode(settlement.reason),
      feedback: null,
      verified: false,
      execution: null,
      verification: null,
      attemptUsage,
      usage,
      checkpoint: null,
      spent
    }
  }
  const execution = Codec.execution(settlement.execution)
  const verification = Codec.verification(settlement.verification)
  if (settlement._tag === "Complete" || settlement._tag === "Review") {
    return {
      id,
      token,
      outcome: settlement._tag === "Complete" ? "completed" : "in_review",
      status,
      attemptsReturned,
      availableInMillis: null,
      error: null,
      feedback: null,
      verified: settlement._tag === "Complete" && settlement.verified,
      execution,
      verification,
      attemptUsage,
      usage,
      checkpoint: null,
      spent
    }
  }
  const feedback = Text.encode(settlement.feedback)
  return {
    id,
    token,
    outcome: settlement._tag === "Retry" ? "retried" : "failed",
    status,
    attemptsReturned,
    availableInMillis: settlement._tag === "Retry" ? Codec.toMillis(settlement.delay) : null,
    error: feedback,
    feedback,
    verified: false,
    execution,
    verification,
    attemptUsage,
    usage,
    checkpoint: Codec.document(settlement.checkpoint),
    spent
  }
}
