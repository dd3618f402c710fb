import * as Effect from "effect/Effect"
import type { DumpQuery, FencedReply, Lease, LostLease, Selection } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import * as Replies from "./replies.ts"
import * as Rows from "./rows.ts"
import * as Texts from "./texts.ts"

/** As many tasks as one script looks at where a call can mean any number: others get their turn in between. */
export const chunkSize = 1000

const chunks = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / chunkSize) }, (_, index) =>
    all.slice(index * chunkSize, (index + 1) * chunkSize)
  )

/** Does `write` for all leases, a chunk at a time, and gathers those that are lost from pairs of index and status. */
export const fenced = Effect.fnUntraced(function* <A extends Lease>(
  leases: ReadonlyArray<A>,
  write: (chunk: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<Replies.Reply>, TaskStoreError>
): Effect.fn.Return<FencedReply, TaskStoreError> {
  const lost: Array<LostLease> = []
  for (const chunk of chunks(leases)) {
    const replies = yield* write(chunk)
    for (const [at, status] of Replies.grouped(replies, 2)) {
      const lease = chunk[Replies.number(at)]
      if (lease !== undefined) {
        lost.push({ taskId: lease.taskId, token: lease.token, status: Rows.lostStatus(status) })
      }
    }
  }
  return { lost }
})

/** Does `act` for the selected tasks, a chunk at a time; it returns where the next chunk starts, or nothing. */
export const selected = Effect.fnUntraced(function* <A>(
  selection: Selection,
  act: (
    selected: ReadonlyArray<string>
  ) => Effect.Effect<{ readonly next: string; readonly done: ReadonlyArray<A> }, TaskStoreError>
): Effect.fn.Return<ReadonlyArray<A>, TaskStoreError> {
  const results: Array<A> = []
  if ("ids" in selection) {
    for (const ids of chunks(Array.from(new Set(selection.ids)))) {
      const { done } = yield* act(["ids", ...ids.map(Texts.key)])
      for (const result of done) results.push(result)
    }
    return results
  }
  let after = "0"
  while (after !== "") {
    const { done, next } = yield* act(["status", selection.status, after, String(chunkSize)])
    for (const result of done) results.push(result)
    after = next
  }
  return results
})

const defaultPageSize = 100

/** The cursor is the `seq` of the last task of the page before, so tasks that come or go move nothing. */
export const page = Effect.fnUntraced(function* <A extends { readonly seq: number }>(
  { cursor = "0", limit = defaultPageSize }: DumpQuery,
  read: (after: string, limit: string) => Effect.Effect<ReadonlyArray<A>, TaskStoreError>
): Effect.fn.Return<{ readonly items: ReadonlyArray<A>; readonly next: string | null }, TaskStoreError> {
  if (!/^\d{1,15}$/.test(cursor)) {
    return yield* Errors.unusable("This cursor is not one of this store's: list without one.")
  }
  // One more than asked for tells whether there is a next page.
  const wanted = Math.max(1, limit) + 1
  const found: Array<A> = []
  let after = cursor
  while (found.length < wanted) {
    const size = Math.min(wanted - found.length, chunkSize)
    const part = yield* read(after, String(size))
    for (const item of part) found.push(item)
    if (part.length < size) break
    after = String(found.at(-1)?.seq)
  }
  const items = found.slice(0, wanted - 1)
  const last = found.length === wanted ? items.at(-1) : undefined
  return { items, next: last === undefined ? null : String(last.seq) }
})
