import * as Effect from "effect/Effect"
import type { Attempt } from "@baton/core/Attempt"
import type { TaskId, TaskStatus } from "@baton/core/Task"
import * as TaskRecord from "@baton/core/TaskRecord"
import type { DumpQuery, RecordPage } from "@baton/core/TaskStore"
import type { TaskStoreError, TasksRefused } from "@baton/core/TaskStoreError"
import { type Admission, refuseLongIds, toArray } from "./admission.ts"
import type { Database } from "./database.ts"
import { type Names, taskColumns } from "./names.ts"
import { booleans, inRange, int, numbers, texts, times } from "./parameters.ts"
import { inParts } from "./parts.ts"
import { cut, readCursor } from "./reading.ts"
import * as Rows from "./rows.ts"
import * as Text from "./text.ts"

export const statements = ({ attempts, dependencies, inputs, seqAt, tasks }: Names) => ({
  /** All that follows sees the store at one moment. */
  snapshot: "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",

  page: `
    SELECT ${taskColumns}, t.lease_until, t.checkpoint, t.owner, t.started_at, t.execution, t.verification, t.attempt_usage
    FROM ${tasks} t JOIN ${inputs} i ON i.seq = t.seq WHERE t.seq > $1 ORDER BY t.seq LIMIT $2`,

  attempts: `
    SELECT a.task::float8 AS task, a.number::float8 AS number, a.token::float8 AS token, a.owner, a.started_at, a.ended_at,
      a.outcome, a.error, a.execution, a.verification, a.usage
    FROM unnest($1::float8[]) AS x (task) JOIN ${attempts} a ON a.task = x.task::bigint ORDER BY a.task, a.token`,

  waitsFor: `
    SELECT d.task::float8 AS task, d.dependency
    FROM unnest($1::float8[]) AS x (task) JOIN ${dependencies} d ON d.task = x.task::bigint`,

  /** Keeps others from adding, so that nobody adds what a restored task waits for without knowing of it. */
  lock: `LOCK TABLE ${inputs} IN SHARE ROW EXCLUSIVE MODE`,

  seqs: `SELECT ${seqAt("0")}::float8 AS base`,

  restoreInputs: `
    INSERT INTO ${inputs} (seq, id, description, metadata, depends_on, created_at)
    SELECT x.seq, x.id, x.description, x.metadata, x.depends_on::text[], x.created_at
    FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
      AS x (seq, id, description, metadata, depends_on, created_at)`,

  /** The worker of a task in progress works on the other store: its lease ends at once, and the next sweep takes it back. */
  restoreTasks: `
    INSERT INTO ${tasks} (
      seq, status, priority, available_at, blockers, parent, attempts, requeues, verified, feedback, usage, checkpoint,
      updated_at, token, lease, lease_until, owner, started_at, execution, verification, attempt_usage
    )
    SELECT x.seq, x.status, x.priority, x.available_at, 0,
      (SELECT count(*) FROM ${dependencies} d WHERE d.dependency = x.id), x.attempts, x.requeues, x.verified,
      x.feedback, x.usage, x.checkpoint, x.updated_at, x.token,
      CASE WHEN x.status = 'in_progress' THEN x.token END, CASE WHEN x.status = 'in_progress' THEN now() END,
      x.owner, CASE WHEN x.owner IS NOT NULL THEN x.started_at END, x.execution, x.verification, x.attempt_usage
    FROM unnest($1::float8[], $2::text[], $3::text[], $4::float8[], $5::timestamptz[], $6::float8[], $7::float8[],
        $8::boolean[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::float8[], $14::text[],
        $15::timestamptz[], $16::text[], $17::text[], $18::text[])
      AS x (seq, id, status, priority, available_at, attempts, requeues, verified, feedback, usage, checkpoint,
        updated_at, token, owner, started_at, execution, verification, attempt_usage)`,

  restoreAttempts: `
    INSERT INTO ${attempts}
      (task, token, number, owner, started_at, ended_at, outcome, error, execution, verification, usage)
    SELECT * FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::text[], $5::timestamptz[], $6::timestamptz[],
      $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])`,

  /** Lets those go on that waited for a task of an earlier call that is restored as completed. */
  free: `
    WITH links AS (
      DELETE FROM ${dependencies} d USING unnest($1::text[]) AS x (id) WHERE d.dependency = x.id RETURNING d.task
    ),
    freed AS (
      UPDATE ${tasks} t SET blockers = t.blockers - l.count::integer
      FROM (SELECT task, count(*) AS count FROM links GROUP BY task) l WHERE t.seq = l.task
      RETURNING t.status, t.blockers
    )
    SELECT count(*)::float8 AS count FROM freed WHERE status = 'pending' AND blockers = 0`
})

type Counts = Partial<Record<TaskStatus | "waiting", number>>

export const make = (db: Database, names: Names, admission: Admission) => {
  const sql = statements(names)

  /** The rows of a table that belong to tasks, by task. */
  const byTask = <A>(statement: string, seqs: ReadonlyArray<number>, read: (row: Rows.Row) => A) =>
    db.run(statement, [numbers(seqs)], (rows) => {
      const found = new Map<number, Array<A>>()
      for (const row of rows) {
        const task = Rows.number(row.task)
        const before = found.get(task)
        if (before === undefined) found.set(task, [read(row)])
        else before.push(read(row))
      }
      return found
    })

  const readPage = Effect.fnUntraced(function* (
    after: number,
    size: number
  ): Effect.fn.Return<RecordPage, TaskStoreError> {
    yield* db.run(sql.snapshot, [], () => undefined)
    const { next, shown } = yield* db.run(sql.page, [int(after), int(size + 1)], (rows) =>
      cut(
        rows.map((row) => ({ seq: Rows.number(row.seq), row })),
        size,
        ({ seq }) => seq
      )
    )
    const seqs = shown.map(({ seq }) => seq)
    const ledger = yield* byTask(sql.attempts, seqs, (row) => row)
    const open = yield* byTask(sql.waitsFor, seqs, (row) => Rows.taskId(row.dependency))
    return yield* db.decode(() => ({
      records: shown.map(({ row, seq }) => Rows.record(row, ledger.get(seq) ?? [], new Set(open.get(seq)))),
      next
    }))
  })

  /** Writes the tasks of some records, and their ledgers. */
  const insert = Effect.fnUntraced(function* (
    records: ReadonlyArray<TaskRecord.TaskRecord>
  ): Effect.fn.Return<void, TaskStoreError> {
    const base = yield* db.run(sql.seqs, [], ([row = {}]) => Rows.number(row.base))
    const restored = records.map((record, index) => {
      const { attempts, task } = record
      // The attempt under way, or the one that completed the task, is in the task's own row.
      const inRow = task.status === "in_progress" || task.status === "completed"
      const last = inRow ? attempts.at(-1) : undefined
      return { ...record, seq: base + index + 1, last, ended: inRow ? attempts.slice(0, -1) : attempts }
    })
    const seqs = numbers(restored.map(({ seq }) => seq))
    const ids = texts(restored.map(({ task }) => Text.encode(task.id)))
    yield* db.run(
      sql.restoreInputs,
      [
        seqs,
        ids,
        texts(restored.map(({ task }) => Text.encode(task.description))),
        texts(restored.map(({ task }) => Rows.toMetadata(task.metadata))),
        texts(restored.map(({ task }) => toArray(task.dependsOn))),
        times(restored.map(({ task }) => inRange(task.createdAt.epochMilliseconds)))
      ],
      () => undefined
    )
    yield* db.run(
      sql.restoreTasks,
      [
        seqs,
        ids,
        texts(restored.map(({ task }) => task.status)),
        numbers(restored.map(({ task }) => task.priority)),
        times(restored.map(({ task }) => inRange(task.availableAt.epochMilliseconds))),
        numbers(restored.map(({ task }) => task.attempts)),
        numbers(restored.map(({ task }) => task.requeues)),
        booleans(restored.map(({ task }) => task.verified)),
        texts(restored.map(({ task }) => Text.encodeOrNull(task.feedback))),
        texts(restored.map(({ task }) => Rows.toJsonOrNull(task.usage))),
        texts(restored.map(({ checkpoint }) => Rows.toJsonOrNull(checkpoint))),
        times(restored.map(({ task }) => inRange(task.updatedAt.epochMilliseconds))),
        numbers(restored.map(({ token }) => token)),
        texts(restored.map(({ last }) => Text.encodeOrNull(last?.owner ?? null))),
        times(restored.map(({ last }) => inRange(last?.startedAt.epochMilliseconds ?? 0))),
        texts(restored.map(({ last }) => Rows.toJsonOrNull(last?.execution ?? null))),
        texts(restored.map(({ last }) => Rows.toJsonOrNull(last?.verification ?? null))),
        texts(restored.map(({ last }) => Rows.toJsonOrNull(last?.usage ?? null)))
      ],
      () => undefined
    )
    const ledger = restored.flatMap(({ ended, seq }) => ended.map((attempt) => ({ seq, attempt })))
    yield* Effect.forEach(
      inParts(ledger, ({ attempt }) => sizeOfAttempt(attempt)),
      insertAttempts,
      { discard: true }
    )
  })

  const insertAttempts = (ledger: ReadonlyArray<{ readonly seq: number; readonly attempt: Attempt }>) =>
    db.run(
      sql.restoreAttempts,
      [
        numbers(ledger.map(({ seq }) => seq)),
        numbers(ledger.map(({ attempt }) => attempt.token)),
        numbers(ledger.map(({ attempt }) => attempt.number)),
        texts(ledger.map(({ attempt }) => Text.encode(attempt.owner))),
        times(ledger.map(({ attempt }) => inRange(attempt.startedAt.epochMilliseconds))),
        times(ledger.map(({ attempt }) => inRange((attempt.endedAt ?? attempt.startedAt).epochMilliseconds))),
        texts(ledger.map(({ attempt }) => attempt.outcome)),
        texts(ledger.map(({ attempt }) => Text.encodeOrNull(attempt.error))),
        texts(ledger.map(({ attempt }) => Rows.toJsonOrNull(attempt.execution))),
        texts(ledger.map(({ attempt }) => Rows.toJsonOrNull(attempt.verification))),
        texts(ledger.map(({ attempt }) => Rows.toJsonOrNull(attempt.usage)))
      ],
      () => undefined
    )

  /** Writes down what the tasks wait for: whatever is not completed here, there or not. Returns who waits. */
  const block = Effect.fnUntraced(function* (
    records: ReadonlyArray<TaskRecord.TaskRecord>
  ): Effect.fn.Return<ReadonlySet<TaskId>, TaskStoreError> {
    const wanted = new Set(records.flatMap(({ waitsFor }) => waitsFor))
    if (wanted.size === 0) return new Set()
    const parents = yield* admission.lockParents(Array.from(wanted))
    const links = records.flatMap(({ task, waitsFor }) =>
      Array.from(new Set(waitsFor)).flatMap((dependency) =>
        parents.get(dependency)?.isOpen === false ? [] : { task: task.id, dependency }
      )
    )
    yield* admission.link(
      links,
      Array.from(parents.values()).flatMap(({ isOpen, seq }) => (isOpen ? seq : []))
    )
    return new Set(links.map(({ task }) => task))
  })

  const restoreAll = Effect.fnUntraced(function* (
    records: ReadonlyArray<TaskRecord.TaskRecord>
  ): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
    yield* db.run(sql.lock, [], () => undefined)
    const there = yield* admission.existing(records.map(({ task }) => task.id))
    yield* Effect.fromResult(TaskRecord.validate(records, (id) => there.has(id)))
    yield* Effect.forEach(inParts(records, sizeOfRecord), insert, { discard: true })
    const blocked = yield* block(records)
    const completed = records.flatMap(({ task }) => (task.status === "completed" ? Text.encode(task.id) : []))
    const freed = yield* db.run(sql.free, [texts(completed)], ([row = {}]) => Rows.number(row.count))
    const counts: Counts = { waiting: -freed }
    for (const { task } of records) {
      counts[task.status] = (counts[task.status] ?? 0) + 1
      if (task.status === "pending" && blocked.has(task.id)) counts.waiting = (counts.waiting ?? 0) + 1
    }
    yield* admission.count(counts)
  })

  return {
    dump: ({ cursor, limit = 100 }: DumpQuery = {}): Effect.Effect<RecordPage, TaskStoreError> =>
      Effect.flatMap(readCursor(cursor), (after) => db.transaction(readPage(after, Math.max(1, limit)))),

    restore: (records: ReadonlyArray<TaskRecord.TaskRecord>): Effect.Effect<void, TaskStoreError | TasksRefused> =>
      records.length === 0
        ? Effect.void
        : Effect.andThen(refuseLongIds(records.map(({ task }) => task.id)), db.transaction(restoreAll(records)))
  }
}

const sizeOfAttempt = ({ error, execution }: Attempt): number => (execution?.output.length ?? 0) + (error?.length ?? 0)

const sizeOfRecord = ({ attempts, checkpoint, task }: TaskRecord.TaskRecord): number =>
  task.description.length + (checkpoint?.output.length ?? 0) + (attempts.at(-1)?.execution?.output.length ?? 0)
