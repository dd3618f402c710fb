import type * as PgClient from "@effect/sql-pg/PgClient"
import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { SqlError } from "effect/sql/SqlError"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"

/**
 * A parameter of a statement. Each has an explicit type: if the driver guessed, it would prepare a statement once for small
 * and once for large numbers, and could not send an array that holds only nulls.
 */
export type Parameter = PgTypes.Parameter

const array =
  (elementOid: number) =>
  (values: ReadonlyArray<unknown>): Parameter =>
    // Fails only for a type that the driver does not know.
    Result.getOrThrow(PgTypes.array(values, elementOid))

export const text = PgTypes.text
export const int = (value: number): Parameter => PgTypes.int8(BigInt(value))
export const number = PgTypes.float8
export const boolean = PgTypes.bool

export const texts: (values: ReadonlyArray<string | null>) => Parameter = array(PgTypes.OID.text)
export const numbers: (values: ReadonlyArray<number | null>) => Parameter = array(PgTypes.OID.float8)
export const booleans: (values: ReadonlyArray<boolean>) => Parameter = array(PgTypes.OID.bool)

/** The values of a column of `rowsOf`, one for each row: a value that all rows have is sent once, and a null not at all. */
const column =
  <A>(array: (values: ReadonlyArray<A>) => Parameter) =>
  (values: ReadonlyArray<A>): Parameter => {
    const [first] = values
    if (first === undefined || values.some((value) => value !== first)) return array(values)
    return array(first === null ? [] : [first])
  }

export const textColumn = column(texts)
export const numberColumn = column(numbers)
export const booleanColumn = column(booleans)

/** Epoch milliseconds, or an infinity. */
export const times: (values: ReadonlyArray<number>) => Parameter = array(PgTypes.OID.timestamptz)

/** Runs the statements of one store: with a deadline, again after a conflict, and with errors written for people. */
export interface Database {
  readonly place: Errors.Place

  /** Runs one statement, in its own transaction unless one is open. */
  readonly run: <A extends object>(
    statement: string,
    parameters?: ReadonlyArray<Parameter>,
    deadline?: Duration.Duration
  ) => Effect.Effect<ReadonlyArray<A>, TaskStoreError>

  /** Runs a statement that returns exactly one row. */
  readonly one: <A extends object>(
    statement: string,
    parameters?: ReadonlyArray<Parameter>
  ) => Effect.Effect<A, TaskStoreError>

  /** Runs `body` in a transaction: all or nothing. It may run more than once. */
  readonly transaction: <A, E>(body: Effect.Effect<A, E>) => Effect.Effect<A, E | TaskStoreError>
}

export interface Options {
  readonly place: Errors.Place
  /** A statement without an answer fails after this time. */
  readonly deadline: Duration.Duration
  /** Whether each connection keeps the plans of statements. */
  readonly prepare: boolean
}

/** Locks are held for milliseconds. */
const afterConflict = Schedule.max([
  Schedule.jittered(Schedule.min([Schedule.exponential("5 millis"), Schedule.spaced("200 millis")])),
  Schedule.recurs(10)
])

const isConflict = (error: unknown): boolean =>
  error instanceof SqlError ? Errors.isConflict(error) : error instanceof TaskStoreError && isConflict(error.cause)

/** Repeats work that failed because another transaction was in the way. */
export const again = { schedule: afterConflict, while: isConflict }

/** A transaction's deadline as a multiple of a statement's: it is there for a connection that hangs, not for a slow one. */
const transactionDeadline = 12

/**
 * Runs `work` in its own fiber, so that it ends at its deadline even in an uninterruptible region: a half-open connection
 * never answers. Giving up the connection takes the driver a while, which the caller does not wait for.
 */
export const within = <A, E, R>(
  deadline: Duration.Duration,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Errors.NoAnswer, R> =>
  Effect.flatMap(Effect.forkDetach(work, { startImmediately: true }), (fiber) =>
    Effect.onExit(
      Effect.raceFirst(
        Fiber.join(fiber),
        // Made only then: an error with its stack costs as much as a statement.
        Effect.flatMap(Effect.sleep(deadline), () =>
          Effect.fail(new Errors.NoAnswer({ millis: Duration.toMillis(deadline) }))
        )
      ),
      () => Effect.sync(() => fiber.interruptUnsafe())
    )
  )

export const make = (sql: PgClient.PgClient, options: Options): Database => {
  const { place, prepare } = options

  /** A server that became a standby keeps answering on open connections: ends this one, so that the next finds the primary. */
  const leaveStandby = (error: SqlError): Effect.Effect<void> =>
    Errors.codeOf(error) === Errors.code.readOnly
      ? Effect.ignore(within(options.deadline, sql.unsafe("SELECT pg_terminate_backend(pg_backend_pid())")))
      : Effect.void

  const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)

  const run: Database["run"] = <A extends object>(
    statement: string,
    parameters: ReadonlyArray<Parameter> = [],
    deadline = options.deadline
  ) => {
    const query = sql.unsafe<A>(statement, parameters)
    const once = within(deadline, prepare ? query : query.unprepared)
    // A conflict ends the transaction in which it happens: then the transaction has to be repeated.
    return Effect.flatMap(inTransaction, (inner) => (inner ? once : Effect.retry(once, again))).pipe(
      Effect.tapErrorTag("SqlError", leaveStandby),
      Effect.mapError((error) => Errors.fromDriver(place, error))
    )
  }

  return {
    place,
    run,
    one: <A extends object>(statement: string, parameters?: ReadonlyArray<Parameter>) =>
      Effect.flatMap(run<A>(statement, parameters), ([row]) =>
        row === undefined
          ? Effect.fail(Errors.unusable(Errors.damaged(place, "a row is missing")))
          : Effect.succeed(row)
      ),
    transaction: (body) =>
      within(Duration.times(options.deadline, transactionDeadline), sql.withTransaction(body)).pipe(
        Effect.retry(again),
        Effect.mapError((error) =>
          error instanceof SqlError || error instanceof Errors.NoAnswer ? Errors.fromDriver(place, error) : error
        )
      )
  }
}
