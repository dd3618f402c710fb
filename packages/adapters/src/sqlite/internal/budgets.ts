import * as Budget from "@baton/core/Budget"
import {
  type BudgetChange,
  type BudgetRow,
  budgetRow,
  type LostLeaseRow,
  type ReserveReply,
  type SpendingRow
} from "@baton/core/TaskStoreDriver"
import type { Writing } from "./connection.ts"
import type * as Rows from "./rows.ts"
import type { Statements } from "./statements.ts"
import type { Preparing } from "./preparing.ts"

/** The statements of budgets. */
export const statements = ({ all, first, run }: Preparing) => ({
  budgets: all<[]>(`
      SELECT queue, limit_cost AS limitNanoUsd, limit_tokens AS limitTokens, committed_cost AS committedNanoUsd,
        committed_tokens AS committedTokens, reserved_cost AS reservedNanoUsd, reserved_tokens AS reservedTokens
      FROM budgets`),

  queueName: first<[queue: number]>("SELECT name FROM queues WHERE queue = ?"),

  /** The amounts that the attempt under way has spent and reserved. */
  spending: first<[task: number]>(
    "SELECT committed_cost, committed_tokens, reserved_cost, reserved_tokens FROM spending WHERE task = ?"
  ),

  saveSpending: run<
    [task: number, committedCost: number, committedTokens: number, reservedCost: number, reservedTokens: number]
  >(`
      INSERT OR REPLACE INTO spending (task, committed_cost, committed_tokens, reserved_cost, reserved_tokens)
      VALUES (?, ?, ?, ?, ?)`),

  forgetSpending: run<[task: number]>("DELETE FROM spending WHERE task = ?"),

  saveBudget: run<
    [committedCost: number, committedTokens: number, reservedCost: number, reservedTokens: number, queue: string]
  >(`
      UPDATE budgets SET committed_cost = ?, committed_tokens = ?, reserved_cost = ?, reserved_tokens = ?
      WHERE queue = ?`),

  addBudget: run<[queue: string]>("INSERT OR IGNORE INTO budgets (queue) VALUES (?)"),

  limitCost: run<[limit: number | null, queue: string]>("UPDATE budgets SET limit_cost = ? WHERE queue = ?"),

  limitTokens: run<[limit: number | null, queue: string]>("UPDATE budgets SET limit_tokens = ? WHERE queue = ?"),

  setCommitted: run<[cost: number, tokens: number, queue: string]>(
    "UPDATE budgets SET committed_cost = ?, committed_tokens = ? WHERE queue = ?"
  )
})

export const amount = (nanoUsd: unknown, tokens: unknown): Budget.Amount => ({
  nanoUsd: Number(nanoUsd),
  tokens: Number(tokens)
})

/** A budget while a transaction changes it. */
interface Changing {
  readonly queue: string
  readonly limit: Budget.BudgetLimit
  committed: Budget.Amount
  reserved: Budget.Amount
  isChanged: boolean
}

const decode = (row: Rows.Row): Changing => ({
  queue: String(row.queue),
  limit: {
    nanoUsd: row.limitNanoUsd === null ? undefined : Number(row.limitNanoUsd),
    tokens: row.limitTokens === null ? undefined : Number(row.limitTokens)
  },
  committed: amount(row.committedNanoUsd, row.committedTokens),
  reserved: amount(row.reservedNanoUsd, row.reservedTokens),
  isChanged: false
})

/** The amounts that an attempt has spent and reserved. */
interface Spending {
  readonly committed: Budget.Amount
  readonly reserved: Budget.Amount
}

const nothing: Spending = { committed: Budget.zero, reserved: Budget.zero }

/** The budgets in a transaction, by the number of their queue. Undefined in a store that has none, where this costs one read. */
export const open = (sql: Statements) => {
  const rows = sql.budgets()
  return rows.length === 0 ? undefined : openAll(sql, rows.map(decode))
}

const openAll = (sql: Statements, budgets: ReadonlyArray<Changing>) => {
  const byQueue = new Map<number, Changing | undefined>()

  const of = (queue: number): Changing | undefined => {
    if (byQueue.has(queue)) return byQueue.get(queue)
    const name = sql.queueName(queue)?.name
    const budget = budgets.find((each) => each.queue === name)
    byQueue.set(queue, budget)
    return budget
  }

  const spendingOf = (seq: number): Spending => {
    const row = sql.spending(seq)
    if (row === undefined) return nothing
    return {
      committed: amount(row.committed_cost, row.committed_tokens),
      reserved: amount(row.reserved_cost, row.reserved_tokens)
    }
  }

  /** Adds to the committed amount, and replaces a reservation. */
  const move = (budget: Changing, before: Spending, added: Budget.Amount, reserved: Budget.Amount): Spending => {
    budget.committed = Budget.add(budget.committed, added)
    budget.reserved = Budget.add(Budget.subtract(budget.reserved, before.reserved), reserved)
    budget.isChanged = true
    return { committed: Budget.add(before.committed, added), reserved }
  }

  const save = (seq: number, { committed, reserved }: Spending) =>
    sql.saveSpending(seq, committed.nanoUsd, committed.tokens, reserved.nanoUsd, reserved.tokens)

  return {
    of,

    /** Returns whether the wanted amount was reserved. */
    reserve: (seq: number, budget: Changing, spending: SpendingRow, isBlocked: boolean): boolean => {
      const before = spendingOf(seq)
      const held = move(budget, before, Budget.increase(before.committed, spending.committed), spending.held)
      if (Budget.isZero(spending.wanted)) {
        save(seq, held)
        return true
      }
      const sum = Budget.add(Budget.add(budget.committed, budget.reserved), spending.wanted)
      const fits = !isBlocked && Budget.exceeded(budget.limit, sum) === undefined
      save(seq, fits ? move(budget, held, Budget.zero, Budget.add(held.reserved, spending.wanted)) : held)
      return fits
    },

    /** The attempt has ended: commits the amount it spent, or its whole reservation if that amount is unknown. */
    end: (seq: number, queue: number, spent: Budget.Amount | undefined) => {
      const budget = of(queue)
      if (budget === undefined) return
      const before = spendingOf(seq)
      const added = spent === undefined ? before.reserved : Budget.increase(before.committed, spent)
      if (before === nothing && Budget.isZero(added)) return
      move(budget, before, added, Budget.zero)
      if (before !== nothing) sql.forgetSpending(seq)
    },

    /** Sets what an attempt has reserved, while the budget is unchanged: the journal of batches has the difference. */
    setReserved: (seq: number, reserved: Budget.Amount) => save(seq, { ...spendingOf(seq), reserved }),

    reservedBy: (seq: number): Budget.Amount => spendingOf(seq).reserved,

    /** Adds amounts to the budget of a queue. */
    add: (queue: string, committed: Budget.Amount, reserved: Budget.Amount) => {
      const budget = budgets.find((each) => each.queue === queue)
      if (budget === undefined) return
      budget.committed = Budget.add(budget.committed, committed)
      budget.reserved = Budget.add(budget.reserved, reserved)
      budget.isChanged = true
    },

    close: () => {
      for (const { committed, isChanged, queue, reserved } of budgets) {
        if (!isChanged) continue
        sql.saveBudget(committed.nanoUsd, committed.tokens, reserved.nanoUsd, reserved.tokens, queue)
      }
    }
  }
}

export const reserve = ({ sql }: Writing, spending: ReadonlyArray<SpendingRow>): ReserveReply => {
  const budgets = open(sql)
  const lost: Array<LostLeaseRow> = []
  const refused: Array<number> = []
  const seen = new Set<Changing>()
  const blocked = new Set<Changing>()
  spending.forEach((row, index) => {
    const state = sql.state(row.id)
    if (state === undefined || state.status !== "in_progress" || Number(state.token) !== row.token) {
      lost.push({ index, status: state?.status ?? null, outcome: null })
      return
    }
    const budget = budgets?.of(Number(state.queue))
    if (budgets === undefined || budget === undefined) return
    seen.add(budget)
    if (budgets.reserve(Number(state.seq), budget, row, blocked.has(budget))) return
    refused.push(index)
    blocked.add(budget)
  })
  budgets?.close()
  return { lost, refused, budgets: Array.from(seen, budgetRow) }
}

export const list = (sql: Statements): ReadonlyArray<BudgetRow> => sql.budgets().map((row) => budgetRow(decode(row)))

export const set = ({ sql }: Writing, queue: string, change: BudgetChange): BudgetRow => {
  sql.addBudget(queue)
  if (change.limitNanoUsd !== undefined) sql.limitCost(change.limitNanoUsd, queue)
  if (change.limitTokens !== undefined) sql.limitTokens(change.limitTokens, queue)
  if (change.committed !== undefined) sql.setCommitted(change.committed.nanoUsd, change.committed.tokens, queue)
  sql.revise(null, 0)
  return list(sql).find((budget) => budget.queue === queue) ?? budgetRow(decode({ queue }))
}
