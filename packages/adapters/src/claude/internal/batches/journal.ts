import type { BatchEntry, BatchJournal, BatchRun, BeginReply, TakenRequest } from "@baton/core/BatchJournal"
import type { Amount } from "@baton/core/Budget"
import type { TaskId } from "@baton/core/Task"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Usage from "@baton/core/Usage"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { ClaudeError } from "../../ClaudeError.ts"
import { BatchResult, unanswered } from "./batchResult.ts"

/** The journal of the store, as `BatchJournal` describes it. All functions wait while the store is unavailable. */
export interface Journal {
  readonly begin: (...parameters: Parameters<BatchJournal["begin"]>) => Effect.Effect<BeginReply, ClaudeError>
  readonly created: (run: string, id: string) => Effect.Effect<void, ClaudeError>
  /** Finds a request. Those that are looked for at the same time are read together. */
  readonly find: (request: TakenRequest) => Effect.Effect<Entry | undefined, ClaudeError>
  /** Finds a request, and takes its reply if no task has. */
  readonly take: (request: TakenRequest) => Effect.Effect<Entry | undefined, ClaudeError>
  readonly takeAll: (requests: ReadonlyArray<TakenRequest>) => Effect.Effect<ReadonlyMap<string, Entry>, ClaudeError>
  readonly unanswered: (run: string) => Effect.Effect<ReadonlyArray<string>, ClaudeError>
  readonly record: (run: string, results: ReadonlyArray<Result>) => Effect.Effect<ReadonlySet<string>, ClaudeError>
  readonly drop: (run: string) => Effect.Effect<void, ClaudeError>
  readonly end: (run: string) => Effect.Effect<void, ClaudeError>
  readonly list: Effect.Effect<ReadonlyArray<BatchRun>, ClaudeError>
  readonly prune: (age: Duration.Duration) => Effect.Effect<void, ClaudeError>
}

/** A request that was sent, or is about to be. */
export interface Entry {
  readonly run: string
  /** Absent while there is none. */
  readonly result?: BatchResult | undefined
  readonly takenBy?: TaskId | undefined
}

/** A result that was read, its cost, and the task that waits for it. */
export interface Result {
  readonly key: string
  readonly result: BatchResult
  readonly spent?: Amount | undefined
  readonly takenBy?: TaskId | undefined
}

/** Never ends: a store that is away for an hour must not end a run that waits for a day. */
const reconnect = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** Nothing may be sent without the journal, so an error that does not pass ends the run. */
const toClaudeError = ({ cause, message }: TaskStoreError): ClaudeError =>
  new ClaudeError({
    reason: "Fatal",
    type: "journal",
    message,
    usage: Usage.zero,
    ...(cause === undefined ? undefined : { cause })
  })

/** Reads or writes the store, and waits while it is unavailable. */
export const waiting = <A>(effect: Effect.Effect<A, TaskStoreError>): Effect.Effect<A, ClaudeError> =>
  effect.pipe(
    Effect.retry({ schedule: reconnect, while: ({ reason }) => reason === "Unavailable" }),
    Effect.mapError(toClaudeError)
  )

const ResultText = Schema.fromJsonString(BatchResult)
const decodeResult = Schema.decodeUnknownEffect(ResultText)
const encodeResult = Schema.encodeSync(ResultText)

const damaged = (key: string): ClaudeError =>
  new ClaudeError({
    reason: "Fatal",
    type: "journal",
    message: `The store's journal of batches has an answer for the request ${key} that cannot be read: update Baton.`,
    usage: Usage.zero
  })

const toEntry = ({ answer, key, run, takenBy }: BatchEntry): Effect.Effect<Entry, ClaudeError> =>
  answer === undefined
    ? Effect.succeed({ run, takenBy })
    : Effect.mapBoth(decodeResult(answer), {
        onSuccess: (result) => ({ run, result, takenBy }),
        onFailure: () => damaged(key)
      })

const byKey = (entries: ReadonlyArray<BatchEntry>) =>
  Effect.map(
    Effect.forEach(entries, (entry) => Effect.map(toEntry(entry), (made) => [entry.key, made] as const)),
    (made): ReadonlyMap<string, Entry> => new Map(made)
  )

class Lookup extends Request.TaggedClass("Lookup")<TakenRequest, Entry | undefined, ClaudeError> {}

/** Answers all requests that fibers make at the same time with one call. */
const together = (
  read: (requests: ReadonlyArray<TakenRequest>) => Effect.Effect<ReadonlyMap<string, Entry>, ClaudeError>
) => {
  const resolver = RequestResolver.make<Lookup>((entries) =>
    Effect.map(Effect.exit(read(entries.map(({ request }) => request))), (exit) => {
      for (const entry of entries) entry.completeUnsafe(Exit.map(exit, (found) => found.get(entry.request.key)))
    })
  )
  return (request: TakenRequest) => Effect.request(new Lookup(request), resolver)
}

export const make = (journal: BatchJournal): Journal => {
  const takeAll = (requests: ReadonlyArray<TakenRequest>) => Effect.flatMap(waiting(journal.take(requests)), byKey)
  const find = together((requests) => Effect.flatMap(waiting(journal.find(requests.map(({ key }) => key))), byKey))
  return {
    begin: (batch, requests) => waiting(journal.begin(batch, requests)),
    created: (run, id) => waiting(journal.created(run, id)),
    find,
    take: together(takeAll),
    takeAll,
    unanswered: (run) => waiting(journal.unanswered(run)),
    record: (run, results) =>
      Effect.map(
        waiting(
          journal.record(
            run,
            results.map(({ key, result, spent, takenBy }) => ({
              key,
              answer: encodeResult(result),
              isReply: result._tag === "Replied",
              spent,
              takenBy
            }))
          )
        ),
        (keys) => new Set(keys)
      ),
    drop: (run) => waiting(journal.drop(run)),
    end: (run) => waiting(journal.end(run)),
    list: waiting(journal.list),
    prune: (age) => waiting(journal.prune(age))
  }
}

/** Ends a batch whose answers cannot be read: their cost is unknown, so the whole reservation counts. */
export const forget = Effect.fnUntraced(function* (
  journal: Journal,
  run: string,
  message: string
): Effect.fn.Return<void, ClaudeError> {
  const result = unanswered({ reason: "Failed", type: "forgotten", message, unmetered: true })
  const keys = yield* journal.unanswered(run)
  yield* journal.record(
    run,
    keys.map((key) => ({ key, result }))
  )
  yield* journal.end(run)
})
