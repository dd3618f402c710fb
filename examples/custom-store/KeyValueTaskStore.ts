/**
 * A task store of one's own: it keeps a list under one key of Effect's `KeyValueStore`, so in memory, in a folder, in a
 * browser's storage, or wherever else there is a layer for it. For one process at a time, as the keys know no locks.
 *
 * `PersistedTaskStore` does all that a store has to do; what is left is to read the list once, and to write it.
 */
import { PersistedTaskStore, type Task, TaskRecord, TaskStore, TaskStoreError } from "@baton/core"
import { Effect, Layer, Schema } from "effect"
import { KeyValueStore } from "effect/persistence"

const key = "baton-tasks"

const Stored = Schema.fromJsonString(
  Schema.Struct({ paused: Schema.Boolean, records: Schema.Array(TaskRecord.TaskRecord) })
)

const make = Effect.gen(function* () {
  const keys = yield* KeyValueStore.KeyValueStore
  const text = yield* Effect.mapError(keys.get(key), unavailable)
  const stored = text === undefined ? { paused: false, records: [] } : yield* decode(text)
  const byId = new Map<Task.TaskId, TaskRecord.TaskRecord>(stored.records.map((record) => [record.task.id, record]))
  return yield* PersistedTaskStore.make({
    ...stored,
    write: ({ paused, removed, written }) =>
      Effect.gen(function* () {
        const next = new Map(byId)
        for (const id of removed) next.delete(id)
        for (const record of written) next.set(record.task.id, record)
        const text = yield* Effect.orDie(Schema.encodeEffect(Stored)({ paused, records: Array.from(next.values()) }))
        yield* Effect.mapError(keys.set(key, text), unavailable)
        // Only what was written counts: an operation whose write failed has changed nothing.
        for (const id of removed) byId.delete(id)
        for (const record of written) byId.set(record.task.id, record)
      })
  })
})

const unavailable = (cause: unknown) =>
  new TaskStoreError({ reason: "Unavailable", message: "The key-value store did not answer.", cause })

const decode = (text: string) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Stored)(text),
    (cause) => new TaskStoreError({ reason: "Unusable", message: `What "${key}" holds is no list of tasks.`, cause })
  )

export const layer = Layer.effect(TaskStore.TaskStore, make)
