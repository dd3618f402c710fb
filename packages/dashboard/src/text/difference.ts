/** The difference between two outputs, in lines, with the words that changed. */
import * as TextDiff from "effect/TextDiff"

export interface Piece {
  readonly text: string
  readonly isChanged: boolean
}

export interface Line {
  /** From 1. */
  readonly number: number
  readonly pieces: ReadonlyArray<Piece>
}

/** One row of the comparison. A row with both lines is equal, or is a line that changed. */
export interface Row {
  readonly kind: "equal" | "changed"
  readonly before: Line | undefined
  readonly after: Line | undefined
}

/** Lines that are left out because nothing changed in or near them. */
export interface Gap {
  readonly kind: "gap"
  readonly rows: ReadonlyArray<Row>
}

/** Outputs with more differences are shown as a deletion and an insertion. */
const maxEdits = 600

/** Longer lines are compared as a whole. */
const maxLineLength = 4000

/** In a longer change, only the words of the first lines are compared, which limits the time. */
const maxPairs = 500

const words = (line: string): ReadonlyArray<string> => line.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []

const whole = (text: string, isChanged: boolean): ReadonlyArray<Piece> => [{ text, isChanged }]

/** The two versions of a line; lines that have little in common are marked as a whole. */
const pairOf = (before: string, after: string): readonly [ReadonlyArray<Piece>, ReadonlyArray<Piece>] => {
  const none = [whole(before, true), whole(after, true)] as const
  if (before.length > maxLineLength || after.length > maxLineLength) return none
  const edits = TextDiff.diff(words(before), words(after), { maxEdits: 400 })
  const kept = edits.reduce((sum, edit) => (edit._tag === "Equal" ? sum + edit.items.join("").trim().length : sum), 0)
  if (kept * 3 < Math.max(before.length, after.length)) return none
  const side = (other: "Delete" | "Insert") =>
    edits.flatMap((edit) =>
      edit._tag === other ? [] : [{ text: edit.items.join(""), isChanged: edit._tag !== "Equal" }]
    )
  return [side("Insert"), side("Delete")]
}

const withoutEnd = (line: string): string => line.replace(/\r?\n$/, "")

/** Compares two texts. */
export const compare = (before: string, after: string): ReadonlyArray<Row> => {
  const rows: Array<Row> = []
  let left = 0
  let right = 0
  let deleted: ReadonlyArray<string> = []
  const changed = (inserted: ReadonlyArray<string>) => {
    for (let index = 0; index < Math.max(deleted.length, inserted.length); index++) {
      const old = deleted[index]
      const next = inserted[index]
      const [a, b] =
        old === undefined || next === undefined || index >= maxPairs
          ? [whole(old ?? "", true), whole(next ?? "", true)]
          : pairOf(withoutEnd(old), withoutEnd(next))
      rows.push({
        kind: "changed",
        before: old === undefined ? undefined : { number: ++left, pieces: a },
        after: next === undefined ? undefined : { number: ++right, pieces: b }
      })
    }
    deleted = []
  }
  for (const edit of TextDiff.lines(`${before}\n`, `${after}\n`, { maxEdits })) {
    if (edit._tag === "Delete") deleted = edit.items.map(withoutEnd)
    else if (edit._tag === "Insert") changed(edit.items.map(withoutEnd))
    else {
      changed([])
      for (const item of edit.items) {
        const pieces = whole(withoutEnd(item), false)
        rows.push({ kind: "equal", before: { number: ++left, pieces }, after: { number: ++right, pieces } })
      }
    }
  }
  changed([])
  return rows
}

/** Replaces equal rows that are far from a change by a gap. */
export const folded = (rows: ReadonlyArray<Row>, context = 3): ReadonlyArray<Row | Gap> => {
  const result: Array<Row | Gap> = []
  let index = 0
  while (index < rows.length) {
    const row = rows[index]
    if (row === undefined || row.kind !== "equal") {
      if (row !== undefined) result.push(row)
      index++
      continue
    }
    let end = index
    while (rows[end]?.kind === "equal") end++
    const from = index === 0 ? index : Math.min(end, index + context)
    const to = end === rows.length ? end : Math.max(from, end - context)
    // A gap of one or two lines takes as much space as the lines.
    if (to - from <= 2) result.push(...rows.slice(index, end))
    else result.push(...rows.slice(index, from), { kind: "gap", rows: rows.slice(from, to) }, ...rows.slice(to, end))
    index = end
  }
  return result
}
