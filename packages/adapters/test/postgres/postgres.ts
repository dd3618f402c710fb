import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Execution, Task, TaskStore, type TasksRefused, type TaskStoreError } from "@baton/core"
import { Clock, Context, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import * as ReusedPlaces from "../reusedPlaces.ts"
import { postgresUrl } from "../servers/provided.ts"
import * as Sessions from "./sessions.ts"

/** The URL of the shared server. Without one, its tests are skipped. */
export const sharedUrl = postgresUrl

export const isMissing = sharedUrl === null

export const url = sharedUrl ?? "postgres://user@127.0.0.1:1/missing"

/** A busy machine can take longer than the ten seconds of a store, and the five in which the driver connects. */
export const statementTimeout = Duration.minutes(2)

const connectingSlowly = (to: string): string => {
  const slowly = new URL(to)
  slowly.searchParams.set("connect_timeout", String(Duration.toSeconds(statementTimeout)))
  return slowly.href
}

/** A client for the test itself, to inspect the tables and to interfere. */
export const client = (to = url) =>
  Effect.map(
    Layer.build(
      Layer.fresh(
        PgClient.layer({ url: Redacted.make(to), applicationName: "baton-test", connectTimeout: statementTimeout })
      )
    ),
    (context) => Context.get(context, PgClient.PgClient)
  )

/** The name of a new schema, which is dropped after the test. */
export const schema = Effect.fnUntraced(function* (at = url) {
  const name = `baton_test_${randomUUID().replaceAll("-", "")}`
  const sql = yield* client(at)
  return yield* Effect.acquireRelease(Effect.succeed(name), () =>
    Effect.ignore(sql.unsafe(`DROP SCHEMA IF EXISTS "${name}" CASCADE`), { log: true })
  )
})

/** A schema, and the URL by which to open stores in it, with the name of the schema as `applicationName`. */
export interface Place {
  readonly url: string
  readonly schema: string
}

/** Schemas of the current version that are used again, with their sessions. */
export const reusedSchemas = (): Effect.Effect<Place, unknown, Scope.Scope> =>
  ReusedPlaces.make(
    Effect.gen(function* () {
      const name = yield* schema()
      const sessions = yield* Sessions.make(url)
      yield* Effect.scoped(open({ schema: name }))
      const empty = Effect.andThen(sessions.settled(name), yield* emptying(yield* client(), name))
      return { place: { url: sessions.url, schema: name }, empty }
    })
  )

/** Gives all tables the rows that they have now. */
const emptying = Effect.fnUntraced(function* (sql: PgClient.PgClient, name: string) {
  const tables = yield* sql.unsafe<{ readonly name: string }>(
    "SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'",
    [name]
  )
  const statements = yield* Effect.forEach(tables, (table) => {
    const quoted = `"${name}"."${table.name}"`
    return Effect.map(
      sql.unsafe<{ readonly rows: string | null }>(`SELECT json_agg(t)::text AS rows FROM ${quoted} AS t`),
      ([found]) => [
        `DELETE FROM ${quoted}`,
        ...(found?.rows == null
          ? []
          : [`INSERT INTO ${quoted} SELECT * FROM json_populate_recordset(NULL::${quoted}, $rows$${found.rows}$rows$)`])
      ]
    )
  })
  return Effect.andThen(
    // A statement of which a case did not await the end would fill the schema again.
    sql.unsafe(
      "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'",
      [name]
    ),
    sql.unsafe(`DO $empty$ BEGIN ${statements.flat().join("; ")}; END $empty$`).unprepared
  )
})

type StoreOptions = Omit<PostgresTaskStore.Options, "url"> & { readonly url?: string }

const storeLayer = (options: StoreOptions) =>
  PostgresTaskStore.layer({ statementTimeout, ...options, url: connectingSlowly(options.url ?? url) })

/** Opens a store with its own connections. */
export const open = (options: StoreOptions) =>
  Effect.map(Layer.build(Layer.fresh(storeLayer(options))), (context) => Context.get(context, TaskStore.TaskStore))

/** Polls are further apart. */
const longestShortSleep = Duration.seconds(1)

/** Opens a store that never polls: its long sleeps do not end, so only a notification wakes a fiber that waits. */
export const openWithoutPolls = (options: Parameters<typeof open>[0]) =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.provideService(open(options), Clock.Clock, {
      currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
      currentTimeMillis: clock.currentTimeMillis,
      currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
      currentTimeNanos: clock.currentTimeNanos,
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => (Duration.isGreaterThan(duration, longestShortSleep) ? Effect.never : clock.sleep(duration))
    })
  )

/** An empty store, which is dropped after the test. */
export const layer = (options?: Omit<PostgresTaskStore.Options, "url">) =>
  Layer.unwrap(Effect.map(schema(), (name) => storeLayer({ ...options, schema: name })))

export type Store = TaskStore.TaskStore["Service"]

export const id = (name: string): Task.TaskId => Task.TaskId.make(name)

export const names = (count: number, name = "task"): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`)

export const add = (store: Store, ids: ReadonlyArray<string>, options?: Pick<Task.NewTask, "priority">) =>
  store.add(ids.map((id) => Task.makeNew({ id, description: `Do ${id}.`, ...options })))

export const claim = (store: Store, options?: Partial<TaskStore.ClaimOptions>) =>
  store.claim({ limit: 1_000, owner: "worker", lease: Duration.hours(1), ...options })

export const complete = ({ task, token }: TaskStore.Claim, output = "done"): TaskStore.Settlement => ({
  _tag: "Complete",
  taskId: task.id,
  token,
  execution: Execution.make({ output }),
  verified: false
})

const failure = ({ task, token }: TaskStore.Claim) => ({
  taskId: task.id,
  token,
  feedback: "not good enough"
})

export const fail = (claimed: TaskStore.Claim): TaskStore.Settlement => ({ ...failure(claimed), _tag: "Fail" })

export const retry = (claimed: TaskStore.Claim): TaskStore.Settlement => ({
  ...failure(claimed),
  _tag: "Retry",
  delay: Duration.zero
})

export const release = ({ task, token }: TaskStore.Claim): TaskStore.Settlement => ({
  _tag: "Release",
  taskId: task.id,
  token,
  reason: "shutting down"
})

export const patient: TaskStore.SweepOptions = { maxAttempts: 1_000, onCrash: "retry" }

/** Repeats the operation until the store answers, as a run does. */
export const untilAnswered = <A, E extends TaskStoreError | TasksRefused, R>(operation: Effect.Effect<A, E, R>) =>
  Effect.retry(operation, { while: (error) => error._tag === "TaskStoreError" && error.reason === "Unavailable" })
