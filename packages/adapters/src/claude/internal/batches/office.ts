import type * as Clock from "effect/Clock"
import type * as Latch from "effect/Latch"
import type { BatchApi } from "./batchApi.ts"
import type { Desk } from "./desk.ts"
import type { JournalFile } from "./journalFile.ts"

/** What collector and poller share. */
export interface Office {
  readonly api: BatchApi
  readonly journal: JournalFile
  readonly desk: Desk
  readonly clock: Clock.Clock
  /** Milliseconds without an arrival after which a batch is made. */
  readonly gather: number
  limits: { readonly requests: number; readonly bytes: number }
  readonly startedAt: number
  /** Batches whose creation is under way in this process: nobody has to look for them. */
  readonly beingCreated: Set<number>
  /** Since when it has been unknown whether a batch exists, where not since the start. */
  readonly doubtedSince: Map<number, number>
  /** Opened when there is something new to look at. */
  readonly changed: Latch.Latch
  /** Opened when the run is over. */
  readonly closing: Latch.Latch
}
