import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskStatus } from "@baton/core/Task"
import type {
  AttemptRow,
  BudgetRow,
  ChangeReply,
  ControlRow,
  CountsRow,
  Notification,
  Notifications,
  OutlookRow,
  Page,
  PauseRow,
  RecordRow,
  SelectionRow,
  SweptRow,
  TaskRow,
  TaskStoreDriver
} from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Admission from "./admission.ts"
import * as Batches from "./batches.ts"
import { type Connected, listen } from "./connection.ts"
import * as Database from "./database.ts"
import { boolean, int, number, numbers, type Parameter, text, texts } from "./database.ts"
import * as Errors from "./errors.ts"
import * as Leases from "./leases.ts"
import * as Names from "./names.ts"
import * as Statements from "./statements.ts"

/** The longest key that PostgreSQL's indexes take is a third of a page. */
const longestId = 2_000

/** After this number of writes that changed counts, the store adds up their rows. */
const foldEvery = 250

/** More rows of counts than this, apart from one of each queue, are worth adding up. */
const mostParts = 200

/** A notification is a hint, and the last one of a process is sent while it ends: it must not hold up the end. */
const publishDeadline = Duration.seconds(1)

const pollInterval = { listening: Duration.seconds(5), disconnected: Duration.millis(1_250) }

export const make = Effect.fnUntraced(function* (
  { listener, place, prepare, sql }: Connected,
  deadline: Duration.Duration
): Effect.fn.Return<TaskStoreDriver, never, Scope.Scope> {
  const names = Names.make(place.schemaName)
  const statements = Statements.make(names)
  const db = Database.make(sql, { place, prepare, deadline })
  const { reserve, ...leases } = Leases.make(db, statements)
  const admission = Admission.make(db, names)
  const instance = yield* Random.nextIntBetween(0, 2 ** 40)

  const foldCounts = Effect.ignore(db.run(statements.foldCounts))
  const foldRequested = Latch.makeUnsafe(false)
  let countChanges = 0
  const noteCountChange = Effect.sync(() => {
    countChanges++
    if (countChanges % foldEvery === 0) foldRequested.openUnsafe()
  })
  // In its own fiber, because a caller's fiber may be in a transaction of the application.
  yield* foldRequested.await.pipe(
    Effect.tap(() => Effect.sync(foldRequested.closeUnsafe)),
    Effect.andThen(foldCounts),
    Effect.forever,
    Effect.forkScoped
  )

  const counts = Effect.flatMap(db.run<CountsOfQueue>(statements.counts), (rows) => {
    const superfluous = rows.reduce((sum, { parts }) => sum + parts - 1, 0)
    return Effect.as(
      superfluous > mostParts ? foldCounts : Effect.void,
      rows.filter(({ hasTasks }) => hasTasks)
    )
  })

  const select = (
    forms: { readonly ids: string; readonly status: { readonly [Status in TaskStatus]: string } },
    selection: SelectionRow,
    from: ReadonlyArray<TaskStatus>,
    more: ReadonlyArray<Parameter> = []
  ): Effect.Effect<ChangeReply, TaskStoreError> => {
    if ("ids" in selection) {
      const parameters = [texts(selection.ids), texts(from), ...more]
      return Effect.map(db.one<ChangeReply>(forms.ids, parameters), (reply) => ({ ...reply, last: null }))
    }
    const { after, limit, queue, status } = selection
    const parameters = [int(after), int(limit), ...more, text(queue)]
    return Effect.map(db.one<ChangeReply>(forms.status[status], parameters), (reply) =>
      reply.ids.length < limit ? { ...reply, last: null } : reply
    )
  }

  const dump = Effect.fnUntraced(function* ({
    after,
    limit
  }: Page): Effect.fn.Return<ReadonlyArray<RecordRow>, TaskStoreError> {
    yield* db.run(statements.snapshot)
    const rows = yield* db.run<TaskOfRecord>(statements.dump, [int(after), int(limit)])
    const seqs = [numbers(rows.map(({ seq }) => seq))]
    const attempts = byTask(yield* db.run<AttemptRow & OfTask>(statements.dumpAttempts, seqs))
    const dependencies = byTask(yield* db.run<{ readonly dependency: string } & OfTask>(statements.dumpWaitsFor, seqs))
    return rows.map((row) =>
      Object.assign(row, {
        waitsFor: (dependencies.get(row.seq) ?? []).map(({ dependency }) => dependency),
        attemptRows: attempts.get(row.seq) ?? []
      })
    )
  })

  return {
    place: `The store in schema "${place.schemaName}" of database "${place.database}"`,
    limits: { idBytes: longestId },
    concurrencyKeys: true,
    // A claim passes over rows that another one has locked, so an empty claim does not mean an empty store.
    contendedPause: Duration.millis(20),
    ...leases,
    ...admission,
    add: (tasks, options) => Effect.tap(admission.add(tasks, options), noteCountChange),
    claim: (request) =>
      Effect.tap(leases.claim(request), (claims) => (claims.length === 0 ? Effect.void : noteCountChange)),
    settle: (settlements) => Effect.tap(leases.settle(settlements), noteCountChange),
    decide: (decisions) => Effect.tap(leases.decide(decisions), noteCountChange),

    amend: ({ before, id, token, verification }) =>
      Effect.map(
        db.one<{ readonly isAmended: boolean }>(statements.amend, [
          text(id),
          number(token),
          text(before),
          text(verification)
        ]),
        ({ isAmended }) => isAmended
      ),

    sweep: ({ failFromAttempts, limit, message, notStarted, queue }) =>
      db.run<SweptRow>(statements.sweep, [
        number(failFromAttempts),
        int(limit),
        text(message.beforeOwner),
        text(message.afterOwner),
        text(queue),
        int(notStarted.attemptsReturned),
        text(notStarted.message.beforeOwner),
        text(notStarted.message.afterOwner)
      ]),

    get: (ids) => db.run<TaskRow>(statements.get, [texts(ids)]),
    list: ({ after, contains, limit, queue, results, status }) => {
      const parameters = [int(after), int(limit), text(queue), boolean(results)]
      return contains === null
        ? db.run<TaskRow>(statements.list[status ?? "all"], parameters)
        : db.run<TaskRow>(statements.search[status ?? "all"], [...parameters, text(contains)])
    },
    attempts: (id) => db.run<AttemptRow>(statements.attempts, [text(id)]),
    counts,

    requeue: (selection, { from }) => select(statements.requeue, selection, from),
    revise: (revisions, { from }) =>
      Effect.map(
        db.one<ChangeReply>(statements.revise, [
          texts(revisions.map(({ id }) => id)),
          numbers(revisions.map(({ token }) => token)),
          texts(revisions.map(({ feedback }) => feedback)),
          texts(revisions.map(({ work }) => work?.description ?? null)),
          texts(revisions.map(({ work }) => work?.payload ?? null)),
          texts(revisions.map(({ work }) => work?.overrides ?? null)),
          numbers(revisions.map(({ work }) => work?.maxAttempts ?? null)),
          texts(revisions.map(({ work }) => work?.metadata ?? null)),
          texts(from)
        ]),
        ({ ids }) => ids
      ),
    failWaiting: (ids, { feedback, from }) =>
      Effect.map(
        db.one<ChangeReply>(statements.failWaiting, [texts(ids), texts(from), text(feedback)]),
        (reply) => reply.ids
      ),
    cancel: (selection, { from, reason }) => select(statements.cancel, selection, from, [text(reason)]),
    prune: (selection, { from, unchangedMillis }) =>
      select(statements.prune, selection, from, [number(unchangedMillis)]),

    outlook: (queue, maxPerKey) => db.one<OutlookRow>(statements.outlook, [text(queue), int(maxPerKey)]),
    control: db.one<ControlRow>(statements.control),
    request: (request) => db.one<ControlRow>(statements.request[request]),

    dump: (page) => db.transaction(dump(page)),

    pauses: {
      list: db.run<PauseRow>(statements.pauses),
      set: ({ cause, queue, reason, until }) =>
        db.one<PauseRow>(statements.setPause, [text(queue), text(cause), number(until), text(reason)]),
      remove: (queue, revision) =>
        Effect.map(
          db.one<{ readonly removed: boolean }>(statements.removePause, [text(queue), number(revision)]),
          ({ removed }) => removed
        )
    },

    progress: {
      save: (rows) =>
        Effect.asVoid(
          db.run(statements.saveProgress, [
            texts(rows.map(({ id }) => id)),
            numbers(rows.map(({ token }) => token)),
            texts(rows.map((row) => row.text))
          ])
        ),
      read: (id) =>
        Effect.map(db.run<{ readonly report: string }>(statements.progress, [text(id)]), ([row]) => row?.report ?? null)
    },

    texts: {
      read: (name) =>
        Effect.map(db.run<{ readonly text: string }>(statements.text, [text(name)]), ([row]) => row?.text ?? null),
      write: (change) =>
        Effect.map(
          db.run(statements.saveText, [
            text(change.name),
            text(change.text),
            text(change.before),
            boolean(change.isControl)
          ]),
          (rows) => rows.length > 0
        )
    },

    budgets: {
      reserve,
      list: db.run<BudgetRow>(statements.budgets),
      set: (queue, { committed, limitNanoUsd, limitTokens }) =>
        db.one<BudgetRow>(statements.setBudget, [
          text(queue),
          boolean(limitNanoUsd !== undefined),
          number(limitNanoUsd ?? null),
          boolean(limitTokens !== undefined),
          number(limitTokens ?? null),
          boolean(committed !== undefined),
          number(committed?.nanoUsd ?? 0),
          number(committed?.tokens ?? 0)
        ])
    },

    batches: Batches.make(db, names),

    notifications: makeNotifications(db, listener, { channel: Names.channel(place.schemaName), deadline, instance })
  }
})

interface CountsOfQueue extends CountsRow {
  readonly hasTasks: boolean
  readonly parts: number
}

interface OfTask {
  readonly task: number
}

interface TaskOfRecord extends Omit<RecordRow, "attemptRows" | "waitsFor"> {
  readonly seq: number
}

const byTask = <A extends OfTask>(rows: ReadonlyArray<A>): ReadonlyMap<number, ReadonlyArray<A>> => {
  const byTask = new Map<number, Array<A>>()
  for (const row of rows) {
    const others = byTask.get(row.task)
    if (others === undefined) byTask.set(row.task, [row])
    else others.push(row)
  }
  return byTask
}

const notify = "SELECT pg_notify($1, kind || ':' || $2) FROM unnest($3::text[]) AS x (kind)"

/** Notifications between stores on the same schema. A payload is the kind of change and the store that sent it. */
const makeNotifications = (
  db: Database.Database,
  listener: PgConnection.Config | undefined,
  options: { readonly channel: string; readonly deadline: Duration.Duration; readonly instance: number }
): Notifications => {
  const { channel, deadline, instance } = options

  const read = (payload: string): ReadonlyArray<Notification> => {
    const [kind, sender] = payload.split(":")
    return sender !== String(instance) && (kind === "work" || kind === "control" || kind === "settled")
      ? [{ kind }]
      : []
  }

  const changes = (config: PgConnection.Config): Stream.Stream<Notification, TaskStoreError> =>
    Stream.unwrap(
      Effect.map(listen(config, channel, deadline), (queue) =>
        Stream.concat(
          Stream.succeed<Notification>({ kind: "listening" }),
          Stream.flattenIterable(Stream.map(Stream.fromQueue(queue), ({ payload }) => read(payload)))
        )
      )
    ).pipe(Stream.mapError((error) => Errors.fromDriver(db.place, error)))

  return {
    changes: listener === undefined ? Stream.never : changes(listener),
    // Not in the transaction of the write: transactions that notify commit one after the other.
    publish: (kinds) => db.run(notify, [text(channel), int(instance), texts(kinds)], publishDeadline),
    pollInterval
  }
}
