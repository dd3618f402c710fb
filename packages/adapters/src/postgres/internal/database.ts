import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { SqlError } from "effect/sql/SqlError"
import * as Schema from "effect/Schema"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import type { Parameter } from "./parameters.ts"
import { type Row, UnreadableRow } from "./rows.ts"

/** Runs the statements of one store: with a deadline, again after a conflict, and with errors made for people. */
export interface Database {
  readonly place: Errors.Place

  /** Runs one statement, in a transaction of its own unless one is under way. `read` may throw `UnreadableRow`. */
  readonly run: <A>(
    statement: string,
    parameters: ReadonlyArray<Parameter>,
    read: (rows: ReadonlyArray<Row>) => A
  ) => Effect.Effect<A, TaskStoreError>

  /** Reads what rows hold; `read` may throw `UnreadableRow`. */
  readonly decode: <A>(read: () => A) => Effect.Effect<A, TaskStoreError>

  /** Runs `body` in a transaction: all or nothing. It may run more than once. */
  readonly transaction: <A, E>(body: Effect.Effect<A, E>) => Effect.Effect<A, E | TaskStoreError>
}

export interface Options {
  readonly place: Errors.Place
  /** After this long without an answer a statement has failed. */
  readonly deadline: Duration.Duration
  /** Whether each connection keeps the plans of statements. */
  readonly prepare: boolean
}

/** Locks are held for milliseconds. */
const afterConflict = Schedule.max([
  Schedule.jittered(Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")])),
  Schedule.recurs(10)
])

/** Transactions are few and short, and not measured by their statements: what hangs is cut off, what is slow is not. */
const transactionDeadline = 12

export const make = (sql: PgClient.PgClient, options: Options): Database => {
  const { place, prepare } = options
  const deadline = Duration.toMillis(options.deadline)

  /**
   * Works in a fiber of its own, so that it ends at its deadline even where the caller must not be interrupted: a half-open
   * connection never answers. The driver then has to give the connection up, which takes it a while that nobody waits for.
   */
  const within = <A, E>(millis: number, work: Effect.Effect<A, E>): Effect.Effect<A, E | Errors.NoAnswer> =>
    Effect.flatMap(Effect.forkDetach(work, { startImmediately: true }), (fiber) =>
      Effect.onExit(
        Effect.raceFirst(
          Fiber.join(fiber),
          Effect.andThen(Effect.sleep(millis), Effect.fail(new Errors.NoAnswer({ millis })))
        ),
        () => Effect.sync(() => fiber.interruptUnsafe())
      )
    )

  /** A standby goes on answering on the connections that are open to it, wherever the primary is by now. */
  const leaveStandby = (error: SqlError): Effect.Effect<void> =>
    Errors.codeOf(error) === Errors.code.readOnly
      ? Effect.ignore(within(deadline, sql.unsafe("SELECT pg_terminate_backend(pg_backend_pid())")))
      : Effect.void

  const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)

  const again = { schedule: afterConflict, while: isConflict }

  return {
    place,

    run: (statement, parameters, read) => {
      const query = sql.unsafe<Row>(statement, parameters)
      const once = within(deadline, prepare ? query : query.unprepared)
      // A conflict ends the transaction that it happens in: then it is the transaction that has to start again.
      return Effect.flatMap(inTransaction, (inner) => (inner ? once : Effect.retry(once, again))).pipe(
        Effect.tapErrorTag("SqlError", leaveStandby),
        Effect.flatMap((rows) => decode(() => read(rows))),
        Effect.mapError((error) => Errors.fromDriver(place, error))
      )
    },

    decode: (read) => Effect.mapError(decode(read), (error) => Errors.fromDriver(place, error)),

    transaction: (body) =>
      within(deadline * transactionDeadline, sql.withTransaction(body)).pipe(
        Effect.retry(again),
        Effect.mapError((error) =>
          error instanceof SqlError || error instanceof Errors.NoAnswer ? Errors.fromDriver(place, error) : error
        )
      )
  }
}

const isConflict = (error: unknown): boolean =>
  error instanceof SqlError ? Errors.isConflict(error) : error instanceof TaskStoreError && isConflict(error.cause)

const decode = <A>(read: () => A): Effect.Effect<A, UnreadableRow> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(read())
    } catch (cause) {
      if (cause instanceof UnreadableRow) return Effect.fail(cause)
      return Schema.isSchemaError(cause)
        ? Effect.fail(new UnreadableRow({ message: cause.message }))
        : Effect.die(cause)
    }
  })
