/**
 * The order in which tasks that depend on each other can be added.
 *
 * @since 0.1.0
 */

/** What is to be added in which order, and what can be added in none. */
export interface Ordering {
  /** Each id after those it depends on. */
  readonly order: ReadonlyArray<string>
  /** Rings of ids, each depending on the next and the last one on the first. */
  readonly cycles: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * Sorts ids so that each comes after those it depends on; ids that are not in the graph are taken to be there already.
 * Works without recursion, so a chain may be as long as it likes.
 *
 * @category converting
 * @since 0.1.0
 */
export const sort = (graph: ReadonlyMap<string, ReadonlyArray<string>>): Ordering => {
  const order: Array<string> = []
  const cycles: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  for (const root of graph.keys()) {
    if (done.has(root)) continue
    /** The way from the root to where the search is, with how many dependencies of each are dealt with. */
    const path: Array<{ readonly id: string; next: number }> = [{ id: root, next: 0 }]
    const onPath = new Map([[root, 0]])
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const dependency = graph.get(top.id)?.[top.next]
      top.next++
      if (dependency === undefined) {
        order.push(top.id)
        done.add(top.id)
        onPath.delete(top.id)
        path.pop()
        continue
      }
      const start = onPath.get(dependency)
      if (start !== undefined) cycles.push(path.slice(start).map(({ id }) => id))
      else if (graph.has(dependency) && !done.has(dependency)) {
        onPath.set(dependency, path.length)
        path.push({ id: dependency, next: 0 })
      }
    }
  }
  return { order, cycles }
}
