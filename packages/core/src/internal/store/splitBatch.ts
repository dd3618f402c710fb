import type { LeaseRow, RevisionRow, SettlementRow } from "../../TaskStoreDriver.ts"

/** For rows without text. */
export const noCharacters = () => 0

/** The length of a settlement's text, in UTF-16 code units. */
export const charactersOf = ({ error, execution, verification }: SettlementRow): number =>
  (error?.length ?? 0) + (execution?.length ?? 0) + (verification?.length ?? 0)

/** The length of the text of a task's new work, in UTF-16 code units. */
export const charactersOfRevision = ({ feedback, work }: RevisionRow): number =>
  (feedback?.length ?? 0) +
  (work === null ? 0 : work.description.length + (work.payload?.length ?? 0) + (work.metadata?.length ?? 0))

/** The rows of a batch that one call writes; `indexes` are the places of its rows in the batch, where it is not the whole batch. */
interface Part<A> {
  readonly rows: ReadonlyArray<A>
  readonly indexes: ReadonlyArray<number> | undefined
}

/** The newest lease of a task first: the others are not current, and write nothing. */
export const newestLease = (left: LeaseRow, right: LeaseRow): number => right.token - left.token

/**
 * Splits a batch into calls within the limits. A task that occurs again goes into a later round, after all first
 * occurrences: were the batch cut before it instead, the tasks behind it would get a later time than those before it.
 */
export const parts = <A extends Pick<LeaseRow, "id">>(
  rows: ReadonlyArray<A>,
  charactersOf: (row: A) => number,
  maxRows: number,
  maxCharacters: number,
  /** The order of the rows of one task. */
  order: (left: A, right: A) => number = () => 0
): ReadonlyArray<Part<A>> => {
  if (rows.length === 1) return [{ rows, indexes: undefined }]
  let characters = 0
  if (maxCharacters !== Infinity) for (const row of rows) characters += charactersOf(row)
  const isOneCall = rows.length <= maxRows && characters <= maxCharacters
  if (isOneCall && new Set(rows.map(({ id }) => id)).size === rows.length) return [{ rows, indexes: undefined }]
  const rounds: Array<Array<number>> = []
  for (const occurrences of Map.groupBy(rows.entries(), ([, { id }]) => id).values()) {
    occurrences.sort(([, left], [, right]) => order(left, right))
    for (const [round, [index]] of occurrences.entries()) (rounds[round] ??= []).push(index)
  }
  return rounds.flatMap((round) => cut(rows, round, charactersOf, maxRows, maxCharacters))
}

/** Cuts the rows at these indexes into parts within the limits of a call. */
export const cut = <A>(
  rows: ReadonlyArray<A>,
  round: ReadonlyArray<number>,
  charactersOf: (row: A) => number,
  maxRows: number,
  maxCharacters: number
): ReadonlyArray<Part<A>> => {
  const found: Array<{ readonly rows: Array<A>; readonly indexes: Array<number> }> = []
  let characters = Infinity
  for (const index of round) {
    const row = rows[index]
    if (row === undefined) continue
    const size = charactersOf(row)
    let part = found.at(-1)
    if (part === undefined || part.rows.length >= maxRows || characters + size > maxCharacters) {
      part = { rows: [], indexes: [] }
      found.push(part)
      characters = 0
    }
    part.rows.push(row)
    part.indexes.push(index)
    characters += size
  }
  return found
}
