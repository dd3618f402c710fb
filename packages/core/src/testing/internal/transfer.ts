import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TaskRecord from "../../TaskRecord.ts"
import type { TaskStore } from "../../TaskStore.ts"
import type { Fixture } from "./fixture.ts"

type Store = TaskStore["Service"]

/** See `plainTask`. */
export const plainRecord = Schema.encodeSync(TaskRecord.TaskRecord)

/** A record without the end of its lease, which does not come along. */
const lasting = (record: TaskRecord.TaskRecord) => {
  const { leaseUntil, ...rest } = plainRecord(record)
  return { ...rest, isLeased: leaseUntil !== null }
}

/** All records as plain data. */
export const contents = (store: Store) => Effect.map(dumpAll(store), (records) => records.map(lasting))

/** All records, a page at a time. */
export const dumpAll = Effect.fnUntraced(function* (store: Store, limit?: number) {
  const records: Array<TaskRecord.TaskRecord> = []
  let cursor: string | undefined
  do {
    const page = yield* store.dump({ limit, cursor })
    assert.ok(limit === undefined || page.records.length <= limit, "a page is no longer than its limit")
    records.push(...page.records)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return records
})

/** Moves everything into a new store, and compares the two. */
export const transfer = Effect.fnUntraced(function* (
  fixture: Fixture,
  arrange: (records: ReadonlyArray<TaskRecord.TaskRecord>) => ReadonlyArray<TaskRecord.TaskRecord> = (records) =>
    records
): Effect.fn.Return<Fixture, unknown, Scope.Scope> {
  const store = yield* fixture.another
  const records = arrange(yield* dumpAll(fixture.store))
  yield* store.restore(records)
  const byId = (left: { readonly task: { readonly id: string } }, right: typeof left) =>
    left.task.id < right.task.id ? -1 : 1
  assert.deepEqual((yield* contents(store)).sort(byId), (yield* contents(fixture.store)).sort(byId))
  assert.deepEqual({ ...(yield* store.counts) }, { ...(yield* fixture.store.counts) })
  return { ...fixture, store }
})
