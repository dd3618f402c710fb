import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { AttemptOutcome } from "@baton/core/Attempt"
import type { TaskId } from "@baton/core/Task"
import type { Checkpoint, FencedReply, Lease, LostLease } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import { later, type Names } from "./names.ts"
import { number, numbers, type Parameter, span, texts } from "./parameters.ts"
import { inParts } from "./parts.ts"
import * as Rows from "./rows.ts"
import type { Seqs } from "./seqs.ts"
import * as Text from "./text.ts"

/** What a write under leases reports: how many rows it wrote, and which, if these are not all that were asked for. */
export const written = (asked: string) =>
  `SELECT count(*)::float8 AS count, CASE WHEN count(*) < cardinality(${asked}) THEN array_agg(seq::float8) END AS seqs
   FROM done`

export const statements = ({ attempts, inputs, tasks }: Names) => ({
  extend: `
    WITH done AS (
      UPDATE ${tasks} t SET lease_until = ${later("$3")}
      FROM unnest($1::float8[], $2::float8[]) AS x (seq, token)
      WHERE t.seq = x.seq::bigint AND t.lease = x.token::bigint RETURNING t.seq
    ) ${written("$1")}`,

  /** Written once, as the attempt's execution: it becomes the checkpoint when the attempt ends without a settlement. */
  checkpoint: `
    WITH done AS (
      UPDATE ${tasks} t SET
        execution = x.execution, attempt_usage = x.attempt_usage, usage = x.usage, updated_at = now()
      FROM unnest($1::float8[], $2::float8[], $3::text[], $4::text[], $5::text[])
        AS x (seq, token, execution, attempt_usage, usage)
      WHERE t.seq = x.seq::bigint AND t.lease = x.token::bigint RETURNING t.seq
    ) ${written("$1")}`,

  /** Where the tasks with these ids are; those that are not there are left out. */
  seqs: `SELECT i.id, i.seq::float8 AS seq FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id`,

  /**
   * How leases stand that a write found not to be current. `ended`: how the attempt under this lease ended, if it did. By
   * row and not only by id, because a task that was pruned and added again has the same tokens once more.
   */
  stand: `
    SELECT t.status, coalesce(t.seq = x.seq AND t.lease = x.token, false) AS held,
      CASE WHEN t.seq = x.seq AND t.status = 'completed' AND t.token = x.token THEN 'completed' ELSE a.outcome END AS ended
    FROM unnest($1::text[], $2::float8[], $3::float8[]) WITH ORDINALITY AS x (id, seq, token, n)
    LEFT JOIN ${inputs} i ON i.id = x.id
    LEFT JOIN ${tasks} t ON t.seq = i.seq
    LEFT JOIN ${attempts} a ON a.task = x.seq::bigint AND a.token = x.token::bigint
    ORDER BY x.n`
})

/** A lease of a batch, and the row that it is on. */
export interface Located<A extends Lease> {
  /** Its place in the batch. */
  readonly n: number
  /** `nowhere` when its task is not there. */
  readonly seq: number
  readonly lease: A
}

/** No task has this `seq`. */
const nowhere = -1

/** How a lease stands for which nothing was written. */
export interface Standing<A extends Lease> extends Located<A> {
  readonly status: LostLease["status"]
  /** Whether it is current all the same. */
  readonly held: boolean
  readonly ended: AttemptOutcome | null
}

/** Writes for some leases of a batch, which are on different rows; returns those for which it wrote nothing. */
export type Write<A extends Lease> = (
  part: ReadonlyArray<Located<A>>
) => Effect.Effect<ReadonlyArray<Located<A>>, TaskStoreError>

export interface Leases extends ReturnType<typeof make> {}

export const make = (db: Database, names: Names, seqs: Seqs) => {
  const sql = statements(names)

  /** The rows of those that this store has forgotten, or never knew. */
  const look = (ids: ReadonlyArray<TaskId>): Effect.Effect<ReadonlyMap<TaskId, number>, TaskStoreError> =>
    ids.length === 0
      ? Effect.succeed(new Map())
      : db.run(
          sql.seqs,
          [texts(ids.map(Text.encode))],
          (rows) => new Map(rows.map((row) => [Rows.taskId(row.id), Rows.number(row.seq)]))
        )

  const stand = <A extends Lease>(
    leases: ReadonlyArray<Located<A>>
  ): Effect.Effect<ReadonlyArray<Standing<A>>, TaskStoreError> =>
    leases.length === 0
      ? Effect.succeed([])
      : db.run(
          sql.stand,
          [
            texts(leases.map(({ lease }) => Text.encode(lease.taskId))),
            numbers(leases.map(({ seq }) => seq)),
            numbers(leases.map(({ lease }) => lease.token))
          ],
          (rows) =>
            leases.map((each, index) => {
              const row = rows[index] ?? {}
              return {
                ...each,
                status: Rows.statusOrNull(row.status),
                held: Rows.boolean(row.held),
                ended: Rows.outcomeOrNull(row.ended)
              }
            })
        )

  /** Runs a statement of which the first two parameters are the rows and the tokens. */
  const write = <A extends Lease>(
    statement: string,
    part: ReadonlyArray<Located<A>>,
    parameters: ReadonlyArray<Parameter>
  ): ReturnType<Write<A>> => {
    const leases = [numbers(part.map(({ seq }) => seq)), numbers(part.map(({ lease }) => lease.token))]
    return db.run(statement, [...leases, ...parameters], ([row = {}]) => {
      if (Rows.number(row.count) === part.length) return []
      const done = new Set(row.seqs === null ? [] : Rows.numbers(row.seqs))
      return part.filter(({ seq }) => !done.has(seq))
    })
  }

  /** Writes for each lease of a batch, part by part, and tells how those stand for which nothing was written. */
  const writeAll = Effect.fnUntraced(function* <A extends Lease>(
    leases: ReadonlyArray<A>,
    sizeOf: (lease: A) => number,
    write: Write<A>
  ): Effect.fn.Return<ReadonlyArray<Standing<A>>, TaskStoreError> {
    const found = yield* look(leases.flatMap(({ taskId }) => (seqs.get(taskId) === undefined ? taskId : [])))
    const located: Array<Located<A>> = []
    const gone: Array<Located<A>> = []
    for (const [n, lease] of leases.entries()) {
      const seq = seqs.get(lease.taskId) ?? found.get(lease.taskId)
      if (seq === undefined) gone.push({ n, seq: nowhere, lease })
      else located.push({ n, seq, lease })
    }
    const standings = Array.from(yield* stand(gone))
    // Rows for which nothing was written although their lease is current: whoever called tries them again. What the batch
    // says of them later has to wait for that, or it would come first.
    const undecided = new Set<number>()
    for (const round of inRounds(located)) {
      const missed: Array<Located<A>> = []
      const ready = undecided.size === 0 ? round : round.filter(({ seq }) => !undecided.has(seq))
      for (const part of inParts(ready, ({ lease }) => sizeOf(lease))) missed.push(...(yield* write(part)))
      for (const each of round) {
        if (undecided.has(each.seq)) standings.push({ ...each, status: "in_progress", held: true, ended: null })
      }
      // Before the next round, which may move the same tasks on.
      for (const standing of yield* stand(missed)) {
        standings.push(standing)
        if (standing.held) undecided.add(standing.seq)
      }
    }
    return standings.sort((left, right) => left.n - right.n)
  })

  return {
    write,
    writeAll,

    extend: (leases: ReadonlyArray<Lease>, lease: Duration.Duration): Effect.Effect<FencedReply, TaskStoreError> => {
      const until = number(span(Duration.toMillis(lease)))
      const all = writeAll(
        leases,
        () => 0,
        (part) => write(sql.extend, part, [until])
      )
      return Effect.map(all, toReply)
    },

    checkpoint: (checkpoints: ReadonlyArray<Checkpoint>): Effect.Effect<FencedReply, TaskStoreError> => {
      const all = writeAll(
        checkpoints,
        ({ execution }) => execution.output.length,
        (part) =>
          write(sql.checkpoint, part, [
            texts(part.map(({ lease }) => Rows.toJson(lease.execution))),
            texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.execution.usage))),
            texts(part.map(({ lease }) => Rows.toJsonOrNull(lease.usage)))
          ])
      )
      return Effect.map(all, toReply)
    }
  }
}

/**
 * In the order in which rows are locked. A row that a batch names more than once is written in as many rounds, in the order
 * of the batch: one statement changes a row once at most.
 */
const inRounds = <A extends Lease>(located: Array<Located<A>>): ReadonlyArray<ReadonlyArray<Located<A>>> => {
  const rounds: Array<Array<Located<A>>> = []
  let turn = 0
  let last = -1
  for (const each of located.sort((left, right) => left.seq - right.seq)) {
    turn = each.seq === last ? turn + 1 : 0
    last = each.seq
    const round = (rounds[turn] ??= [])
    round.push(each)
  }
  return rounds
}

export const toReply = (standings: ReadonlyArray<Standing<Lease>>): FencedReply => ({
  lost: standings.map(({ lease, status }) => ({ taskId: lease.taskId, token: lease.token, status }))
})
