/** What `baton plan` does: all that `baton run` would do first, and then sums in place of work. */
import { ClaudeClient } from "@baton/adapters/claude"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Arr from "effect/Array"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { RunFlags } from "../settings/flags.ts"
import type { SourceOptions } from "../settings/options.ts"
import { FingerprintTable, fingerprint } from "../sources/ids.ts"
import { parseTemplate, readEntries, type ReadOptions } from "../sources/readTasks.ts"
import * as Source from "../sources/Source.ts"
import type * as SourceError from "../sources/SourceError.ts"
import { validateSources } from "../sources/validateSources.ts"
import { pages } from "../system/pages.ts"
import * as account from "./account.ts"
import * as preflight from "./preflight.ts"
import * as options from "./options.ts"
import * as Estimate from "./estimate.ts"
import * as Requests from "./requests.ts"

/** The object that `baton plan --json` prints. */
export const PlanReport = Schema.Struct({
  tasks: Schema.Struct({
    /** In the sources and not in the store. */
    new: Schema.Int,
    /** In the sources, and in the store already or repeated. */
    existing: Schema.Int,
    /** Over already, as their source says. */
    skipped: Schema.Int,
    /** In the store, and not over. */
    pending: Schema.Int,
    /** What a run would work on: `new` and `pending`. */
    total: Schema.Int
  }),
  /** The first prompts, as they would be sent. */
  prompts: Schema.Array(Schema.String),
  /** Null where nothing is known of costs, because it is not Claude's API that does the work. */
  estimate: Schema.NullOr(
    Schema.Struct({
      parts: Schema.Array(Estimate.PartEstimate),
      /** In USD; null where a price is unknown. */
      costUsd: Schema.NullOr(Estimate.Range),
      batchCostUsd: Schema.NullOr(Estimate.Range),
      maxAttempts: Schema.Int,
      /** How the tokens of prompts are known. */
      inputBasis: Requests.Basis,
      /** From how many completed tasks the length of answers is known; 0 where it is assumed. */
      completedTasks: Schema.Int,
      /** What the expected costs count on. */
      answerTokens: Schema.Int
    })
  ),
  /** What `--max-cost` holds a run to. */
  maxCostUsd: Schema.NullOr(Schema.Finite)
})

export interface PlanReport extends Schema.Schema.Type<typeof PlanReport> {}

/** Which parts of the run ask Claude's API. */
export interface Asks {
  readonly executor: boolean
  readonly verifier: boolean
}

/** Plans a run. Nothing is written and nothing is spent: counting tokens is free of charge. */
export const make = Effect.fnUntraced(function* (flags: RunFlags & SourceOptions, asks: Asks) {
  const read = asks.executor ? yield* options.read(flags) : undefined
  const work = yield* readWorkload(flags.sources, flags)
  const { added, existing, pending, skipped } = work
  const report = {
    tasks: { new: added, existing, skipped, pending, total: added + pending },
    prompts: work.first,
    maxCostUsd: flags.maxCost?.value ?? null
  }
  if (read === undefined) return { ...report, estimate: null }

  const requests = yield* Requests.make(read)
  const client = yield* clientFor(preflight.askedOf(read, asks))
  const judging = (description: string) => requests.judge(description, ".")
  const rate = Effect.fnUntraced(function* (requestFor: Requests.Requests["execute"]) {
    return client === undefined
      ? Requests.guessTokens(yield* requestFor("."))
      : yield* Requests.countTokens(client, work.sample, requestFor)
  })
  const executor = { empty: yield* requests.execute("."), rate: yield* rate(requests.execute) }
  const judge = asks.verifier ? { empty: yield* judging("."), rate: yield* rate(judging) } : null
  const maxAttempts = flags.maxAttempts.value
  const history = yield* Estimate.readHistory({ model: read.executor.model, maxTokens: read.executor.maxTokens })
  const parts = Estimate.make({
    executor,
    judge,
    prices: read.prices,
    lengths: work.lengths,
    maxAttempts,
    confirm: read.verifier.confirm ?? 0,
    history
  })
  return {
    ...report,
    estimate: {
      parts,
      costUsd: Estimate.sum(parts.map(({ costUsd }) => costUsd)),
      batchCostUsd: Estimate.sum(parts.map(({ batchCostUsd }) => batchCostUsd)),
      maxAttempts,
      inputBasis: executor.rate.basis,
      completedTasks: history.tasks,
      answerTokens: history.answerTokens
    }
  } satisfies PlanReport
}, Effect.scoped)

/** None without a key. What is wrong with the key or with a model is better told now than by the run. */
const clientFor = Effect.fnUntraced(function* (asked: ReadonlyArray<preflight.Asked>) {
  const found = yield* account.find
  if (Option.isNone(found)) return undefined
  const context = yield* Layer.build(ClaudeClient.layer({ ...found.value, timeout: "30 seconds" }))
  yield* Effect.provide(preflight.checkModels(asked, { offline: "ignore" }), context)
  return Context.get(context, ClaudeClient.ClaudeClient)
})

/** The work. */
interface Workload {
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

/** Reads sources and store. Fails with what an import would fail with. */
const readWorkload = Effect.fnUntraced(function* (
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
