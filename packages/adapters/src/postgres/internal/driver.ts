import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CountsRow, Notification, Notifications, TaskStoreDriver } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Adding from "./adding.ts"
import * as Administration from "./administration.ts"
import * as Batches from "./batches.ts"
import * as Budgets from "./budgets.ts"
import * as Claiming from "./claiming.ts"
import { type Connected, listen } from "./connection.ts"
import * as Database from "./database.ts"
import { int, text, texts } from "./database.ts"
import * as Errors from "./errors.ts"
import * as Leases from "./leases.ts"
import * as Names from "./names.ts"
import * as Pauses from "./pauses.ts"
import * as Progress from "./progress.ts"
import * as Reading from "./reading.ts"
import * as Reviews from "./reviews.ts"
import * as Settling from "./settling.ts"
import * as Statements from "./statements.ts"
import * as Sweeping from "./sweeping.ts"

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
  const claims = Leases.makeClaims()
  const fence = Leases.fence(db, statements, claims)
  const adding = Adding.make(db, names)
  const { claim } = Claiming.make(db, statements, claims)
  const { settle } = Settling.make(statements, claims, fence)
  const leases = Leases.make(statements, claims, fence)
  const { amend, decide } = Reviews.make(db, statements)
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

  return {
    place: `The store in schema "${place.schemaName}" of database "${place.database}"`,
    limits: { idBytes: longestId },
    concurrencyKeys: true,
    // A claim passes over rows that another one has locked, so an empty claim does not mean an empty store.
    contendedPause: Duration.millis(20),
    ...adding,
    ...leases,
    ...Sweeping.make(db, statements),
    ...Reading.make(db, statements),
    ...Administration.make(db, statements),
    add: (tasks, options) => Effect.tap(adding.add(tasks, options), noteCountChange),
    claim: (request) => Effect.tap(claim(request), (claims) => (claims.length === 0 ? Effect.void : noteCountChange)),
    checkpoint: (checkpoints) =>
      Effect.tap(leases.checkpoint(checkpoints), () =>
        checkpoints.some(({ usage }) => usage !== null) ? noteCountChange : Effect.void
      ),
    settle: (settlements) => Effect.tap(settle(settlements), noteCountChange),
    decide: (decisions) => Effect.tap(decide(decisions), noteCountChange),
    amend,

    counts,

    pauses: Pauses.make(db, statements),

    progress: Progress.make(db, statements),

    budgets: Budgets.make(db, statements, fence),

    batches: Batches.make(db, names),

    notifications: makeNotifications(db, listener, { channel: Names.channel(place.schemaName), deadline, instance })
  }
})

interface CountsOfQueue extends CountsRow {
  readonly hasTasks: boolean
  readonly parts: number
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
