import * as Effect from "effect/Effect"
import type { Amount, Budget } from "../../Budget.ts"
import type { BudgetChange, Budgets, FencedReply, Lease, Reserved, Spending } from "../../TaskStore.ts"
import type * as Driver from "../../TaskStoreDriver.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"
import * as Text from "./text.ts"

/** What budgets need of their store. */
export interface StoreParts {
  /** Writes for all leases, within the limits of a call. */
  readonly underLeases: (
    spending: ReadonlyArray<Spending>,
    encode: (spending: Spending) => Driver.SpendingRow,
    write: (
      rows: ReadonlyArray<Driver.SpendingRow>
    ) => Effect.Effect<ReadonlyArray<Driver.LostLeaseRow>, TaskStoreError>
  ) => Effect.Effect<FencedReply, TaskStoreError>
  readonly decoded: <A>(read: () => A) => Effect.Effect<A, TaskStoreError>
  /** The control revision has grown. */
  readonly announce: Effect.Effect<void>
}

/** The budgets of a store whose driver keeps them. */
export const make = (driver: Driver.Budgets, { announce, decoded, underLeases }: StoreParts): Budgets => ({
  reserve: Effect.fnUntraced(function* (spending: ReadonlyArray<Spending>): Effect.fn.Return<Reserved, TaskStoreError> {
    const byRow = new Map<Driver.SpendingRow, Lease>()
    const refused: Array<Lease> = []
    const budgets = new Map<string, Budget>()
    const encode = (each: Spending) => {
      const row = spendingRow(each)
      byRow.set(row, each)
      return row
    }
    const write = (rows: ReadonlyArray<Driver.SpendingRow>) =>
      Effect.flatMap(driver.reserve(rows), (reply) =>
        decoded(() => {
          for (const budget of reply.budgets.map(Codec.budget)) budgets.set(budget.queue, budget)
          for (const index of reply.refused) {
            const row = rows[index]
            const lease = row === undefined ? undefined : byRow.get(row)
            if (lease !== undefined) refused.push({ taskId: lease.taskId, token: lease.token })
          }
          return reply.lost
        })
      )
    const { lost } = yield* underLeases(spending, encode, write)
    return { lost, refused, budgets: Array.from(budgets.values()) }
  }),

  list: Effect.flatMap(driver.list, (rows) =>
    decoded(() => rows.map(Codec.budget).sort((left, right) => (left.queue < right.queue ? -1 : 1)))
  ),

  set: (queue, change) =>
    Effect.tap(
      Effect.flatMap(driver.set(queue, changeRow(change)), (row) => decoded(() => Codec.budget(row))),
      () => announce
    )
})

const spendingRow = ({ committed, held, taskId, token, wanted }: Spending): Driver.SpendingRow => ({
  id: Text.encode(taskId),
  token,
  committed: whole(committed),
  held: whole(held),
  wanted: whole(wanted)
})

const changeRow = ({ committed, limit }: BudgetChange): Driver.BudgetChange => ({
  ...(limit?.nanoUsd === undefined ? undefined : { limitNanoUsd: wholeOrNull(limit.nanoUsd) }),
  ...(limit?.tokens === undefined ? undefined : { limitTokens: wholeOrNull(limit.tokens) }),
  ...(committed === undefined ? undefined : { committed: whole(committed) })
})

const whole = ({ nanoUsd, tokens }: Amount): Amount => ({ nanoUsd: count(nanoUsd), tokens: count(tokens) })

const wholeOrNull = (value: number | null): number | null => (value === null ? null : count(value))

/** More than any budget, and small enough that a sum of a few is still exact in a database. */
const most = 2 ** 50

/** A number that every database holds. One that is not a number is taken for too much. */
const count = (value: number): number => (value < most ? Math.max(0, Math.ceil(value)) : most)
