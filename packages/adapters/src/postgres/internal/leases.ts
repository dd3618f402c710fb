import * as Effect from "effect/Effect"
import type { CheckpointRow, LeaseRow, LostLeaseRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { type Database, number, numbers, type Parameter, texts } from "./database.ts"
import { later, type Names } from "./names.ts"
import type { Statements } from "./statements.ts"

/**
 * Holds for the row that a lease is on. The claim's call number is random, so a lease from before the database was restored
 * from an older copy matches no row that the restored database has under the same key and token.
 */
export const isLeased =
  "t.seq = x.seq::bigint AND t.lease = x.token::bigint AND t.claim_call IS NOT DISTINCT FROM x.call::bigint"

/** What a write under leases returns: the number of rows it wrote, and their keys if that is fewer than it was given. */
export const written = `
  SELECT count(*)::float8 AS count, CASE WHEN count(*) < cardinality($1) THEN array_agg(seq::float8) END AS seqs FROM done`

/** The attempts of tasks with these statuses stay in the tasks' own rows. */
export const isInRow = (row: string) => `${row}.status IN ('in_review', 'completed')`

/** The statements that write under leases, except for those that end them. */
export const statements = ({ attempts, inputs, tasks }: Names) => ({
  start: `
    WITH done AS (
      UPDATE ${tasks} t SET started_at = coalesce(t.started_at, now())
      FROM unnest($1::float8[], $2::float8[], $3::float8[]) AS x (seq, token, call) WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  extend: `
    WITH done AS (
      UPDATE ${tasks} t SET lease_until = ${later("$4")}
      FROM unnest($1::float8[], $2::float8[], $3::float8[]) AS x (seq, token, call) WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  /** Saved once, as the attempt's execution: it becomes the checkpoint when the attempt ends without a settlement. */
  checkpoint: `
    WITH done AS (
      UPDATE ${tasks} t SET
        execution = x.execution, attempt_usage = x.attempt_usage, usage = x.usage, updated_at = now()
      FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::text[], $5::text[], $6::text[])
        AS x (seq, token, call, execution, attempt_usage, usage)
      WHERE ${isLeased} RETURNING t.seq
    ) ${written}`,

  /** Finds the rows of current leases. */
  locate: `
    SELECT x.n::float8 AS n, t.seq::float8 AS seq, t.claim_call::float8 AS call
    FROM unnest($1::text[], $2::float8[]) WITH ORDINALITY AS x (id, token, n)
    JOIN ${inputs} i ON i.id = x.id JOIN ${tasks} t ON t.seq = i.seq AND t.lease = x.token::bigint`,

  /**
   * Explains why nothing was written for leases. `isCurrent`: the lease is current anyway. `outcome`: how the attempt under
   * this lease ended. A null call means that the caller did not claim the task itself, and matches any.
   */
  explain: `
    SELECT t.status, coalesce(${isLeased}, false) AS "isCurrent",
      CASE WHEN ${isInRow("t")} AND t.token = x.token AND (x.call IS NULL OR t.claim_call = x.call)
        THEN t.status ELSE a.outcome END AS outcome
    FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[]) WITH ORDINALITY AS x (id, seq, token, call, n)
    LEFT JOIN ${inputs} i ON i.id = x.id
    LEFT JOIN ${tasks} t ON t.seq = i.seq
    LEFT JOIN ${attempts} a
      ON a.task = i.seq AND a.token = x.token::bigint AND (x.call IS NULL OR a.claim_call = x.call)
    ORDER BY x.n`
})

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

export interface LeaseOnRow<A extends LeaseRow> extends Indexed<A>, Location {}

/** A lease under which nothing was written. Its location is null if this store has not claimed the task itself. */
interface Missed<A extends LeaseRow> extends Indexed<A> {
  readonly location: Location | null
}

/** Why nothing was written for a lease: it is lost, or current and has to be tried again. */
interface Explained<A extends LeaseRow> extends LostLeaseRow, Indexed<A> {
  readonly isCurrent: boolean
}

export const indexed = <A extends LeaseRow>(rows: ReadonlyArray<A>): ReadonlyArray<Indexed<A>> =>
  rows.map((row, index) => ({ index, row }))

/** How often a settlement is tried whose row changes between reading and locking it. Rare, and rarer every time. */
export const mostTries = 20

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

  return { locate, explain, write }
}

export const make = (
  statements: Statements,
  { write }: Fence
): Pick<TaskStoreDriver, "checkpoint" | "start" | "extend"> => ({
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
})
