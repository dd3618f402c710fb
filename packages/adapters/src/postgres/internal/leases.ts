import * as Effect from "effect/Effect"
import type { CheckpointRow, LeaseRow, LostLeaseRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { type Database, number, numberColumn, numbers, type Parameter, textColumn, texts } from "./database.ts"
import * as Errors from "./errors.ts"
import { later, type Names, rowsOf } from "./names.ts"
import type { Statements } from "./statements.ts"
import * as Usage from "./usage.ts"

/**
 * Holds for the row that a lease is on. The claim's call number is random, so a lease from before the database was restored
 * from an older copy matches no row that the restored database has under the same key and token.
 */
export const isLeased =
  "t.seq = x.seq::bigint AND t.lease = x.token::bigint AND t.claim_call IS NOT DISTINCT FROM x.call::bigint"

/** The parameters that name the leases of a statement. */
export const leaseParameters = { seq: "float8", token: "float8", call: "float8" } as const

/** Holds while the usage of the task is the one that the write replaces. */
export const hasUsage = "t.usage IS NOT DISTINCT FROM x.usage_before"

/** What a write under leases returns: the number of rows it wrote, and their keys if that is fewer than it was given. */
export const written = `
  SELECT count(*)::float8 AS count, CASE WHEN count(*) < cardinality($1) THEN array_agg(seq::float8) END AS seqs FROM done`

/** The attempts of tasks with these statuses stay in the tasks' own rows. */
export const isInRow = (row: string) => `${row}.status IN ('in_review', 'completed')`

const checkpointParameters = {
  ...leaseParameters,
  execution: "text",
  attempt_usage: "text",
  usage: "text",
  usage_before: "text",
  usage_change: "text"
} as const

/** The statements that write under leases, except for those that end them. */
export const statements = ({ attempts, changes, inputs, tasks }: Names) => ({
  start: `
    WITH done AS (
      UPDATE ${tasks} t SET started_at = coalesce(t.started_at, now())
      FROM ${rowsOf(leaseParameters)} x WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  extend: `
    WITH done AS (
      UPDATE ${tasks} t SET lease_until = ${later("$4")}
      FROM ${rowsOf(leaseParameters)} x WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  /** Saved once, as the attempt's execution: it becomes the checkpoint when the attempt ends without a settlement. */
  checkpoint: `
    WITH done AS (
      UPDATE ${tasks} t SET
        execution = x.execution, attempt_usage = x.attempt_usage, usage = x.usage, updated_at = now()
      FROM ${rowsOf(checkpointParameters)} x
      WHERE ${isLeased} AND ${hasUsage} RETURNING t.seq, t.queue, x.usage_change::bigint[]
    ),
    counted AS (
      INSERT INTO ${changes} SELECT queue, 0, 0, 0, 0, 0, 0, 0, ${Usage.total("usage_change")} FROM done
      WHERE usage_change IS NOT NULL GROUP BY queue
    ) ${written}`,

  /** Finds the rows of current leases. */
  locate: `
    SELECT x.n::float8 AS n, t.seq::float8 AS seq, t.claim_call::float8 AS call, t.usage
    FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS x (id, token, n)
    JOIN ${inputs} i ON i.id = x.id JOIN ${tasks} t ON t.seq = i.seq AND t.lease = x.token::bigint`,

  /**
   * Explains why nothing was written for leases. `isCurrent`: the lease is current anyway. `outcome`: how the attempt under
   * this lease ended. `usage`: that of the task. A null call means that the caller did not claim the task itself, and matches any.
   */
  explain: `
    SELECT t.status, coalesce(${isLeased}, false) AS "isCurrent", t.usage,
      CASE WHEN ${isInRow("t")} AND t.token = x.token AND (x.call IS NULL OR t.claim_call = x.call)
        THEN t.status ELSE a.outcome END AS outcome
    FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[]) WITH ORDINALITY AS x (id, seq, token, call, n)
    LEFT JOIN ${inputs} i ON i.id = x.id
    LEFT JOIN ${tasks} t ON t.seq = i.seq
    LEFT JOIN ${attempts} a
      ON a.task = i.seq AND a.token = x.token::bigint AND (x.call IS NULL OR a.claim_call = x.call)
    ORDER BY x.n`
})

/**
 * Where a lease is: the key of its row, and the call that claimed it, which is null for a task that was restored. With the usage
 * of the task: only its lease changes it, so the claim that was remembered mostly knows it.
 */
interface Location {
  readonly seq: number
  readonly call: number | null
  readonly usage: string | null
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
export const makeClaims = () => {
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
    /** Remembers the usage that a task under a remembered lease has from now on. */
    noteUsage: ({ id, token }: LeaseRow, usage: string | null) => {
      const claim = byId.get(id)
      if (claim?.token === token && claim.usage !== usage) byId.set(id, { ...claim, usage })
    },
    forget: ({ id, token }: LeaseRow) => {
      if (byId.get(id)?.token === token) byId.delete(id)
    }
  }
}

export interface Claims extends ReturnType<typeof makeClaims> {}

/** A row of a call, and its place in the call. */
export interface Indexed<A extends LeaseRow> {
  readonly index: number
  readonly row: A
}

/** What `explain` returns for a lease. */
interface ExplainedRow {
  readonly status: string | null
  readonly isCurrent: boolean
  readonly outcome: string | null
  readonly usage: string | null
}

export interface LeaseOnRow<A extends LeaseRow> extends Indexed<A>, Location {}

/** A lease under which nothing was written. Its location is null if this store has not claimed the task itself. */
interface Missed<A extends LeaseRow> extends Indexed<A> {
  readonly location: Location | null
}

/** Why nothing was written for a lease: it is lost, or current and has to be tried again. */
interface Explained<A extends LeaseRow> extends LostLeaseRow, Indexed<A> {
  readonly isCurrent: boolean
  /** The usage of the task was not the one that the write expected. */
  readonly isUsageOther: boolean
}

export const indexed = <A extends LeaseRow>(rows: ReadonlyArray<A>): ReadonlyArray<Indexed<A>> =>
  rows.map((row, index) => ({ index, row }))

/** How often a write is tried whose row changes between reading and locking it. Rare, and rarer every time. */
export const mostTries = 20

/** The usage that a write under a lease replaces, and the one that it writes. */
interface Replacement {
  readonly before: string | null
  readonly after: string | null
}

/** For each lease, the usage before and the change. Most tasks have none, and an empty array costs nothing. */
export const usageParameters = (replacements: ReadonlyArray<Replacement>): ReadonlyArray<Parameter> => [
  textColumn(replacements.map(({ before }) => before)),
  textColumn(replacements.map(({ after, before }) => Usage.change(before, after)))
]

/** How a store writes under leases. */
export interface Fence extends ReturnType<typeof fence> {}

export const fence = (db: Database, statements: Statements, claims: Claims) => {
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
      else located.push({ index: each.index, row: each.row, ...locationOf(location) })
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
        else located.push({ ...each, ...locationOf(location) })
      }
    }
    return { located: located.sort((left, right) => left.seq - right.seq), missed }
  })

  const explain = Effect.fnUntraced(function* <A extends LeaseRow>(
    missed: ReadonlyArray<Missed<A>>
  ): Effect.fn.Return<ReadonlyArray<Explained<A>>, TaskStoreError> {
    const rows = yield* db.run<ExplainedRow>(statements.explain, [
      texts(missed.map(({ row }) => row.id)),
      numbers(missed.map(({ location }) => location?.seq ?? null)),
      numbers(missed.map(({ row }) => row.token)),
      numbers(missed.map(({ location }) => location?.call ?? null))
    ])
    return missed.flatMap(({ index, location, row }, place) => {
      const explained = rows[place]
      if (explained === undefined) return []
      const { isCurrent, outcome, status, usage } = explained
      if (isCurrent) claims.noteUsage(row, usage)
      return { index, row, status, outcome, isCurrent, isUsageOther: isCurrent && location?.usage !== usage }
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
        numberColumn(located.map(({ row }) => row.token)),
        numberColumn(located.map(({ call }) => call)),
        ...statement.parameters
      ]
    )
    if (count === rows.length) return []
    const written = new Set(count === located.length ? located.map(({ seq }) => seq) : seqs)
    const notWritten = located.flatMap(({ call, index, row, seq, usage }) =>
      written.has(seq) ? [] : { index, row, location: { seq, call, usage } }
    )
    return yield* explain([...missed, ...notWritten])
  })

  /** Repeats a write for the leases under which nothing was written although they are current. Returns the other ones. */
  const writeAll = Effect.fnUntraced(function* <A extends LeaseRow>(
    leases: ReadonlyArray<A>,
    statementFor: Parameters<typeof write<A>>[1],
    onMissed: (missed: ReadonlyArray<Explained<A>>) => void = () => {}
  ): Effect.fn.Return<ReadonlyArray<LostLeaseRow>, TaskStoreError> {
    const lost: Array<LostLeaseRow> = []
    let rows = indexed(leases)
    for (let tries = 0; rows.length > 0; tries++) {
      if (tries === mostTries) return yield* Effect.fail(Errors.unavailable(Errors.contended(db.place)))
      const missed = yield* write(rows, statementFor)
      lost.push(...missed.filter(({ isCurrent }) => !isCurrent))
      const current = missed.filter(({ isCurrent }) => isCurrent)
      onMissed(current)
      rows = current
    }
    return lost
  })

  return { locate, explain, write, writeAll }
}

const locationOf = ({ call, seq, usage }: Location): Location => ({ call, seq, usage })

/** Calls `note` for each lease that a write has not lost. */
export const forWritten = <A extends LeaseRow>(
  leases: ReadonlyArray<A>,
  lost: ReadonlyArray<LostLeaseRow>,
  note: (lease: A) => void
) => {
  const lostIndexes = new Set(lost.map(({ index }) => index))
  for (const [index, lease] of leases.entries()) if (!lostIndexes.has(index)) note(lease)
}

export const make = (
  statements: Statements,
  claims: Claims,
  { write, writeAll }: Fence
): Pick<TaskStoreDriver, "checkpoint" | "start" | "extend"> => ({
  checkpoint: (checkpoints: ReadonlyArray<CheckpointRow>) =>
    writeAll(checkpoints, (located) => ({
      text: statements.checkpoint,
      parameters: [
        textColumn(located.map(({ row }) => row.execution)),
        textColumn(located.map(({ row }) => row.executionUsage)),
        textColumn(located.map(({ row }) => row.usage)),
        ...usageParameters(located.map(({ row, usage }) => ({ before: usage, after: row.usage })))
      ]
    })).pipe(
      Effect.tap((lost) => Effect.sync(() => forWritten(checkpoints, lost, (row) => claims.noteUsage(row, row.usage))))
    ),

  start: (leases) => write(indexed(leases), () => ({ text: statements.start, parameters: [] })),

  extend: (leases, leaseMillis) =>
    write(indexed(leases), () => ({ text: statements.extend, parameters: [number(leaseMillis)] }))
})
