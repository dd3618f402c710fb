import type { WorkerRow } from "../../TaskStoreDriver.ts"
import type { Row } from "./row.ts"

/** The owners of the leases of a queue. */
export const of = (queue: string, leased: ReadonlyArray<Row>, now: number): ReadonlyArray<WorkerRow> => {
  const workers = new Map<string, { running: number; claimed: number; startedAt: number; leaseEnd: number }>()
  for (const { due, lease, startedAt } of leased) {
    if (lease === null) continue
    let worker = workers.get(lease.owner)
    if (worker === undefined) {
      workers.set(lease.owner, (worker = { running: 0, claimed: 0, startedAt: Infinity, leaseEnd: -Infinity }))
    }
    if (startedAt === null) worker.claimed++
    else worker.running++
    worker.startedAt = Math.min(worker.startedAt, startedAt ?? Infinity)
    worker.leaseEnd = Math.max(worker.leaseEnd, due)
  }
  return Array.from(workers, ([owner, { claimed, leaseEnd, running, startedAt }]) => ({
    queue,
    owner,
    running,
    claimed,
    startedAt: running === 0 ? null : startedAt,
    leaseEndsInMillis: leaseEnd - now
  }))
}
