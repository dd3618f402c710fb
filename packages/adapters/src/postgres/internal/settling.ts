import * as Effect from "effect/Effect"
import type { TaskStatus } from "@baton/core/Task"
import type { LostLeaseRow, SettlementRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Budgets from "./budgets.ts"
import { booleanColumn, numberColumn, numbers, textColumn } from "./database.ts"
import {
  type Claims,
  type Fence,
  forWritten,
  hasUsage,
  isInRow,
  isLeased,
  leaseParameters,
  type LeaseOnRow,
  usageParameters,
  written
} from "./leases.ts"
import { countChange, entered, giveUpLease, later, lineColumns, type Names, rowsOf } from "./names.ts"
import type { Statements } from "./statements.ts"
import * as Usage from "./usage.ts"

/**
 * Frees the tasks that wait for the completed ones in `done`, whose status was `was` and whose usage changed by `usage`. Counts
 * the changes of both, and puts the keys of both in their lines.
 */
export const freeing = (names: Names, was: TaskStatus, usage = "NULL::bigint[]") => {
  const { changes, dependencies, tasks } = names
  return `
    freed AS (
      UPDATE ${tasks} t SET blockers = t.blockers - w.count::integer
      FROM (
        SELECT d.task, count(*) AS count FROM done JOIN ${dependencies} d ON d.dependency = done.id
        WHERE done.status = 'completed' GROUP BY d.task
      ) w WHERE t.seq = w.task RETURNING t.queue, t.status, t.blockers, ${lineColumns}
    ),
    ${entered(
      names,
      `(
        SELECT queue, status, blockers, priority, concurrency_key, available_at FROM done
        UNION ALL
        SELECT queue, status, blockers, priority, concurrency_key, available_at FROM freed
      ) d`
    )},
    forgotten AS (
      DELETE FROM ${dependencies} d USING done WHERE d.dependency = done.id AND done.status = 'completed'
    ),
    counted AS (
      INSERT INTO ${changes} ${countChange(
        `(
          SELECT queue, '${was}' AS was, status, blockers, false AS freed, ${usage} AS usage_change FROM done
          UNION ALL
          SELECT queue, NULL, NULL, 0, true, NULL FROM freed WHERE status = 'pending' AND blockers = 0
        ) d`,
        { freed: "freed", usage: Usage.total("usage_change") }
      )}
    )`
}

const completeParameters = {
  ...leaseParameters,
  execution: "text",
  verification: "text",
  attempt_usage: "text",
  usage: "text",
  verified: "boolean",
  used_cost: "float8",
  used_tokens: "float8",
  usage_before: "text",
  usage_change: "text"
} as const

const settleParameters = {
  ...leaseParameters,
  id: "text",
  outcome: "text",
  status: "text",
  returned: "float8",
  delay: "float8",
  error: "text",
  feedback: "text",
  verified: "boolean",
  execution: "text",
  verification: "text",
  attempt_usage: "text",
  usage: "text",
  checkpoint: "text",
  used_cost: "float8",
  used_tokens: "float8",
  usage_before: "text",
  usage_change: "text"
} as const

/** The statements that end attempts with a result. */
export const statements = (names: Names) => {
  const { attempts, changes, dependencies, tasks } = names
  return {
    /** The common case of `settle`, at half its cost: completions of tasks that no other task waits for. */
    complete: `
      WITH done AS (
        UPDATE ${tasks} t SET
          status = 'completed', ${giveUpLease}, execution = x.execution, verification = x.verification,
          attempt_usage = x.attempt_usage, usage = x.usage, verified = x.verified, feedback = NULL, checkpoint = NULL,
          updated_at = now()
        FROM ${rowsOf(completeParameters)} x
        WHERE ${isLeased} AND ${hasUsage} AND t.parent = 0
        RETURNING t.seq, t.queue, t.token, ${Budgets.endColumns}, x.used_cost, x.used_tokens, x.usage_change::bigint[]
      ),
      committed AS (${Budgets.commitUsed(names, "done")}),
      counted AS (
        INSERT INTO ${changes} SELECT queue, 0, -count(*), 0, count(*), 0, 0, 0, ${Usage.total("usage_change")} FROM done
        GROUP BY queue
      ) ${written}`,

    /**
     * Settlements of every kind. Reads the rows, locks them together with the rows that wait for them, and writes those
     * that have not changed since they were read; the caller repeats the rest. Reading first lets it move the attempt to
     * the ledger as it was, and shows which tasks wait.
     */
    settle: `
      WITH own AS MATERIALIZED (
        SELECT x.*, t.xmin AS version, t.attempts AS number, t.owner, t.started_at, t.claim_call,
          t.execution AS saved, t.attempt_usage AS saved_usage, ${Budgets.endColumns}
        FROM ${rowsOf(settleParameters)} x
        JOIN ${tasks} t ON ${isLeased} AND ${hasUsage}
      ),
      locked AS MATERIALIZED (
        SELECT t.seq FROM ${tasks} t WHERE t.seq IN (
          SELECT seq::bigint FROM own
          UNION
          SELECT d.task FROM own JOIN ${dependencies} d ON d.dependency = own.id WHERE own.status = 'completed'
        ) ORDER BY t.seq FOR UPDATE
      ),
      done AS (
        UPDATE ${tasks} t SET
          status = o.status, ${giveUpLease},
          attempts = greatest(0, t.attempts - o.returned::bigint),
          available_at = CASE WHEN o.delay IS NULL THEN t.available_at ELSE ${later("o.delay")} END,
          feedback = CASE WHEN o.outcome = 'released' THEN t.feedback ELSE o.feedback END,
          usage = CASE WHEN o.outcome = 'released' THEN coalesce(o.usage, t.usage) ELSE o.usage END,
          checkpoint = CASE WHEN o.outcome = 'released' THEN coalesce(t.execution, t.checkpoint) ELSE o.checkpoint END,
          verified = o.verified,
          execution = CASE WHEN ${isInRow("o")} THEN o.execution END,
          verification = CASE WHEN ${isInRow("o")} THEN o.verification END,
          attempt_usage = CASE WHEN ${isInRow("o")} THEN o.attempt_usage END,
          updated_at = now()
        FROM own o
        WHERE t.seq = o.seq::bigint AND t.xmin = o.version AND (SELECT count(*) FROM locked) > 0
        RETURNING o.*, t.queue, t.blockers, ${lineColumns}
      ),
      committed AS (${Budgets.commitUsed(names, "done")}),
      ended AS (
        INSERT INTO ${attempts} (task, token, claim_call, number, owner, started_at, ended_at, outcome, error, execution,
          verification, usage)
        SELECT seq, token, claim_call, number, owner, coalesce(started_at, now()), now(), outcome, error,
          CASE WHEN outcome = 'released' THEN saved ELSE execution END, verification,
          CASE WHEN outcome = 'released' THEN coalesce(attempt_usage, saved_usage) ELSE attempt_usage END
        FROM done WHERE NOT ${isInRow("done")}
      ),
      ${freeing(names, "in_progress", "usage_change::bigint[]")} ${written}`
  }
}

/** Mostly no settlement has spent anything. */
const someNumbers = (values: ReadonlyArray<number>) => numbers(values.every((value) => value === 0) ? [] : values)

export const make = (statements: Statements, claims: Claims, { writeAll }: Fence): Pick<TaskStoreDriver, "settle"> => {
  /** Whether a task was seen that others wait for. */
  let hasDependencies = false

  const used = (located: ReadonlyArray<LeaseOnRow<SettlementRow>>) => [
    someNumbers(located.map(({ row }) => row.spent.nanoUsd)),
    someNumbers(located.map(({ row }) => row.spent.tokens)),
    ...usageParameters(
      located.map(({ row, usage }) => ({
        before: usage,
        after: row.outcome === "released" ? (row.usage ?? usage) : row.usage
      }))
    )
  ]

  const completing = (located: ReadonlyArray<LeaseOnRow<SettlementRow>>) => ({
    text: statements.complete,
    parameters: [
      textColumn(located.map(({ row }) => row.execution)),
      textColumn(located.map(({ row }) => row.verification)),
      textColumn(located.map(({ row }) => row.attemptUsage)),
      textColumn(located.map(({ row }) => row.usage)),
      booleanColumn(located.map(({ row }) => row.verified)),
      ...used(located)
    ]
  })

  const settling = (located: ReadonlyArray<LeaseOnRow<SettlementRow>>) => ({
    text: statements.settle,
    parameters: [
      textColumn(located.map(({ row }) => row.id)),
      textColumn(located.map(({ row }) => row.outcome)),
      textColumn(located.map(({ row }) => row.status)),
      numberColumn(located.map(({ row }) => row.attemptsReturned)),
      numberColumn(located.map(({ row }) => row.availableInMillis)),
      textColumn(located.map(({ row }) => row.error)),
      textColumn(located.map(({ row }) => row.feedback)),
      booleanColumn(located.map(({ row }) => row.verified)),
      textColumn(located.map(({ row }) => row.execution)),
      textColumn(located.map(({ row }) => row.verification)),
      textColumn(located.map(({ row }) => row.attemptUsage)),
      textColumn(located.map(({ row }) => row.usage)),
      textColumn(located.map(({ row }) => row.checkpoint)),
      ...used(located)
    ]
  })

  const settle = Effect.fnUntraced(function* (
    settlements: ReadonlyArray<SettlementRow>
  ): Effect.fn.Return<ReadonlyArray<LostLeaseRow>, TaskStoreError> {
    const lost = yield* writeAll(
      settlements,
      (rows) => {
        const isCompletion = !hasDependencies && rows.every(({ row }) => row.outcome === "completed")
        return isCompletion ? completing(rows) : settling(rows)
      },
      (missed) => {
        hasDependencies ||= missed.some(({ isUsageOther }) => !isUsageOther)
      }
    )
    // A lost claim stays, so that a repeated write does not take another claim with the same token for it.
    forWritten(settlements, lost, claims.forget)
    return lost
  })

  return { settle }
}
