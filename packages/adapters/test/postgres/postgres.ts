import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Execution, Task, TaskStore, type TaskStoreError } from "@baton/core"
import { Context, Duration, Effect, Layer, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { postgresUrl } from "../servers/provided.ts"

/** The URL of the shared server. Without one, its tests are skipped. */
export const sharedUrl = postgresUrl

export const isMissing = sharedUrl === null

export const url = sharedUrl ?? "postgres://user@127.0.0.1:1/missing"

/** A client for the test itself, to inspect the tables and to interfere. */
export const client = (to = url) =>
  Effect.map(
    Layer.build(Layer.fresh(PgClient.layer({ url: Redacted.make(to), applicationName: "baton-test" }))),
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

/** Opens a store with its own connections. */
export const open = (options: Omit<PostgresTaskStore.Options, "url"> & { readonly url?: string }) =>
  Effect.map(Layer.build(Layer.fresh(PostgresTaskStore.layer({ url, ...options }))), (context) =>
    Context.get(context, TaskStore.TaskStore)
  )

/** An empty store, which is dropped after the test. */
export const layer = (options?: Omit<PostgresTaskStore.Options, "url">) =>
  Layer.unwrap(Effect.map(schema(), (name) => PostgresTaskStore.layer({ url, ...options, schema: name })))

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
  verification: null,
  verified: false,
  attemptUsage: null,
  usage: null
})

const failure = ({ task, token }: TaskStore.Claim) => ({
  taskId: task.id,
  token,
  execution: null,
  verification: null,
  attemptUsage: null,
  usage: null,
  feedback: "not good enough",
  checkpoint: null
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
  reason: "shutting down",
  attemptUsage: null,
  usage: null
})

export const patient: TaskStore.SweepOptions = { maxAttempts: 1_000, onCrash: "retry" }

/** Repeats the operation until the store answers, as a run does. */
export const untilAnswered = <A>(operation: Effect.Effect<A, TaskStoreError>) =>
  Effect.retry(operation, { while: ({ reason }) => reason === "Unavailable" })
