import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { AddReply, NewTaskRow, RestoreAttemptRow, RestoreRow, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as UsageSum from "@baton/core/UsageSum"
import { booleans, type Database, numbers, texts, times } from "./database.ts"
import { counted, entered, lineColumns, type Names } from "./names.ts"
import * as Usage from "./usage.ts"

/** Adds tasks: new ones, and tasks of another store. */

const statements = (names: Names) => {
  const { attempts, changes, dependencies, inputs, placeOf, seqAt, tasks } = names
  return {
    /**
     * Written in the order of ids, so that calls with the same new ids do not wait for each other crosswise. Other tasks may
     * already wait for a task that takes the place of a pruned one.
     */
    add: `
    WITH fresh AS (
      INSERT INTO ${inputs} (seq, id, description, payload, overrides, max_attempts, metadata, depends_on, created_at)
      SELECT ${seqAt("x.n")}, x.id, x.description, x.payload, x.overrides, x.max_attempts, x.metadata, x.depends_on, now()
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::text[], $7::text[]) WITH ORDINALITY
        AS x (id, description, payload, overrides, max_attempts, metadata, depends_on, n)
      ORDER BY x.id COLLATE "C"
      ON CONFLICT (id) DO NOTHING RETURNING seq, id
    ),
    added AS (
      INSERT INTO ${tasks}
        (seq, queue, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token,
          concurrency_key)
      SELECT f.seq, ($8::text[])[${placeOf("f.seq")}], 'pending', ($9::float8[])[${placeOf("f.seq")}],
        CASE ($10::timestamptz[])[${placeOf("f.seq")}]
          WHEN '-infinity' THEN now() ELSE ($10::timestamptz[])[${placeOf("f.seq")}] END,
        0, (SELECT count(*) FROM ${dependencies} d WHERE d.dependency = f.id), 0, 0, false, now(), 0,
        ($11::text[])[${placeOf("f.seq")}]
      FROM fresh f
    )
    SELECT CASE WHEN count(*) < cardinality($1) THEN coalesce(array_agg(id), '{}') END AS ids FROM fresh`,

    existing: `
    SELECT i.id, t.queue, i.payload, i.description, i.metadata, i.overrides, i.depends_on AS "dependsOn",
      t.priority::float8 AS priority, t.concurrency_key AS "concurrencyKey"
    FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id JOIN ${tasks} t ON t.seq = i.seq`,

    /** Locks the tasks that others will wait for: none of them completes before the dependencies are written. */
    lockParents: `
    SELECT t.seq::float8 AS seq, i.id, t.status <> 'completed' AS "isOpen"
    FROM ${tasks} t JOIN ${inputs} i ON i.seq = t.seq
    WHERE t.seq IN (SELECT i.seq FROM unnest($1::text[]) AS x (id) JOIN ${inputs} i ON i.id = x.id)
    ORDER BY t.seq FOR UPDATE OF t`,

    markParents: `
    UPDATE ${tasks} t SET parent = t.parent + 1 FROM unnest($1::float8[]) AS x (seq) WHERE t.seq = x.seq::bigint`,

    link: `
    WITH links AS (
      INSERT INTO ${dependencies} (task, dependency)
      SELECT i.seq, x.dependency FROM unnest($1::text[], $2::text[]) AS x (task, dependency)
      JOIN ${inputs} i ON i.id = x.task RETURNING task
    )
    UPDATE ${tasks} t SET blockers = t.blockers + l.count::integer
    FROM (SELECT task, count(*) AS count FROM links GROUP BY task) l WHERE t.seq = l.task`,

    count: `
    INSERT INTO ${changes}
    SELECT ${["queue", ...counted].map((name) => `x.${name}`).join(", ")}, x.usage::bigint[]
    FROM unnest($1::text[], ${counted.map((_, index) => `$${index + 2}::float8[]`).join(", ")}, $${counted.length + 2}::text[])
      AS x (queue, ${counted.join(", ")}, usage)`,

    /** Keeps others from adding a task that a restored task waits for. */
    lock: `LOCK TABLE ${inputs} IN SHARE ROW EXCLUSIVE MODE`,

    seqs: `SELECT ${seqAt("0")}::float8 AS base`,

    restoreInputs: `
    INSERT INTO ${inputs} (seq, id, description, payload, overrides, max_attempts, metadata, depends_on, created_at)
    SELECT * FROM unnest($1::float8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::text[],
      $9::timestamptz[])`,

    /** The worker of a task in progress works on the other store: its lease ends at once, and the next sweep ends the attempt. */
    restoreTasks: `
    INSERT INTO ${tasks} (
      seq, status, priority, available_at, blockers, parent, attempts, requeues, verified, feedback, usage, checkpoint,
      updated_at, token, lease, lease_until, owner, started_at, execution, verification, attempt_usage, queue,
      concurrency_key
    )
    SELECT x.seq, x.status, x.priority, x.available_at, 0,
      (SELECT count(*) FROM ${dependencies} d WHERE d.dependency = x.id), x.attempts, x.requeues, x.verified,
      x.feedback, x.usage, x.checkpoint, x.updated_at, x.token,
      CASE WHEN x.status = 'in_progress' THEN x.token END, CASE WHEN x.status = 'in_progress' THEN now() END,
      x.owner, nullif(x.started_at, '-infinity'), x.execution, x.verification, x.attempt_usage, x.queue,
      x.concurrency_key
    FROM unnest($1::float8[], $2::text[], $3::text[], $4::float8[], $5::timestamptz[], $6::float8[], $7::float8[],
        $8::boolean[], $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::float8[], $14::text[],
        $15::timestamptz[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[])
      AS x (seq, id, status, priority, available_at, attempts, requeues, verified, feedback, usage, checkpoint,
        updated_at, token, owner, started_at, execution, verification, attempt_usage, queue, concurrency_key)`,

    restoreAttempts: `
    INSERT INTO ${attempts}
      (task, token, number, owner, started_at, ended_at, outcome, error, execution, verification, usage)
    SELECT * FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::text[], $5::timestamptz[], $6::timestamptz[],
      $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])`,

    /** Frees the tasks of earlier calls that waited for tasks which are restored as completed. */
    free: `
    WITH links AS (
      DELETE FROM ${dependencies} d USING unnest($1::text[]) AS x (id) WHERE d.dependency = x.id RETURNING d.task
    ),
    freed AS (
      UPDATE ${tasks} t SET blockers = t.blockers - l.count::integer
      FROM (SELECT task, count(*) AS count FROM links GROUP BY task) l WHERE t.seq = l.task
      RETURNING t.queue, t.status, t.blockers, ${lineColumns}
    ),
    ${entered(names, "freed")}
    SELECT queue, count(*)::float8 AS count FROM freed WHERE status = 'pending' AND blockers = 0 GROUP BY queue`
  }
}

/** Rolls a call back that must not add its tasks. */
class NothingAdded extends Schema.TaggedError<NothingAdded>()("NothingAdded", {
  existing: Schema.Array(Schema.String),
  conflicts: Schema.Array(Schema.String),
  different: Schema.Array(Schema.String),
  unknown: Schema.Array(Schema.Struct({ id: Schema.String, dependency: Schema.String }))
}) {}

interface Parent {
  readonly id: string
  readonly seq: number
  readonly isOpen: boolean
}

interface Link {
  readonly task: string
  readonly dependency: string
}

/** What identifies the work of a task that exists. */
type Existing = Pick<NewTaskRow, "id" | "queue" | "payload" | (typeof details)[number]>

const details = ["description", "metadata", "overrides", "dependsOn", "priority", "concurrencyKey"] as const

const hasSameDetails = (present: Existing, task: NewTaskRow): boolean =>
  details.every((name) => present[name] === task[name])

const isSameWork = (present: Existing, { description, payload, queue }: NewTaskRow): boolean =>
  present.queue === queue && present.payload === payload && (payload !== null || present.description === description)

type Counts = Record<(typeof counted)[number], number> & { usage: UsageSum.UsageSum }

/** How a call changed the counts of each queue. */
const makeCounts = () => {
  const byQueue = new Map<string, Counts>()
  return {
    byQueue,
    of: (queue: string): Counts => {
      const known = byQueue.get(queue)
      if (known !== undefined) return known
      const counts = {
        pending: 0,
        in_progress: 0,
        in_review: 0,
        completed: 0,
        failed: 0,
        cancelled: 0,
        waiting: 0,
        usage: UsageSum.zero
      }
      byQueue.set(queue, counts)
      return counts
    }
  }
}

/** An availability of "now", which is the moment of adding. */
const atOnce = -Infinity

export const make = (db: Database, names: Names): Pick<TaskStoreDriver, "add" | "restore"> => {
  const sql = statements(names)

  const insert = (tasks: ReadonlyArray<NewTaskRow>): Effect.Effect<ReadonlyArray<string>, TaskStoreError> =>
    Effect.map(
      db.one<{ readonly ids: ReadonlyArray<string> | null }>(sql.add, [
        texts(tasks.map(({ id }) => id)),
        texts(tasks.map(({ description }) => description)),
        texts(tasks.map(({ payload }) => payload)),
        texts(tasks.map(({ overrides }) => overrides)),
        numbers(tasks.map(({ maxAttempts }) => maxAttempts)),
        texts(tasks.map(({ metadata }) => metadata)),
        texts(tasks.map(({ dependsOn }) => dependsOn)),
        texts(tasks.map(({ queue }) => queue)),
        numbers(tasks.map(({ priority }) => priority)),
        times(tasks.map(({ availableAt }) => availableAt ?? atOnce)),
        texts(tasks.map(({ concurrencyKey }) => concurrencyKey))
      ]),
      ({ ids }) => ids ?? tasks.map(({ id }) => id)
    )

  /** Those ids that are present. */
  const existing = (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, Existing>, TaskStoreError> =>
    Effect.map(
      Effect.forEach(inParts(ids, noCharacters), (part) => db.run<Existing>(sql.existing, [texts(part)])),
      (found) => new Map(found.flat().map((present) => [present.id, present]))
    )

  /** Locks tasks that others will wait for, in one statement, because it locks them in the order of rows. */
  const lockParents = (ids: ReadonlySet<string>): Effect.Effect<ReadonlyMap<string, Parent>, TaskStoreError> =>
    ids.size === 0
      ? Effect.succeed(new Map())
      : Effect.map(
          db.run<Parent>(sql.lockParents, [texts(Array.from(ids))]),
          (rows) => new Map(rows.map((parent) => [parent.id, parent]))
        )

  const link = Effect.fnUntraced(function* (
    links: ReadonlyArray<Link>,
    parents: ReadonlyMap<string, Parent>
  ): Effect.fn.Return<void, TaskStoreError> {
    if (links.length === 0) return
    for (const part of inParts(links, noCharacters)) {
      yield* db.run(sql.link, [texts(part.map(({ task }) => task)), texts(part.map(({ dependency }) => dependency))])
    }
    const open = Array.from(parents.values()).flatMap(({ isOpen, seq }) => (isOpen ? seq : []))
    yield* db.run(sql.markParents, [numbers(open)])
  })

  const count = (byQueue: ReadonlyMap<string, Counts>): Effect.Effect<void, TaskStoreError> => {
    if (byQueue.size === 0) return Effect.void
    const counts = Array.from(byQueue.values())
    return Effect.asVoid(
      db.run(sql.count, [
        texts(Array.from(byQueue.keys())),
        ...counted.map((kind) => numbers(counts.map((each) => each[kind]))),
        texts(counts.map(({ usage }) => (usage === UsageSum.zero ? "{}" : Usage.arrayOf(usage))))
      ])
    )
  }

  const add = Effect.fnUntraced(function* (
    tasks: ReadonlyArray<NewTaskRow>,
    checkOnly: boolean
  ): Effect.fn.Return<AddReply, TaskStoreError | NothingAdded> {
    const inserted = yield* Effect.forEach(inParts(tasks, charactersOfInputs), insert)
    const added = new Set(inserted.flat())
    const others = tasks.filter(({ id }) => !added.has(id))
    const present = yield* existing(others.map(({ id }) => id))
    const conflicts: Array<string> = []
    const different: Array<string> = []
    for (const task of others) {
      const before = present.get(task.id)
      if (before === undefined || !isSameWork(before, task)) conflicts.push(task.id)
      else if (!hasSameDetails(before, task)) different.push(task.id)
    }

    const linked = tasks.filter(({ dependencies, id }) => dependencies.length > 0 && added.has(id))
    const parents = yield* lockParents(new Set(linked.flatMap(({ dependencies }) => dependencies)))
    const unknown = linked.flatMap(({ dependencies, id }) =>
      dependencies.flatMap((dependency) => (parents.has(dependency) ? [] : { id, dependency }))
    )
    const reply = { existing: others.map(({ id }) => id), conflicts, different, unknown }
    if (checkOnly || conflicts.length > 0 || unknown.length > 0) return yield* new NothingAdded(reply)

    const links = linked.flatMap(({ dependencies, id }) =>
      dependencies.flatMap((dependency) => (parents.get(dependency)?.isOpen === true ? { task: id, dependency } : []))
    )
    yield* link(links, parents)
    const waiting = new Set(links.map(({ task }) => task))
    const counts = makeCounts()
    for (const { id, queue } of tasks) {
      if (added.has(id)) counts.of(queue).pending++
      if (waiting.has(id)) counts.of(queue).waiting++
    }
    yield* count(counts.byQueue)
    return reply
  })

  /** Writes the tasks of some records, and their ledgers. */
  const insertRecords = Effect.fnUntraced(function* (
    records: ReadonlyArray<RestoreRow>
  ): Effect.fn.Return<void, TaskStoreError> {
    const { base } = yield* db.one<{ readonly base: number }>(sql.seqs)
    const restored = records.map((record, index) => {
      // The attempt under way, or the one that completed the task or is in review, is in the task's own row.
      const isInRow = ["in_progress", "in_review", "completed"].includes(record.status)
      const last = isInRow ? record.attemptRows.at(-1) : undefined
      return {
        record,
        seq: base + index + 1,
        last,
        ended: isInRow ? record.attemptRows.slice(0, -1) : record.attemptRows
      }
    })
    const seqs = numbers(restored.map(({ seq }) => seq))
    const ids = texts(records.map(({ id }) => id))
    yield* db.run(sql.restoreInputs, [
      seqs,
      ids,
      texts(records.map(({ description }) => description)),
      texts(records.map(({ payload }) => payload)),
      texts(records.map(({ overrides }) => overrides)),
      numbers(records.map(({ maxAttempts }) => maxAttempts)),
      texts(records.map(({ metadata }) => metadata)),
      texts(records.map(({ dependsOn }) => dependsOn)),
      times(records.map(({ createdAt }) => createdAt))
    ])
    yield* db.run(sql.restoreTasks, [
      seqs,
      ids,
      texts(records.map(({ status }) => status)),
      numbers(records.map(({ priority }) => priority)),
      times(records.map(({ availableAt }) => availableAt)),
      numbers(records.map(({ attempts }) => attempts)),
      numbers(records.map(({ requeues }) => requeues)),
      booleans(records.map(({ verified }) => verified)),
      texts(records.map(({ feedback }) => feedback)),
      texts(records.map(({ usage }) => usage)),
      texts(records.map(({ checkpoint }) => checkpoint)),
      times(records.map(({ updatedAt }) => updatedAt)),
      numbers(records.map(({ token }) => token)),
      texts(restored.map(({ last }) => last?.owner ?? null)),
      times(restored.map(({ last }) => (last?.outcome === "claimed" ? -Infinity : (last?.startedAt ?? -Infinity)))),
      texts(restored.map(({ last }) => last?.execution ?? null)),
      texts(restored.map(({ last }) => last?.verification ?? null)),
      texts(restored.map(({ last }) => last?.usage ?? null)),
      texts(records.map(({ queue }) => queue)),
      texts(records.map(({ concurrencyKey }) => concurrencyKey))
    ])
    const ledger = restored.flatMap(({ ended, seq }) => ended.map((attempt) => ({ seq, attempt })))
    yield* Effect.forEach(
      inParts(ledger, ({ attempt }) => charactersOf(attempt)),
      insertAttempts,
      { discard: true }
    )
  })

  const insertAttempts = (ledger: ReadonlyArray<{ readonly seq: number; readonly attempt: RestoreAttemptRow }>) =>
    db.run(sql.restoreAttempts, [
      numbers(ledger.map(({ seq }) => seq)),
      numbers(ledger.map(({ attempt }) => attempt.token)),
      numbers(ledger.map(({ attempt }) => attempt.number)),
      texts(ledger.map(({ attempt }) => attempt.owner)),
      times(ledger.map(({ attempt }) => attempt.startedAt)),
      times(ledger.map(({ attempt }) => attempt.endedAt ?? attempt.startedAt)),
      texts(ledger.map(({ attempt }) => attempt.outcome)),
      texts(ledger.map(({ attempt }) => attempt.error)),
      texts(ledger.map(({ attempt }) => attempt.execution)),
      texts(ledger.map(({ attempt }) => attempt.verification)),
      texts(ledger.map(({ attempt }) => attempt.usage))
    ])

  const restore = Effect.fnUntraced(function* (
    records: ReadonlyArray<RestoreRow>
  ): Effect.fn.Return<ReadonlyArray<string>, TaskStoreError> {
    yield* db.run(sql.lock)
    const present = yield* existing(records.map(({ id }) => id))
    if (present.size > 0) return Array.from(present.keys())
    yield* Effect.forEach(
      inParts(records, (record) => {
        const last = record.attemptRows.at(-1)
        return (
          charactersOfInputs(record) + (record.checkpoint?.length ?? 0) + (last === undefined ? 0 : charactersOf(last))
        )
      }),
      insertRecords,
      { discard: true }
    )

    // A task waits for each dependency that is not completed here, whether it is present or not.
    const parents = yield* lockParents(new Set(records.flatMap(({ waitsFor }) => waitsFor)))
    const links = records.flatMap(({ id, waitsFor }) =>
      waitsFor.flatMap((dependency) => (parents.get(dependency)?.isOpen === false ? [] : { task: id, dependency }))
    )
    yield* link(links, parents)
    const waiting = new Set(links.map(({ task }) => task))
    const completed = records.flatMap(({ id, status }) => (status === "completed" ? id : []))
    const freed = yield* db.run<{ readonly queue: string; readonly count: number }>(sql.free, [texts(completed)])

    const counts = makeCounts()
    for (const { count, queue } of freed) counts.of(queue).waiting -= count
    for (const { id, queue, status, usage } of records) {
      const counted = counts.of(queue)
      counted[status]++
      if (usage !== null) counted.usage = UsageSum.add(counted.usage, UsageSum.ofJson(usage))
      if (status === "pending" && waiting.has(id)) counts.of(queue).waiting++
    }
    yield* count(counts.byQueue)
    return []
  })

  return {
    add: (tasks, { checkOnly }) =>
      Effect.catchTag(
        db.transaction(add(tasks, checkOnly)),
        "NothingAdded",
        ({ conflicts, different, existing, unknown }) => Effect.succeed({ conflicts, different, existing, unknown })
      ),
    restore: (records) => db.transaction(restore(records))
  }
}

/** The rows and, a single row aside, the characters of text that one statement writes. */
const mostRows = 1_000
const mostCharacters = 16 * 1024 * 1024

/** Cuts rows into parts that are small enough for one statement. */
const inParts = <A>(rows: ReadonlyArray<A>, charactersOf: (row: A) => number): ReadonlyArray<ReadonlyArray<A>> => {
  const parts: Array<Array<A>> = []
  let part: Array<A> = []
  let characters = 0
  for (const row of rows) {
    const more = charactersOf(row)
    if (part.length === 0 || part.length === mostRows || characters + more > mostCharacters) {
      part = []
      parts.push(part)
      characters = 0
    }
    part.push(row)
    characters += more
  }
  return parts
}

const noCharacters = () => 0

const charactersOfInputs = ({ description, metadata, overrides, payload }: NewTaskRow | RestoreRow): number =>
  description.length + (payload?.length ?? 0) + (overrides?.length ?? 0) + (metadata?.length ?? 0)

const charactersOf = ({ error, execution, verification }: RestoreAttemptRow): number =>
  (error?.length ?? 0) + (execution?.length ?? 0) + (verification?.length ?? 0)
