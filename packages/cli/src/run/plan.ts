/** `baton plan`: reads the sources and flags like `baton run`, and estimates the cost instead of running the tasks. */
import { ClaudeClient, Pricing } from "@baton/adapters/claude"
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { RunFlags } from "../settings/flags.ts"
import type { SourceOptions } from "../settings/commandFlags.ts"
import { FingerprintTable, fingerprint } from "../sources/ids.ts"
import { type ListOptions, openLists, validateLists } from "../sources/importSources.ts"
import { parseOptions, readEntries } from "../sources/readTasks.ts"
import type * as SourceError from "../sources/SourceError.ts"
import { sourceQueues } from "./queues.ts"
import { pages } from "@baton/core/TaskPages"
import type { PartEstimate, Plan } from "../view/plan.ts"
import * as account from "../models/claude/account.ts"
import * as preflight from "../models/claude/preflight.ts"
import * as options from "../models/claude/options.ts"
import { checkNames } from "../models/openai/names.ts"
import * as Estimate from "../models/claude/estimate.ts"
import * as Requests from "../models/claude/requests.ts"

/** The APIs that the run uses. */
export interface Apis {
  readonly executor: preflight.Api | undefined
  readonly verifier: preflight.Api | undefined
}

/** Plans a run. Writes nothing and costs nothing: counting tokens is free. */
export const make = Effect.fnUntraced(function* (flags: RunFlags & SourceOptions, apis: Apis) {
  const read =
    apis.executor === undefined
      ? undefined
      : yield* options.read(flags, {
          runsTools: apis.executor === "claude",
          judgeHasFallbacks: apis.verifier === apis.executor
        })
  const work = yield* readWorkload(
    flags.sources,
    { ...flags, queueOf: yield* sourceQueues },
    read?.executor.model ?? ""
  )
  const { added, existing, pending, skipped } = work
  const plan = {
    tasks: { new: added, existing, skipped, pending, total: added + pending },
    prompts: work.first,
    maxCostUsd: flags.maxCost?.value ?? null
  }
  if (read === undefined || apis.executor === undefined) return { ...plan, estimate: null }
  yield* checkNames(flags, apis)

  const requests = yield* Requests.make(read, {
    executor: apis.executor,
    verifier: apis.verifier ?? apis.executor
  })
  const ofClaude = { executor: apis.executor === "claude", verifier: apis.verifier === "claude" }
  const models = preflight.modelsOf(read, ofClaude)
  const client = models.length > 0 ? yield* clientFor(models) : undefined
  const judging = (description: string) => requests.judge(description, ".")
  // Only Claude's API counts tokens.
  const rate = Effect.fnUntraced(function* (api: preflight.Api, requestFor: Requests.Requests["execute"]) {
    return client === undefined || api !== "claude"
      ? Requests.guessTokens(yield* requestFor("."))
      : yield* Requests.countTokens(client, work.sample, requestFor)
  })
  const executor = {
    empty: yield* requests.execute("."),
    fallbackModels: read.executor.fallbackModels ?? [],
    rate: yield* rate(apis.executor, requests.execute),
    files: yield* filesOf(work, requests)
  }
  const judge =
    apis.verifier === undefined
      ? null
      : {
          empty: yield* judging("."),
          fallbackModels: read.verifier.fallbackModels ?? [],
          rate: yield* rate(apis.verifier, judging),
          // The judge gets the text of a task.
          files: { expected: 0, most: 0 }
        }
  const maxAttempts = flags.maxAttempts.value
  const history = yield* Estimate.readHistory({ model: read.executor.model, maxTokens: read.executor.maxTokens })
  const estimated = Estimate.make({
    executor,
    judge,
    prices: read.prices,
    lengths: work.lengths.size === 0 ? new Map([[read.executor.model, []]]) : work.lengths,
    maxAttempts,
    confirm: read.verifier.confirm ?? 0,
    history
  })
  const isInBatch = apis.executor === "claude"
  const parts = estimated.map((part) =>
    isInBatch && apis[part.part === "work" ? "executor" : "verifier"] === "claude" ? part : withoutBatch(part)
  )
  return {
    ...plan,
    estimate: {
      parts,
      costUsd: Estimate.sum(parts.map(({ costUsd }) => costUsd)),
      // Only Claude's API has batches; another judge is paid for in full.
      batchCostUsd: isInBatch ? Estimate.sum(parts.map((part) => part.batchCostUsd ?? part.costUsd)) : null,
      maxAttempts,
      inputBasis: executor.rate.basis,
      completedTasks: history.tasks,
      answerTokens: history.answerTokens,
      webSearches: Estimate.expectedUses(executor.empty, history).searches
    }
  } satisfies Plan
}, Effect.scoped)

/** The tokens of images and PDFs per task, from those of a sample. */
const filesOf = Effect.fnUntraced(function* (
  { count, withFiles }: Pick<Workload, "count" | "withFiles">,
  requests: Requests.Requests
) {
  const built = yield* Effect.forEach(withFiles.sample, requests.executeTask, { concurrency: 4 })
  const found = built.flatMap(Option.toArray).map(Pricing.fileTokens)
  const share = found.length === 0 ? 0 : withFiles.count / found.length / count
  return {
    expected: Math.round(share * found.reduce((sum, { expected }) => sum + expected, 0)),
    most: Math.round(share * found.reduce((sum, { most }) => sum + most, 0))
  }
})

const withoutBatch = (part: PartEstimate): PartEstimate => ({ ...part, batchCostUsd: null })

/** A client, or undefined without a key. Reports problems with the key and the models before the run. */
const clientFor = Effect.fnUntraced(function* (models: ReadonlyArray<preflight.RequiredModel>) {
  const found = yield* account.find
  if (Option.isNone(found)) return undefined
  const context = yield* Layer.build(ClaudeClient.layer({ ...found.value, timeout: "30 seconds" }))
  const client = Context.get(context, ClaudeClient.ClaudeClient)
  yield* preflight.checkModels(client, models, { offline: "ignore", address: "ANTHROPIC_BASE_URL" })
  return client
})

/** The tasks to run. */
interface Workload {
  /** Tasks of the sources that are not in the store. */
  readonly added: number
  /** Tasks of the sources that are already in the store, or repeated. */
  readonly existing: number
  /** Tasks that the sources mark as finished. */
  readonly skipped: number
  /** Unfinished tasks in the store. */
  readonly pending: number
  /** The number of descriptions to run. */
  readonly count: number
  /** The length of each description to run, in bytes, by the model that is asked first. */
  readonly lengths: ReadonlyMap<string, ReadonlyArray<number>>
  /** The first descriptions. */
  readonly first: ReadonlyArray<string>
  /** Descriptions from the whole list. */
  readonly sample: ReadonlyArray<string>
  /** The tasks with images or PDFs: their number, and some of them. */
  readonly withFiles: { readonly count: number; readonly sample: ReadonlyArray<Requests.TaskInput> }
}

const firstPrompts = 3
const sampleSize = 20

/** Stores answer these from an index. */
const lookups = { concurrency: 16 }

/** Reads the sources and the store. Fails with the same errors as an import. */
const readWorkload = Effect.fnUntraced(function* (
  sources: ReadonlyArray<string>,
  options: ListOptions,
  /** The model of tasks that name none. */
  model: string
): Effect.fn.Return<
  Workload,
  SourceError.SourceError | TaskStoreError,
  TaskStore | FileSystem.FileSystem | Stdio.Stdio | Scope.Scope
> {
  const work = new WorkloadSample(model)
  let pending = 0
  const reading = yield* parseOptions(options)
  const lists = yield* openLists(sources, options)
  const stores = sources.length === 0 ? [yield* TaskStore] : lists.map(({ store }) => store)
  for (const store of stores) {
    for (const status of ["pending", "in_progress"] as const) {
      yield* Stream.runForEach(pages({ status, results: false }), (task) =>
        Effect.sync(() => {
          pending++
          work.add(task)
        })
      ).pipe(Effect.provideService(TaskStore, store))
    }
  }
  yield* validateLists(lists, reading)
  let existing = 0
  let skipped = 0
  let added = 0
  for (const { opened, store } of lists) {
    const seen = new FingerprintTable()
    for (const source of opened) {
      yield* Stream.runForEachArray(
        readEntries(source, reading),
        Effect.fnUntraced(function* (entries) {
          const tasks = entries.flatMap((entry) => {
            if (entry._tag === "Finished") skipped++
            return entry._tag === "Task" ? [entry.task] : []
          })
          const exists = yield* Effect.forEach(tasks, ({ id }) => Effect.map(store.get(id), Option.isSome), lookups)
          for (const [index, { description, id, overrides = {} }] of tasks.entries()) {
            const key = fingerprint(id)
            if (exists[index] === true || seen.get(key) !== 0) existing++
            else {
              added++
              seen.set(key, 1)
              work.add({ description, overrides })
            }
          }
        })
      )
    }
  }
  const { count, first, lengths, sample } = work
  const withFiles = { count: work.countWithFiles, sample: work.sampleWithFiles }
  return { added, existing, skipped, pending, count, lengths, first, sample, withFiles }
}, Effect.scoped)

const encoder = new TextEncoder()

/** The text of a task's prompt, without images and PDFs. */
const promptOf = ({ description, overrides: { messages, system = "" } }: Requests.TaskInput): string =>
  messages === undefined
    ? system + description
    : system +
      messages
        .flatMap(({ content }) =>
          typeof content === "string" ? content : content.flatMap(({ text }) => (typeof text === "string" ? text : []))
        )
        .join("\n")

const hasFiles = ({ overrides: { messages = [] } }: Requests.TaskInput): boolean =>
  messages.some(({ content }) => typeof content !== "string" && content.some(({ path }) => typeof path === "string"))

/** Collects the length of every prompt, and the text of a sample. */
class WorkloadSample {
  readonly lengths = new Map<string, Array<number>>()
  count = 0
  readonly first: Array<string> = []
  readonly sample: Array<string> = []
  readonly sampleWithFiles: Array<Requests.TaskInput> = []
  countWithFiles = 0
  /** Every `step`th description is sampled. The step doubles when the sample is full, so that it covers the whole list. */
  private step = 1
  private readonly model: string

  constructor(model: string) {
    this.model = model
  }

  add(task: Requests.TaskInput): void {
    if (this.first.length < firstPrompts) this.first.push(task.description)
    if (hasFiles(task)) {
      this.countWithFiles++
      if (this.sampleWithFiles.length < sampleSize) this.sampleWithFiles.push(task)
    }
    const prompt = promptOf(task)
    if (this.count % this.step === 0) this.sample.push(prompt)
    this.count++
    const { model = this.model } = task.overrides
    const length = encoder.encode(prompt).length
    const lengths = this.lengths.get(model)
    if (lengths === undefined) this.lengths.set(model, [length])
    else lengths.push(length)
    if (this.sample.length < 2 * sampleSize) return
    this.step *= 2
    const half = this.sample.filter((_, index) => index % 2 === 0)
    this.sample.splice(0, this.sample.length, ...half)
  }
}
