import type { BatchEntryRow, BatchJournalDriver } from "@baton/core/BatchJournal"
import * as Effect from "effect/Effect"
import type { Connection } from "./connection.ts"
import * as Encoding from "./encoding.ts"
import * as Batches from "./lua/batches.ts"
import type { Script } from "./lua/prelude.ts"

const entries = (reply: Encoding.Reply): ReadonlyArray<BatchEntryRow> =>
  Encoding.array(reply).map((row) => {
    const [key, run, answer, isReply, takenBy] = Encoding.array(row)
    return { key, run, answer, isReply, takenBy }
  })

/** The journal of batches in a store. */
export const makeBatches = ({ run: call }: Connection): BatchJournalDriver => {
  const done = (script: Script, words: ReadonlyArray<string>) => Effect.asVoid(call(script, words, () => null))
  return {
    begin: ({ queue, run }, requests) =>
      call(
        Batches.beginBatch,
        [
          run,
          queue,
          ...requests.flatMap(({ held, id, key, token }) => [
            key,
            id,
            String(token),
            String(held.nanoUsd),
            String(held.tokens)
          ])
        ],
        (reply) => {
          const [existing = null, lost = null] = Encoding.array(reply)
          return { existing: Encoding.texts(existing), lost: Encoding.texts(lost) }
        }
      ),
    created: (run, id) => done(Batches.batchCreated, [run, id]),
    find: (keys) => call(Batches.findRequests, keys, entries),
    take: (requests) =>
      call(
        Batches.takeReplies,
        requests.flatMap(({ key, task }) => [key, task]),
        entries
      ),
    unanswered: (run) => call(Batches.unansweredRequests, [run], Encoding.texts),
    record: (run, answers) =>
      call(
        Batches.recordAnswers,
        [
          run,
          ...answers.flatMap(({ answer, isReply, key, spent, takenBy }) => [
            key,
            answer,
            isReply ? "y" : "n",
            spent === null ? "" : String(spent.nanoUsd),
            spent === null ? "" : String(spent.tokens),
            takenBy ?? ""
          ])
        ],
        Encoding.texts
      ),
    drop: (run) => done(Batches.dropBatch, [run]),
    end: (run) => done(Batches.endBatch, [run]),
    list: call(Batches.listBatches, [], (reply) =>
      Encoding.array(reply).map((row) => {
        const [run, queue, id, requests, createdAt] = Encoding.array(row)
        return { run, queue, id, requests, createdAt }
      })
    ),
    prune: (ageMillis) => done(Batches.pruneBatches, [String(ageMillis)])
  }
}
