import type { Duration } from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Journal from "../../BatchJournal.ts"
import type { TaskStoreError } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"
import { cut, noCharacters, parts } from "./splitBatch.ts"
import * as Text from "./text.ts"

/** What the journal needs of its store. */
export interface StoreParts {
  readonly decoded: <A>(read: () => A) => Effect.Effect<A, TaskStoreError>
  readonly maxRows: number
  readonly maxCharacters: number
}

/** The journal of a store whose driver keeps it. */
export const make = (
  driver: Journal.BatchJournalDriver,
  { decoded, maxCharacters, maxRows }: StoreParts
): Journal.BatchJournal => {
  /** Calls the driver for all rows, within the limits of a call. */
  const inParts = <A, B>(
    rows: ReadonlyArray<A>,
    charactersOf: (row: A) => number,
    call: (rows: ReadonlyArray<A>) => Effect.Effect<ReadonlyArray<B>, TaskStoreError>
  ): Effect.Effect<ReadonlyArray<B>, TaskStoreError> =>
    rows.length === 0
      ? Effect.succeed([])
      : Effect.map(
          Effect.forEach(cut(rows, Array.from(rows.keys()), charactersOf, maxRows, maxCharacters), (part) =>
            call(part.rows)
          ),
          (replies) => replies.flat()
        )

  const entries = (rows: ReadonlyArray<Journal.BatchEntryRow>) => decoded(() => rows.map(entry))

  return {
    begin: (batch, requests) =>
      Effect.map(
        // The same task can have several requests: each occurs once in a call.
        Effect.forEach(
          parts(requests.map(requestRow), noCharacters, maxRows, maxCharacters),
          ({ rows }) => driver.begin(batch, rows),
          { concurrency: 1 }
        ),
        (replies) => ({
          existing: replies.flatMap(({ existing }) => existing),
          lost: replies.flatMap(({ lost }) => lost)
        })
      ),
    created: driver.created,
    find: (keys) => Effect.flatMap(inParts(Array.from(new Set(keys)), noCharacters, driver.find), entries),
    take: (requests) =>
      Effect.flatMap(
        inParts(distinct(requests), noCharacters, (rows) =>
          driver.take(rows.map(({ key, taskId }) => ({ key, task: Text.encode(taskId) })))
        ),
        entries
      ),
    unanswered: driver.unanswered,
    record: (run, answers) =>
      inParts(
        distinct(answers).map(answerRow),
        ({ answer }) => answer.length,
        (rows) => driver.record(run, rows)
      ),
    drop: driver.drop,
    end: driver.end,
    list: Effect.flatMap(driver.list, (rows) => decoded(() => rows.map(batchRun).sort(oldestFirst))),
    prune: (age: Duration) => driver.prune(Codec.toMillis(age))
  }
}

/** The last one of each key. */
const distinct = <A extends { readonly key: string }>(rows: ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.from(new Map(rows.map((row) => [row.key, row])).values())

const requestRow = ({ held, key, taskId, token }: Journal.BatchRequest): Journal.BatchRequestRow => ({
  key,
  id: Text.encode(taskId),
  token,
  held
})

const answerRow = ({ spent, takenBy, ...answer }: Journal.BatchAnswer): Journal.BatchAnswerRow => ({
  ...answer,
  spent: spent ?? null,
  takenBy: takenBy === undefined ? null : Text.encode(takenBy)
})

const entry = (row: Journal.BatchEntryRow): Journal.BatchEntry => ({
  key: Codec.text("key", row.key),
  run: Codec.text("run", row.run),
  answer: row.answer === null ? undefined : Codec.text("answer", row.answer),
  isReply: Codec.boolean("isReply", row.isReply),
  takenBy: row.takenBy === null ? undefined : Codec.taskId(row.takenBy)
})

const batchRun = (row: Journal.BatchRow): Journal.BatchRun => ({
  run: Codec.text("run", row.run),
  queue: Codec.text("queue", row.queue),
  id: row.id === null ? undefined : Codec.text("id", row.id),
  requests: Codec.number("requests", row.requests),
  createdAt: Codec.time("createdAt", row.createdAt)
})

const oldestFirst = (left: Journal.BatchRun, right: Journal.BatchRun) =>
  left.createdAt.epochMilliseconds - right.createdAt.epochMilliseconds || (left.run < right.run ? -1 : 1)
