import * as Effect from "effect/Effect"
import type {
  BudgetRow,
  Budgets,
  CheckpointRow,
  ClaimRequest,
  ClaimRow,
  DecisionRow,
  LeaseRow,
  LostLeaseRow,
  ReserveReply,
  SettlementRow,
  SpendingRow,
  TaskStoreDriver
} from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { booleans, type Database, int, number, numbers, type Parameter, text, texts } from "./database.ts"
import * as Errors from "./errors.ts"
import * as Keys from "./keys.ts"
import type { Statements } from "./statements.ts"

/** Where a lease is: the key of its row, and the call that claimed it. The call is null for a task that was restored. */
interface Location {
  readonly seq: number
  readonly call: number | null
}

interface RememberedClaim extends Location {
  readonly token: number
}

/** More than any worker holds. A process that claims and never settles must not fill the memory. */
const mostRemembered = 100_000

/**
 * The claims of this store. Writes under leases find their rows by them, and name the call that made the claim: that number
 * is random, so it identifies the claim even in a database that was restored from an older copy, where keys and tokens are
 * given out again.
 */
const makeClaims = () => {
  const byId = new Map<string, RememberedClaim>()
  return {
    get: ({ id, token }: LeaseRow): Location | undefined => {
      const claim = byId.get(id)
      return claim?.token === token ? claim : undefined
    },
    remember: (id: string, claim: RememberedClaim) => {
      // Moves it behind earlier claims, which are forgotten first.
      byId.delete(id)
      byId.set(id, claim)
      if (byId.size > mostRemembered) {
        for (const oldest of byId.keys()) {
          byId.delete(oldest)
          break
        }
      }
    },
    forget: ({ id, token }: LeaseRow) => {
      if (byId.get(id)?.token === token) byId.delete(id)
    }
  }
}

/** A row of a call, and its place in the call. */
interface Indexed<A extends LeaseRow> {
  readonly index: number
  readonly row: A
}

interface LeaseOnRow<A extends LeaseRow> extends Indexed<A>, Location {}

/** A lease under which nothing was written. Its location is null if this store has not claimed the task itself. */
interface Missed<A extends LeaseRow> extends Indexed<A> {
  readonly location: Location | null
}

/** Why nothing was written for a lease: it is lost, or current and has to be tried again. */
interface Explained<A extends LeaseRow> extends LostLeaseRow, Indexed<A> {
  readonly isCurrent: boolean
}

const indexed = <A extends LeaseRow>(rows: ReadonlyArray<A>): ReadonlyArray<Indexed<A>> =>
  rows.map((row, index) => ({ index, row }))

/** How often a settlement is tried whose row changes between reading and locking it. Rare, and rarer every time. */
const mostTries = 20

/** Claims, and the writes under leases. */
export const make = (
  db: Database,
  statements: Statements
): Pick<TaskStoreDriver, "claim" | "checkpoint" | "settle" | "start" | "extend"> & {
  readonly decide: NonNullable<TaskStoreDriver["decide"]>
} & Pick<Budgets, "reserve"> => {
  const claims = makeClaims()
  /** Whether a task was seen that others wait for. */
  let hasDependencies = false

  const claimed = (rows: ReadonlyArray<ClaimedRow>): ReadonlyArray<ClaimRow> => {
    for (const { call, id, seq, token } of rows) claims.remember(id, { seq, token, call })
    return rows
  }

  /** Queues that had tasks with concurrency keys when this store last claimed from them. */
  const keyedQueues = new Set<string>()

  const claimKeyed = (request: ClaimRequest) =>
    Effect.map(
      db.transaction(
        Effect.gen(function* () {
          const [pause] = yield* db.run<PauseState>(statements.pauseState, [text(request.queue)])
          // Whether it is still so is certain in the statement that claims.
          if (pause?.isPaused === true) return { hasKeys: true, rows: [], isProbeDue: pause.isProbeDue }
          const claimed = yield* Keys.claim<ClaimedRow>(db, statements, request, { isProbe: false })
          return { ...claimed, isProbeDue: false }
        })
      ),
      ({ hasKeys, isProbeDue, rows }) => {
        if (!hasKeys) keyedQueues.delete(request.queue)
        return { rows, isProbeDue }
      }
    )

  /** Starts the probe of a paused queue and claims its task, or changes nothing. */
  const claimProbe = (request: ClaimRequest) => {
    const { call, leaseMillis, owner, queue, started } = request
    return db.transaction(
      Effect.gen(function* (): Effect.fn.Return<ReadonlyArray<ClaimedRow>, TaskStoreError> {
        const [pause] = yield* db.run<{ readonly revision: number }>(statements.startProbe, [
          text(queue),
          number(leaseMillis)
        ])
        if (pause === undefined) return []
        const plain = [int(1), text(owner), number(leaseMillis), number(call), text(queue), int(started)]
        const rows = keyedQueues.has(queue)
          ? (yield* Keys.claim<ClaimedRow>(db, statements, { ...request, limit: 1 }, { isProbe: true })).rows
          : yield* db.run<ClaimedRow>(statements.claimProbe, plain)
        if (rows.length === 0) yield* db.run(statements.noProbe, [text(queue)])
        for (const row of rows) Object.assign(row, { probes: pause.revision })
        return rows
      })
    )
  }

  const claimPlain = (request: ClaimRequest) => {
    const { call, leaseMillis, limit, owner, queue, started } = request
    const parameters = [int(limit), text(owner), number(leaseMillis), number(call), text(queue), int(started)]
    return Effect.flatMap(
      db.run<ClaimedRow & { readonly hasKeys: boolean; readonly probeDue: boolean }>(statements.claim, parameters),
      (rows): Effect.Effect<ReadonlyArray<ClaimedRow>, TaskStoreError> => {
        const [first] = rows
        if (first === undefined || (!first.hasKeys && !first.probeDue)) return Effect.succeed(rows)
        if (first.hasKeys) keyedQueues.add(queue)
        return first.probeDue ? claimProbe(request) : claimFromKeys(request)
      }
    )
  }

  const claimFromKeys = (request: ClaimRequest) =>
    Effect.flatMap(claimKeyed(request), ({ isProbeDue, rows }) =>
      isProbeDue ? claimProbe(request) : Effect.succeed(rows)
    )

  const claim = (request: ClaimRequest) => {
    const { call, leaseMillis, limit, owner, queue, started, unanswered } = request
    const claimNew = keyedQueues.has(queue) ? claimFromKeys(request) : claimPlain(request)
    if (unanswered.length === 0) return Effect.map(claimNew, claimed)
    const reclaim = [
      text(owner),
      numbers(unanswered),
      number(leaseMillis),
      int(limit),
      text(queue),
      number(call),
      int(started)
    ]
    return Effect.map(
      Effect.flatMap(db.run<ClaimedRow>(statements.reclaim, reclaim), (rows) =>
        rows.length > 0 ? Effect.succeed(rows) : claimNew
      ),
      claimed
    )
  }

  /** The locations of leases, in the order in which every statement locks rows, and the leases that have none. */
  const locate = Effect.fnUntraced(function* <A extends LeaseRow>(
    rows: ReadonlyArray<Indexed<A>>
  ): Effect.fn.Return<
    { readonly located: ReadonlyArray<LeaseOnRow<A>>; readonly missed: ReadonlyArray<Missed<A>> },
    TaskStoreError
  > {
    const located: Array<LeaseOnRow<A>> = []
    const unknown: Array<Indexed<A>> = []
    for (const each of rows) {
      const location = claims.get(each.row)
      if (location === undefined) unknown.push(each)
      else located.push({ index: each.index, row: each.row, seq: location.seq, call: location.call })
    }
    const missed: Array<Missed<A>> = []
    if (unknown.length > 0) {
      const found = yield* db.run<Location & { readonly n: number }>(statements.locate, [
        texts(unknown.map(({ row }) => row.id)),
        numbers(unknown.map(({ row }) => row.token))
      ])
      const byPlace = new Map(found.map((location) => [location.n, location]))
      for (const [place, each] of unknown.entries()) {
        const location = byPlace.get(place + 1)
        if (location === undefined) missed.push({ ...each, location: null })
        else located.push({ ...each, seq: location.seq, call: location.call })
      }
    }
    return { located: located.sort((left, right) => left.seq - right.seq), missed }
  })

  const explain = Effect.fnUntraced(function* <A extends LeaseRow>(
    missed: ReadonlyArray<Missed<A>>
  ): Effect.fn.Return<ReadonlyArray<Explained<A>>, TaskStoreError> {
    const rows = yield* db.run<Omit<Explained<A>, "index" | "row">>(statements.explain, [
      texts(missed.map(({ row }) => row.id)),
      numbers(missed.map(({ location }) => location?.seq ?? null)),
      numbers(missed.map(({ row }) => row.token)),
      numbers(missed.map(({ location }) => location?.call ?? null))
    ])
    return missed.flatMap(({ index, row }, place) => {
      const explained = rows[place]
      return explained === undefined ? [] : { ...explained, index, row }
    })
  })

  /** Runs a statement that writes under leases, and explains the leases under which it wrote nothing. */
  const write = Effect.fnUntraced(function* <A extends LeaseRow>(
    rows: ReadonlyArray<Indexed<A>>,
    statementFor: (located: ReadonlyArray<LeaseOnRow<A>>) => {
      readonly text: string
      readonly parameters: ReadonlyArray<Parameter>
    }
  ): Effect.fn.Return<ReadonlyArray<Explained<A>>, TaskStoreError> {
    const { located, missed } = yield* locate(rows)
    if (located.length === 0) return yield* explain(missed)
    const statement = statementFor(located)
    const { count, seqs } = yield* db.one<{ readonly count: number; readonly seqs: ReadonlyArray<number> | null }>(
      statement.text,
      [
        numbers(located.map(({ seq }) => seq)),
        numbers(located.map(({ row }) => row.token)),
        numbers(located.map(({ call }) => call)),
        ...statement.parameters
      ]
    )
    if (count === rows.length) return []
    const written = new Set(count === located.length ? located.map(({ seq }) => seq) : seqs)
    const notWritten = located.flatMap(({ call, index, row, seq }) =>
      written.has(seq) ? [] : { index, row, location: { seq, call } }
    )
    return yield* explain([...missed, ...notWritten])
  })

  const used = (located: ReadonlyArray<LeaseOnRow<SettlementRow>>) => [
    numbers(located.map(({ row }) => row.spent.nanoUsd)),
    numbers(located.map(({ row }) => row.spent.tokens))
  ]

  const completing = (located: ReadonlyArray<LeaseOnRow<SettlementRow>>) => ({
    text: statements.complete,
    parameters: [
      texts(located.map(({ row }) => row.execution)),
      texts(located.map(({ row }) => row.verification)),
      texts(located.map(({ row }) => row.attemptUsage)),
      texts(located.map(({ row }) => row.usage)),
      booleans(located.map(({ row }) => row.verified)),
      ...used(located)
    ]
  })

  const settling = (located: ReadonlyArray<LeaseOnRow<SettlementRow>>) => ({
    text: statements.settle,
    parameters: [
      texts(located.map(({ row }) => row.id)),
      texts(located.map(({ row }) => row.outcome)),
      texts(located.map(({ row }) => row.status)),
      numbers(located.map(({ row }) => row.attemptsReturned)),
      numbers(located.map(({ row }) => row.availableInMillis)),
      texts(located.map(({ row }) => row.error)),
      texts(located.map(({ row }) => row.feedback)),
      booleans(located.map(({ row }) => row.verified)),
      texts(located.map(({ row }) => row.execution)),
      texts(located.map(({ row }) => row.verification)),
      texts(located.map(({ row }) => row.attemptUsage)),
      texts(located.map(({ row }) => row.usage)),
      texts(located.map(({ row }) => row.checkpoint)),
      ...used(located)
    ]
  })

  const settle = Effect.fnUntraced(function* (
    settlements: ReadonlyArray<SettlementRow>
  ): Effect.fn.Return<ReadonlyArray<LostLeaseRow>, TaskStoreError> {
    const lost: Array<LostLeaseRow> = []
    let rows = indexed(settlements)
    for (let tries = 0; rows.length > 0; tries++) {
      if (tries === mostTries) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
      const isCompletion = !hasDependencies && rows.every(({ row }) => row.outcome === "completed")
      const missed = yield* write(rows, isCompletion ? completing : settling)
      lost.push(...missed.filter(({ isCurrent }) => !isCurrent))
      rows = missed.filter(({ isCurrent }) => isCurrent)
      hasDependencies ||= rows.length > 0
    }
    // A lost claim stays, so that a repeated write does not take another claim with the same token for it.
    const lostIndexes = new Set(lost.map(({ index }) => index))
    for (const [index, settlement] of settlements.entries()) if (!lostIndexes.has(index)) claims.forget(settlement)
    return lost
  })

  const decide = Effect.fnUntraced(function* (
    decisions: ReadonlyArray<DecisionRow>
  ): Effect.fn.Return<ReadonlyArray<LostLeaseRow>, TaskStoreError> {
    const lost: Array<LostLeaseRow> = []
    let rows = indexed(decisions)
    for (let tries = 0; rows.length > 0; tries++) {
      if (tries === mostTries) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
      const { ids } = yield* db.one<{ readonly ids: ReadonlyArray<string> }>(statements.decide, [
        texts(rows.map(({ row }) => row.id)),
        numbers(rows.map(({ row }) => row.token)),
        texts(rows.map(({ row }) => row.outcome)),
        texts(rows.map(({ row }) => row.status)),
        texts(rows.map(({ row }) => row.error)),
        texts(rows.map(({ row }) => row.feedback)),
        booleans(rows.map(({ row }) => row.verified)),
        texts(rows.map(({ row }) => row.execution)),
        texts(rows.map(({ row }) => row.verification))
      ])
      const written = new Set(ids)
      const missed = rows.filter(({ row }) => !written.has(row.id))
      if (missed.length === 0) break
      const explained = yield* db.run<{ readonly status: string | null; readonly isCurrent: boolean }>(
        statements.explainReview,
        [texts(missed.map(({ row }) => row.id)), numbers(missed.map(({ row }) => row.token))]
      )
      rows = missed.filter((_, place) => explained[place]?.isCurrent === true)
      for (const [place, { index }] of missed.entries()) {
        const { isCurrent = false, status = null } = explained[place] ?? {}
        if (!isCurrent) lost.push({ index, status, outcome: null })
      }
    }
    return lost
  })

  const reserve = Effect.fnUntraced(function* (
    spending: ReadonlyArray<SpendingRow>
  ): Effect.fn.Return<ReserveReply, TaskStoreError> {
    const lost: Array<LostLeaseRow> = []
    const refused: Array<number> = []
    const budgets = new Map<string, BudgetRow>()
    let rows = indexed(spending)
    for (let tries = 0; rows.length > 0; tries++) {
      if (tries === mostTries) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
      const { located, missed } = yield* locate(rows)
      const found =
        located.length === 0
          ? []
          : yield* db.run<ReservedRow>(statements.reserve, [
              numbers(located.map(({ seq }) => seq)),
              numbers(located.map(({ row }) => row.token)),
              numbers(located.map(({ call }) => call)),
              numbers(located.map(({ index }) => index)),
              ...(["committed", "held", "wanted"] as const).flatMap((amount) => [
                numbers(located.map(({ row }) => row[amount].nanoUsd)),
                numbers(located.map(({ row }) => row[amount].tokens))
              ])
            ])
      for (const { hasBudget, n, refused: isRefused, ...budget } of found) {
        if (isRefused) refused.push(n)
        if (hasBudget) budgets.set(budget.queue, budget)
      }
      if (found.length === rows.length) break
      const written = new Set(found.map(({ n }) => n))
      const notWritten = located.flatMap(({ call, index, row, seq }) =>
        written.has(index) ? [] : { index, row, location: { seq, call } }
      )
      const explained = yield* explain([...missed, ...notWritten])
      lost.push(...explained.filter(({ isCurrent }) => !isCurrent))
      rows = explained.filter(({ isCurrent }) => isCurrent)
    }
    return { lost, refused, budgets: Array.from(budgets.values()) }
  })

  return {
    claim,
    settle,
    decide,
    reserve,

    checkpoint: (checkpoints: ReadonlyArray<CheckpointRow>) =>
      write(indexed(checkpoints), (located) => ({
        text: statements.checkpoint,
        parameters: [
          texts(located.map(({ row }) => row.execution)),
          texts(located.map(({ row }) => row.executionUsage)),
          texts(located.map(({ row }) => row.usage))
        ]
      })),

    start: (leases) => write(indexed(leases), () => ({ text: statements.start, parameters: [] })),

    extend: (leases, leaseMillis) =>
      write(indexed(leases), () => ({ text: statements.extend, parameters: [number(leaseMillis)] }))
  }
}

/** Whether a queue is paused, and whether its next probe may go. */
interface PauseState {
  readonly isPaused: boolean
  readonly isProbeDue: boolean
}

/** A row of `reserve`, with the budget of its queue. */
interface ReservedRow extends BudgetRow {
  readonly n: number
  readonly refused: boolean
  readonly hasBudget: boolean
  readonly queue: string
}

/** A claim as the statements return it. */
interface ClaimedRow extends ClaimRow {
  readonly id: string
  readonly seq: number
  readonly token: number
  readonly call: number
}
