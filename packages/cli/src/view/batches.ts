/** Batches in progress, for people and programs. */
import type { BatchRun } from "@baton/core/BatchJournal"
import { optionalNullOr } from "@baton/core/OptionalKey"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"

/** A batch in the output of `baton batch list` and `baton status`. */
export const PendingBatch = Schema.Struct({
  /** Null while it is not known whether the batch was created. */
  id: optionalNullOr(Schema.String),
  queue: Schema.String,
  requests: Schema.Int,
  createdAt: Schema.DateTimeUtcFromString,
  seconds: Schema.Finite
})

export interface PendingBatch extends Schema.Schema.Type<typeof PendingBatch> {}

export const pendingBatch = ({ createdAt, id, queue, requests }: BatchRun, now: DateTime.Utc): PendingBatch => ({
  id,
  queue,
  requests,
  createdAt,
  seconds: Math.max(0, DateTime.toEpochMillis(now) - DateTime.toEpochMillis(createdAt)) / 1000
})
