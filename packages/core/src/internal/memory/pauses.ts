import * as QueuePause from "../../QueuePause.ts"
import type { PauseChange } from "../../TaskStoreDriver.ts"
import type { PauseColumns, Table } from "./table.ts"

const put = (table: Table, pause: PauseColumns): PauseColumns => {
  table.observer.changingPauses(table.pauses)
  table.pauses = new Map(table.pauses).set(pause.queue, pause)
  return pause
}

export const set = (table: Table, change: PauseChange, revision: number): PauseColumns =>
  put(table, { ...QueuePause.after(table.pauses.get(change.queue), change), revision })

/** Whether there was a pause. With a revision, only that pause is removed. */
export const remove = (table: Table, queue: string, revision: number | null): boolean => {
  const pause = table.pauses.get(queue)
  if (pause === undefined || (revision !== null && pause.revision !== revision)) return false
  table.observer.changingPauses(table.pauses)
  const pauses = new Map(table.pauses)
  pauses.delete(queue)
  table.pauses = pauses
  return true
}

/** A probe was started, and holds back other tasks until its lease ends. */
export const startProbe = (table: Table, pause: PauseColumns, probeUntil: number): void => {
  put(table, { ...pause, probeUntil })
}
