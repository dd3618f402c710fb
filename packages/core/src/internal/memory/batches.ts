import * as Struct from "effect/Struct"
import type {
  BatchAnswerRow,
  BatchRecord,
  BatchRequestRow,
  BeginReply,
  NewBatch,
  TakenRow
} from "../../BatchJournal.ts"
import * as Budget from "../../Budget.ts"
import { addTo, setReserved } from "./budgets.ts"
import * as Table from "./table.ts"

/** A batch. */
interface BatchColumns extends Omit<BatchRecord, "requests"> {}

/** A request of a batch. */
interface RequestColumns extends NonNullable<BatchRecord["requests"][number]> {
  readonly run: string
}

/** Replaced with each change, so that an observer can keep it. */
export interface Batches {
  readonly runs: ReadonlyMap<string, BatchColumns>
  readonly requests: ReadonlyMap<string, RequestColumns>
}

export const fromRecords = (records: ReadonlyArray<BatchRecord>): Batches => ({
  runs: new Map(records.map((record) => [record.run, Struct.omit(record, ["requests"])])),
  requests: new Map(
    records.flatMap(({ requests, run }) => requests.map((request) => [request.key, { ...request, run }] as const))
  )
})

export const toRecords = ({ requests, runs }: Batches): ReadonlyArray<BatchRecord> => {
  const byRun = Map.groupBy(requests.values(), ({ run }) => run)
  return Array.from(runs.values(), (batch) => ({
    ...batch,
    requests: (byRun.get(batch.run) ?? []).map((request) => Struct.omit(request, ["run"]))
  }))
}

/** What the requests of a queue without an answer have reserved. */
export const reservedIn = (records: ReadonlyArray<BatchRecord>, queue: string): Budget.Amount =>
  records
    .filter((batch) => batch.queue === queue)
    .flatMap(({ requests }) => requests)
    .reduce((sum, { held }) => Budget.add(sum, held), Budget.zero)

/** Changes copies of the maps, which become the table's. */
const change = <A>(
  table: Table.Table,
  body: (runs: Map<string, BatchColumns>, requests: Map<string, RequestColumns>) => A
): A => {
  table.observer.changingBatches(table.batches)
  const runs = new Map(table.batches.runs)
  const requests = new Map(table.batches.requests)
  const result = body(runs, requests)
  table.batches = { runs, requests }
  return result
}

const least = (left: Budget.Amount, right: Budget.Amount): Budget.Amount => ({
  nanoUsd: Math.min(left.nanoUsd, right.nanoUsd),
  tokens: Math.min(left.tokens, right.tokens)
})

export const begin = (
  table: Table.Table,
  { queue, run }: NewBatch,
  rows: ReadonlyArray<BatchRequestRow>,
  now: number
): BeginReply =>
  change(table, (runs, requests) => {
    const existing: Array<string> = []
    const lost: Array<string> = []
    let size = runs.get(run)?.size ?? 0
    for (const { held, id, key, token } of rows) {
      const before = requests.get(key)
      if (before?.run === run) continue
      const leased = Table.leased(table, { id, token })
      if (before !== undefined && (before.answer === null || before.isReply)) existing.push(key)
      else if (leased === undefined) lost.push(key)
      else {
        const taken = least(held, leased.lease.reserved)
        setReserved(table, leased, Budget.subtract(leased.lease.reserved, taken))
        requests.set(key, { key, run, task: id, token, held: taken, answer: null, isReply: false, takenBy: null })
        size++
      }
    }
    const { createdAt = now, id = null } = runs.get(run) ?? {}
    if (size > 0) runs.set(run, { run, queue, id, size, createdAt, hasEnded: false })
    return { existing, lost }
  })

const update = (table: Table.Table, run: string, changed: Partial<BatchColumns>): void =>
  change(table, (runs) => {
    const batch = runs.get(run)
    if (batch !== undefined) runs.set(run, { ...batch, ...changed })
  })

export const created = (table: Table.Table, run: string, id: string): void => update(table, run, { id })

export const end = (table: Table.Table, run: string): void => update(table, run, { hasEnded: true })

export const find = ({ batches }: Table.Table, keys: ReadonlyArray<string>): ReadonlyArray<RequestColumns> =>
  keys.flatMap((key) => batches.requests.get(key) ?? [])

export const take = (table: Table.Table, rows: ReadonlyArray<TakenRow>): ReadonlyArray<RequestColumns> => {
  const free = rows.flatMap(({ key, task }) => {
    const request = table.batches.requests.get(key)
    return request?.isReply === true && request.takenBy === null ? { ...request, takenBy: task } : []
  })
  if (free.length > 0) change(table, (_, requests) => free.forEach((request) => requests.set(request.key, request)))
  return find(
    table,
    rows.map(({ key }) => key)
  )
}

const withoutAnswer = ({ batches }: Table.Table, run: string): ReadonlyArray<RequestColumns> =>
  Array.from(batches.requests.values()).filter((request) => request.run === run && request.answer === null)

export const unanswered = (table: Table.Table, run: string): ReadonlyArray<string> =>
  withoutAnswer(table, run).map(({ key }) => key)

export const record = (
  table: Table.Table,
  run: string,
  answers: ReadonlyArray<BatchAnswerRow>
): ReadonlyArray<string> =>
  change(table, (runs, requests) => {
    const queue = runs.get(run)?.queue
    const recorded: Array<string> = []
    let spent = Budget.zero
    let freed = Budget.zero
    for (const { answer, isReply, key, spent: cost, takenBy } of answers) {
      const request = requests.get(key)
      if (request?.run !== run || request.answer !== null) continue
      requests.set(key, { ...request, answer, isReply, takenBy, held: Budget.zero })
      spent = Budget.add(spent, cost ?? request.held)
      freed = Budget.add(freed, request.held)
      recorded.push(key)
    }
    if (queue !== undefined) addTo(table, queue, spent, Budget.subtract(Budget.zero, freed))
    return recorded
  })

export const drop = (table: Table.Table, run: string): void => {
  const gone = withoutAnswer(table, run)
  const queue = table.batches.runs.get(run)?.queue
  for (const { held, task, token } of gone) {
    const leased = Table.leased(table, { id: task, token })
    if (leased !== undefined) setReserved(table, leased, Budget.add(leased.lease.reserved, held))
    else if (queue !== undefined) addTo(table, queue, Budget.zero, Budget.subtract(Budget.zero, held))
  }
  change(table, (runs, requests) => {
    for (const { key } of gone) requests.delete(key)
    const batch = runs.get(run)
    if (batch === undefined) return
    if (batch.size > gone.length) runs.set(run, { ...batch, hasEnded: true })
    else runs.delete(run)
  })
}

export const list = ({ batches }: Table.Table) =>
  Array.from(batches.runs.values())
    .filter(({ hasEnded }) => !hasEnded)
    .map(({ createdAt, id, queue, run, size }) => ({ run, queue, id, requests: size, createdAt }))

export const prune = (table: Table.Table, before: number): void => {
  const gone = new Set(
    Array.from(table.batches.runs.values())
      .filter(({ createdAt, hasEnded }) => hasEnded && createdAt < before)
      .map(({ run }) => run)
  )
  if (gone.size === 0) return
  change(table, (runs, requests) => {
    for (const run of gone) runs.delete(run)
    for (const { key, run } of table.batches.requests.values()) if (gone.has(run)) requests.delete(key)
  })
}
