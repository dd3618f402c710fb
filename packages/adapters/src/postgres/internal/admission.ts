import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import type { NewTask, TaskId } from "@baton/core/Task"
import type { AddResult } from "@baton/core/TaskStore"
import { type Refusal, type TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import * as Refusals from "../../internal/refusals.ts"
import type { Database } from "./database.ts"
import * as Errors from "./errors.ts"
import type { Names } from "./names.ts"
import { inRange, number, numbers, texts, times } from "./parameters.ts"
import { inParts } from "./parts.ts"
import * as Rows from "./rows.ts"
import * as Text from "./text.ts"

export const statements = ({ changes, dependencies, inputs, placeOf, seqAt, tasks }: Names) => {
  const named = `SELECT i.seq FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id`
  return {
    /**
     * Written in the order of ids, so that calls with the same new ids do not wait for each other crosswise. A task that
     * takes the place of one that was pruned can have others waiting for it already.
     */
    add: `
      WITH fresh AS (
        INSERT INTO ${inputs} (seq, id, description, metadata, depends_on, created_at)
        SELECT ${seqAt("x.n")}, x.id, x.description, x.metadata, x.depends_on::text[], now()
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
          AS x (id, description, metadata, depends_on, n)
        ORDER BY x.id COLLATE "C"
        ON CONFLICT (id) DO NOTHING RETURNING seq, id
      ),
      added AS (
        INSERT INTO ${tasks}
          (seq, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token)
        SELECT f.seq, 'pending', ($5::float8[])[${placeOf("f.seq")}],
          CASE ($6::timestamptz[])[${placeOf("f.seq")}]
            WHEN '-infinity' THEN now() ELSE ($6::timestamptz[])[${placeOf("f.seq")}] END,
          0, (SELECT count(*) FROM ${dependencies} d WHERE d.dependency = f.id), 0, 0, false, now(), 0
        FROM fresh f
      )
      SELECT CASE WHEN count(*) < cardinality($1) THEN coalesce(array_agg(id), '{}') END AS ids FROM fresh`,

    /** What is there under these ids. */
    existing: `
      SELECT i.id, i.description FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id`,

    /** Tasks that others are to wait for. Locked: none of them completes before those who wait are written down. */
    parents: `
      SELECT t.seq::float8 AS seq, i.id, t.status FROM ${tasks} t JOIN ${inputs} i ON i.seq = t.seq
      WHERE t.seq IN (${named}) ORDER BY t.seq FOR UPDATE OF t`,

    markParents: `
      UPDATE ${tasks} t SET parent = t.parent + 1 FROM unnest($1::float8[]) AS x (seq) WHERE t.seq = x.seq::bigint`,

    /** Writes down which tasks wait for which. */
    link: `
      WITH links AS (
        INSERT INTO ${dependencies} (task, dependency)
        SELECT i.seq, x.dependency FROM unnest($1::text[], $2::text[]) AS x (task, dependency)
        JOIN ${inputs} i ON i.id = x.task RETURNING task
      )
      UPDATE ${tasks} t SET blockers = t.blockers + l.count::integer
      FROM (SELECT task, count(*) AS count FROM links GROUP BY task) l WHERE t.seq = l.task`,

    count: `INSERT INTO ${changes} VALUES ($1, $2, $3, $4, $5, $6)`
  }
}

export interface Admission extends ReturnType<typeof make> {}

/** A dependency that a task waits for. */
export interface Link {
  readonly task: TaskId
  readonly dependency: TaskId
}

/** No time at all: the moment of adding. */
const atOnce = -Infinity

export const make = (db: Database, names: Names) => {
  const sql = statements(names)

  const insert = (tasks: ReadonlyArray<NewTask>): Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError> =>
    db.run(
      sql.add,
      [
        texts(tasks.map(({ id }) => Text.encode(id))),
        texts(tasks.map(({ description }) => Text.encode(description))),
        texts(tasks.map(({ metadata }) => Rows.toMetadata(metadata))),
        texts(tasks.map(({ dependsOn }) => toArray(dependsOn))),
        numbers(tasks.map(({ priority }) => priority ?? 0)),
        times(
          tasks.map(({ availableAt }) => (availableAt === undefined ? atOnce : inRange(availableAt.epochMilliseconds)))
        )
      ],
      ([row = {}]) => (row.ids === null ? tasks.map(({ id }) => id) : Rows.taskIds(row.ids))
    )

  const existing = (ids: ReadonlyArray<TaskId>) =>
    Effect.map(
      Effect.forEach(
        inParts(ids, () => 0),
        (some) =>
          db.run(sql.existing, [texts(some.map(Text.encode))], (rows) =>
            rows.map((row) => [Rows.taskId(row.id), Rows.text(row.description)] as const)
          )
      ),
      (found) => new Map(found.flat())
    )

  /** Locks the tasks that others are to wait for; those that are there and whether they are completed. */
  const lockParents = Effect.fnUntraced(function* (
    ids: ReadonlyArray<TaskId>
  ): Effect.fn.Return<ReadonlyMap<TaskId, { readonly seq: number; readonly isOpen: boolean }>, TaskStoreError> {
    // In one statement, however many they are: it is what locks them in the order of rows.
    return yield* db.run(
      sql.parents,
      [texts(ids.map(Text.encode))],
      (rows) =>
        new Map(
          rows.map((row) => [
            Rows.taskId(row.id),
            { seq: Rows.number(row.seq), isOpen: Rows.status(row.status) !== "completed" }
          ])
        )
    )
  })

  /** Lets tasks wait. `parents` are those waited for that are there, locked by this transaction. */
  const link = Effect.fnUntraced(function* (
    links: ReadonlyArray<Link>,
    parents: ReadonlyArray<number>
  ): Effect.fn.Return<void, TaskStoreError> {
    if (links.length === 0) return
    for (const some of inParts(links, () => 0)) {
      const tasks = texts(some.map(({ task }) => Text.encode(task)))
      yield* db.run(sql.link, [tasks, texts(some.map(({ dependency }) => Text.encode(dependency)))], () => undefined)
    }
    yield* db.run(sql.markParents, [numbers(parents)], () => undefined)
  })

  const add = Effect.fnUntraced(function* (
    tasks: ReadonlyArray<NewTask>
  ): Effect.fn.Return<AddResult, TaskStoreError | TasksRefused> {
    if (tasks.length === 0) return { added: [], existing: 0 }
    yield* refuseLongIds(tasks.map(({ id }) => id))
    const { distinct, refusals } = once(tasks)
    return yield* db.transaction(admit(distinct, refusals))
  })

  const admit = Effect.fnUntraced(function* (
    tasks: ReadonlyArray<NewTask>,
    refusedBefore: ReadonlyArray<Refusal>
  ): Effect.fn.Return<AddResult, TaskStoreError | TasksRefused> {
    const refusals = Array.from(refusedBefore)
    const inserted = yield* Effect.forEach(
      inParts(tasks, ({ description }) => description.length),
      insert
    )
    const added = new Set(inserted.flat())
    const known = tasks.filter(({ id }) => !added.has(id))
    const there = yield* existing(known.map(({ id }) => id))
    for (const { description, id } of known) if (there.get(id) !== description) refusals.push(Refusals.idInUse(id))

    const linked = tasks.flatMap(({ dependsOn = [], id }) =>
      dependsOn.length > 0 && added.has(id) ? { id, dependsOn: new Set(dependsOn) } : []
    )
    let waiting = 0
    if (linked.length > 0) {
      const ids = new Set(linked.flatMap(({ dependsOn }) => Array.from(dependsOn)))
      const parents = yield* lockParents(Array.from(ids))
      for (const { dependsOn, id } of linked) {
        const unknown = Array.from(dependsOn).filter((dependency) => !parents.has(dependency))
        if (unknown.length > 0) refusals.push(Refusals.unknownDependency(id, unknown))
      }
      refusals.push(...Refusals.cycles(linked))
      const links = linked.flatMap(({ dependsOn, id }) =>
        Array.from(dependsOn).flatMap((dependency) =>
          parents.get(dependency)?.isOpen === true ? { task: id, dependency } : []
        )
      )
      waiting = new Set(links.map(({ task }) => task)).size
      if (refusals.length === 0) {
        const open = Array.from(parents.values()).flatMap(({ isOpen, seq }) => (isOpen ? seq : []))
        yield* link(links, open)
      }
    }
    if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
    yield* count({ pending: added.size, waiting })
    return { added: tasks.flatMap(({ id }) => (added.has(id) ? id : [])), existing: known.length }
  })

  const count = (changes: Partial<Record<(typeof counted)[number], number>>) =>
    db.run(
      sql.count,
      counted.map((kind) => number(changes[kind] ?? 0)),
      () => undefined
    )

  return { add, insert, existing, lockParents, link, count }
}

/** The columns of counts, in their order. */
const counted = ["pending", "in_progress", "completed", "failed", "cancelled", "waiting"] as const

/** An index takes no longer keys, and would say so in a sentence for nobody. */
export const refuseLongIds = (ids: ReadonlyArray<TaskId>): Effect.Effect<void, TaskStoreError> => {
  const tooLong = ids.find((id) => Buffer.byteLength(Text.encode(id)) > Errors.longestId)
  return tooLong === undefined ? Effect.void : Effect.fail(Errors.unusable(Errors.idTooLong(tooLong)))
}

/** Each id once; refused is one that comes with several descriptions. */
const once = (tasks: ReadonlyArray<NewTask>) => {
  const byId = new Map<TaskId, NewTask>()
  const refusals: Array<Refusal> = []
  for (const task of tasks) {
    const first = byId.get(task.id)
    if (first === undefined) byId.set(task.id, task)
    else if (first.description !== task.description) refusals.push(Refusals.idInUse(task.id))
  }
  return { distinct: Array.from(byId.values()), refusals }
}

/** An array in the notation of PostgreSQL's literals: arrays of arrays have to be all of one length. */
export const toArray = (ids: ReadonlyArray<TaskId> | undefined): string | null =>
  ids === undefined || ids.length === 0
    ? null
    : `{${ids.map((id) => `"${Text.encode(id).replace(/["\\]/g, "\\$&")}"`).join(",")}}`
