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

/**
 * Splits a batch into calls within the limits. A task that occurs again goes into a later round, after all first
 * occurrences: were the batch cut before it instead, the tasks behind it would get a later time than those before it.
 */
export const parts = <A extends Pick<LeaseRow, "id">>(
  rows: ReadonlyArray<A>,
  charactersOf: (row: A) => number,
  maxRows: number,
  maxCharacters: number
): ReadonlyArray<Part<A>> => {
  if (rows.length === 1) return [{ rows, indexes: undefined }]
  const occurrences = new Map<string, number>()
  const rounds: Array<Array<number>> = []
  let characters = 0
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]
    if (row === undefined) continue
    const earlier = occurrences.get(row.id) ?? 0
    occurrences.set(row.id, earlier + 1)
    const round = (rounds[earlier] ??= [])
    round.push(index)
    if (maxCharacters !== Infinity) characters += charactersOf(row)
  }
  if (rounds.length === 1 && rows.length <= maxRows && characters <= maxCharacters) {
    return [{ rows, indexes: undefined }]
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
