/**
 * Where the rows are of tasks that were claimed here. Writes under a lease name rows by it: it is their key, and sorting by
 * it gives all writers the same order. What is forgotten is looked up.
 */
export interface Seqs {
  readonly get: (id: string) => number | undefined
  readonly set: (id: string, seq: number) => void
  readonly delete: (id: string) => void
}

/** More than any worker holds; who claims and never settles must not fill the memory. */
const mostKept = 100_000

export const make = (): Seqs => {
  const kept = new Map<string, number>()
  return {
    get: (id) => kept.get(id),
    set: (id, seq) => {
      // Behind those that were claimed earlier, which are the first to be forgotten.
      kept.delete(id)
      kept.set(id, seq)
      if (kept.size > mostKept) {
        for (const oldest of kept.keys()) {
          kept.delete(oldest)
          break
        }
      }
    },
    delete: (id) => {
      kept.delete(id)
    }
  }
}
