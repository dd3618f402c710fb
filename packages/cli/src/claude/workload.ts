/**
 * What a run would have to do: the tasks of its sources and those that wait in its store. Nothing is written.
 *
 * @since 0.1.0
 */
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { FingerprintTable } from "../sources/FingerprintTable.ts"
import { parseTemplate, readEntries, type ReadOptions } from "../sources/readTasks.ts"
import * as Source from "../sources/Source.ts"
import type * as SourceError from "../sources/SourceError.ts"
import { fingerprint } from "../sources/stableId.ts"
import { validateSources } from "../sources/validateSources.ts"
import { pages } from "../system/pages.ts"

/**
 * The work.
 *
 * @category models
 * @since 0.1.0
 */
export interface Workload {
  /** Tasks of the sources that the store does not have. */
  readonly added: number
  /** Those that it has, or that are repeated in the sources. */
  readonly existing: number
  /** Those that are over already, as their source says. */
  readonly skipped: number
  /** Tasks that the store has and that are not over. */
  readonly pending: number
  /** How long each description is that is to be worked on, in bytes. */
  readonly lengths: ReadonlyArray<number>
  /** The first descriptions, as they are sent. */
  readonly first: ReadonlyArray<string>
  /** Descriptions from the whole length of the list. */
  readonly sample: ReadonlyArray<string>
}

const firstShown = 3
const sampled = 20

/** Stores answer these from an index. */
const lookUps = { concurrency: 16 }

/**
 * Reads sources and store. Fails with what an import would fail with.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (
  sources: ReadonlyArray<string>,
  options: ReadOptions
): Effect.fn.Return<
  Workload,
  SourceError.SourceError | TaskStoreError,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope
> {
  const store = yield* TaskStore
  const work = new Collected()
  let pending = 0
  for (const status of ["pending", "in_progress"] as const) {
    yield* Stream.runForEach(pages({ status }), ({ description }) =>
      Effect.sync(() => {
        pending++
        work.add(description)
      })
    )
  }

  const template = yield* parseTemplate(options.template)
  const opened = yield* Effect.forEach(Arr.dedupe(sources), (source) => Source.open(source, options.format))
  yield* validateSources(opened, template)
  const seen = new FingerprintTable()
  let existing = 0
  let skipped = 0
  let added = 0
  for (const source of opened) {
    yield* Stream.runForEachArray(
      readEntries(source, template),
      Effect.fnUntraced(function* (entries) {
        const tasks = entries.flatMap((entry) => {
          if (entry._tag === "Finished") skipped++
          return entry._tag === "Task" ? [entry.task] : []
        })
        const isThere = yield* Effect.forEach(tasks, ({ id }) => Effect.map(store.get(id), Option.isSome), lookUps)
        for (const [index, { description, id }] of tasks.entries()) {
          const key = fingerprint(id)
          if (isThere[index] === true || seen.get(key) !== 0) existing++
          else {
            added++
            seen.set(key, 1)
            work.add(description)
          }
        }
      })
    )
  }
  return { added, existing, skipped, pending, lengths: work.lengths, first: work.first, sample: work.sample }
}, Effect.scoped)

const encoder = new TextEncoder()

/** Keeps of every description how long it is, and of some what they say. */
class Collected {
  readonly lengths: Array<number> = []
  readonly first: Array<string> = []
  readonly sample: Array<string> = []
  /** One in so many is sampled; it doubles as often as the sample is full, so that it comes from the whole list. */
  private step = 1

  add(description: string): void {
    if (this.first.length < firstShown) this.first.push(description)
    if (this.lengths.length % this.step === 0) this.sample.push(description)
    this.lengths.push(encoder.encode(description).length)
    if (this.sample.length < 2 * sampled) return
    this.step *= 2
    const half = this.sample.filter((_, index) => index % 2 === 0)
    this.sample.splice(0, this.sample.length, ...half)
  }
}
