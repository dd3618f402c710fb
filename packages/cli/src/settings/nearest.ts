/**
 * Finds what a person meant to type.
 *
 * @since 0.1.0
 */

const shown = 3

/**
 * The candidates nearest to a word: those that have all its parts, and those that few typing mistakes away; the nearest
 * first, at most three of them.
 *
 * @category getters
 * @since 0.1.0
 */
export const nearest = (word: string, candidates: Iterable<string>): ReadonlyArray<string> => {
  const lower = word.toLowerCase()
  const mistakes = Math.max(2, Math.floor(word.length / 3))
  const found: Array<readonly [distance: number, candidate: string]> = []
  for (const candidate of new Set(candidates)) {
    const isPart = lower.length > 2 && lower.split("-").every((part) => candidate.includes(part))
    // A part of a name is a better guess than a name that differs in as many letters.
    const distance = Math.min(isPart ? 1 : Infinity, editDistance(lower, candidate))
    if (distance <= mistakes) found.push([distance, candidate])
  }
  found.sort(([a], [b]) => a - b)
  const best = found[0]?.[0] ?? 0
  return found
    .filter(([distance]) => distance <= best + 1)
    .slice(0, shown)
    .map(([, candidate]) => candidate)
}

/** Insertions, deletions, replacements and swaps of neighbours. */
const editDistance = (a: string, b: string): number => {
  const rows: Array<Array<number>> = [Array.from({ length: b.length + 1 }, (_, column) => column)]
  const at = (row: number, column: number) => rows[row]?.[column] ?? 0
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, isSwap ? at(i - 2, j - 2) + 1 : Infinity))
    }
  }
  return at(a.length, b.length)
}
