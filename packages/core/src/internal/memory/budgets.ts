import * as Budget from "../../Budget.ts"
import type { BudgetChange, SpendingRow } from "../../TaskStoreDriver.ts"
import type { LeasedRow } from "./row.ts"
import type { Table } from "./table.ts"

const change = (table: Table, budget: Budget.Budget) => {
  table.observer.changingBudgets(table.budgets)
  table.budgets = new Map(table.budgets).set(budget.queue, budget)
}

/** Moves amounts of the budget of a leased row. Does nothing in a queue without a budget. */
const move = (table: Table, row: LeasedRow, added: Budget.Amount, reserved: Budget.Amount) => {
  const budget = table.budgets.get(row.task.queue)
  if (budget === undefined) return
  if (Budget.isZero(added) && Budget.isZero(Budget.subtract(reserved, row.lease.reserved))) return
  change(table, {
    ...budget,
    committed: Budget.add(budget.committed, added),
    reserved: Budget.add(Budget.subtract(budget.reserved, row.lease.reserved), reserved)
  })
  row.lease = { ...row.lease, committed: Budget.add(row.lease.committed, added), reserved }
}

/** Adds amounts to the budget of a queue, if it has one. */
export const addTo = (table: Table, queue: string, committed: Budget.Amount, reserved: Budget.Amount): void => {
  const budget = table.budgets.get(queue)
  if (budget === undefined || (Budget.isZero(committed) && Budget.isZero(reserved))) return
  change(table, {
    ...budget,
    committed: Budget.add(budget.committed, committed),
    reserved: Budget.add(budget.reserved, reserved)
  })
}

/** Sets what a lease has reserved, while the budget of its queue is unchanged: the journal of batches has the difference. */
export const setReserved = (table: Table, row: LeasedRow, reserved: Budget.Amount): void => {
  table.observer.changing(row)
  row.lease = { ...row.lease, reserved }
}

/** Commits what an attempt has spent, and frees the rest of its reservation. */
export const settle = (table: Table, row: LeasedRow, spent: Budget.Amount) =>
  move(table, row, Budget.increase(row.lease.committed, spent), Budget.zero)

/** Commits the whole reservation of an attempt, whose calls may have been made. */
export const commitAll = (table: Table, row: LeasedRow) => move(table, row, row.lease.reserved, Budget.zero)

/** Whether the wanted amount was reserved. `isBlocked` are the queues in which an earlier row was refused. */
export const reserve = (table: Table, row: LeasedRow, spending: SpendingRow, blocked: Set<string>): boolean => {
  const { queue } = row.task
  if (!table.budgets.has(queue)) return true
  table.observer.changing(row)
  move(table, row, Budget.increase(row.lease.committed, spending.committed), spending.held)
  const budget = table.budgets.get(queue)
  if (budget === undefined || Budget.isZero(spending.wanted)) return true
  const sum = Budget.add(Budget.add(budget.committed, budget.reserved), spending.wanted)
  if (blocked.has(queue) || Budget.exceeded(budget.limit, sum) !== undefined) {
    blocked.add(queue)
    return false
  }
  move(table, row, Budget.zero, Budget.add(spending.held, spending.wanted))
  return true
}

export const set = (table: Table, queue: string, changed: BudgetChange): Budget.Budget => {
  const before = table.budgets.get(queue) ?? {
    queue,
    limit: {},
    committed: Budget.zero,
    reserved: Budget.zero
  }
  const { committed = before.committed, limitNanoUsd = before.limit.nanoUsd } = changed
  const { limitTokens = before.limit.tokens } = changed
  const limit = { nanoUsd: limitNanoUsd ?? undefined, tokens: limitTokens ?? undefined }
  const budget = { ...before, limit, committed }
  change(table, budget)
  return budget
}
