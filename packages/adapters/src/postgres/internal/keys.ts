import * as Effect from "effect/Effect"
import type { ClaimRequest } from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { type Database, int, number, numbers, text, texts } from "./database.ts"
import type { Statements } from "./statements.ts"

/** A task that may be claimed. */
interface Candidate {
  readonly key: string | null
  readonly seq: number
  readonly isStarted: boolean
  readonly availableAt: number
}

/**
 * Claims tasks of a queue that has tasks with concurrency keys, one priority after another, until there are enough. Several
 * statements in one transaction: each sees the rows committed before the locks of the ones before it.
 */
export const claim = Effect.fnUntraced(function* <Row extends { readonly seq: number }>(
  db: Database,
  statements: Statements,
  { call, leaseMillis, limit, maxPerKey, owner, queue, started }: ClaimRequest,
  options: {
    /** Whether the transaction has started the probe of a paused queue. */
    readonly isProbe: boolean
  }
): Effect.fn.Return<{ readonly rows: ReadonlyArray<Row>; readonly hasKeys: boolean }, TaskStoreError> {
  const rows: Array<Row> = []
  let upTo = Number.MAX_SAFE_INTEGER
  let queueHasKeys = false
  const corrected = new Set<string>()
  while (rows.length < limit) {
    const level = yield* db.one<{ readonly priority: number | null; readonly hasKeys: boolean }>(
      statements.keyedPriority,
      [text(queue), int(upTo)]
    )
    queueHasKeys ||= level.hasKeys
    if (level.priority === null) break
    const place = [text(queue), int(level.priority)]
    const left = limit - rows.length
    const locked = yield* db.run<{ readonly key: string }>(statements.lockKeys, [...place, int(maxPerKey), int(left)])
    const keys = locked.map(({ key }) => key)
    const found = yield* db.run<Candidate>(statements.candidates, [...place, int(left), int(maxPerKey), texts(keys)])
    const chosen = merge(found).slice(0, left)
    if (chosen.length > 0) {
      const claimed = yield* db.run<Row>(options.isProbe ? statements.claimLockedProbe : statements.claimLocked, [
        numbers(chosen.map(({ seq }) => seq)),
        text(owner),
        number(leaseMillis),
        number(call),
        text(queue),
        int(Math.max(0, started - rows.length))
      ])
      // The queue was paused.
      if (claimed.length === 0) break
      const bySeq = new Map(claimed.map((row) => [row.seq, row]))
      for (const { seq } of chosen) {
        const row = bySeq.get(seq)
        if (row !== undefined) rows.push(row)
      }
    }
    const idle = keys.filter((key) => !found.some((each) => each.key === key))
    const turns = new Map<string, number | null>(idle.map((key) => [key, null]))
    for (const [index, { key }] of chosen.entries()) if (key !== null) turns.set(key, index + 1)
    if (turns.size > 0) {
      yield* db.run(statements.endTurns, [...place, texts([...turns.keys()]), numbers([...turns.values()])])
    }
    // Keys without a task, which are out of the line now, may have taken the places of others. Those that come again have a
    // task that another connection is writing.
    const before = corrected.size
    for (const key of idle) corrected.add(`${level.priority} ${key}`)
    if (corrected.size === before || chosen.length === left) upTo = level.priority - 1
  }
  return { rows, hasKeys: queueHasKeys }
})

/**
 * The order of claiming within a priority: the first task without a key, or the first one of the first key, whichever
 * has had an attempt, or is available for longer. The first tasks of all keys come before the second ones.
 */
const merge = (found: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
  const plain = found.filter(({ key }) => key === null)
  const merged: Array<Candidate> = []
  let next = 0
  for (const candidate of inRounds(found.filter(({ key }) => key !== null))) {
    for (let other = plain[next]; other !== undefined && isBefore(other, candidate); other = plain[++next]) {
      merged.push(other)
    }
    merged.push(candidate)
  }
  return [...merged, ...plain.slice(next)]
}

const isBefore = (left: Candidate, right: Candidate): boolean => {
  if (left.isStarted !== right.isStarted) return left.isStarted
  return left.availableAt === right.availableAt ? left.seq < right.seq : left.availableAt < right.availableAt
}

const inRounds = (keyed: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
  const rounds: Array<Array<Candidate>> = []
  const counts = new Map<string | null, number>()
  for (const candidate of keyed) {
    const round = counts.get(candidate.key) ?? 0
    counts.set(candidate.key, round + 1)
    const others = rounds[round]
    if (others === undefined) rounds.push([candidate])
    else others.push(candidate)
  }
  return rounds.flat()
}
