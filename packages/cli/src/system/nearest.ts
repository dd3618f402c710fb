/** Suggests names for a mistyped one. */

const maxSuggestions = 3

/**
 * The candidates that contain all parts of a word or differ from it by a few letters, the nearest first; at most three.
 */
export const nearest = (word: string, candidates: Iterable<string>): ReadonlyArray<string> => {
  const lower = word.toLowerCase()
  const mistakes = Math.max(2, Math.floor(word.length / 3))
  const found: Array<readonly [distance: number, candidate: string]> = []
  for (const candidate of new Set(candidates)) {
    const isPart = lower.length > 2 && lower.split("-").every((part) => candidate.includes(part))
    // A name that contains the word is a better guess than one that differs by as many letters.
    const distance = Math.min(isPart ? 1 : Infinity, editDistance(lower, candidate))
    if (distance <= mistakes) found.push([distance, candidate])
  }
  found.sort(([a], [b]) => a - b)
  const best = found[0]?.[0] ?? 0
  return found
    .filter(([distance]) => distance <= best + 1)
    .slice(0, maxSuggestions)
    .map(([, candidate]) => candidate)
}

/** The number of insertions, deletions, replacements and swaps of adjacent letters between two words. */
export const editDistance = (a: string, b: string): number => {
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
