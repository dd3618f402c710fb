/** Orders tasks by their dependencies. */

/** The order in which to add tasks, and the cycles that prevent one. */
export interface Ordering {
  /** Each id comes after its dependencies. */
  readonly order: ReadonlyArray<string>
  /** Each id of a cycle depends on the next one, and the last id on the first. */
  readonly cycles: ReadonlyArray<ReadonlyArray<string>>
}

/**
 * Sorts ids so that each comes after its dependencies. Ids that are not in the graph count as already added. It does not
 * recurse, so the length of a chain is not limited by the stack.
 */
export const sort = (graph: ReadonlyMap<string, ReadonlyArray<string>>): Ordering => {
  const order: Array<string> = []
  const cycles: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  for (const root of graph.keys()) {
    if (done.has(root)) continue
    /** The path from the root to the current id; `next` is the index of the dependency to visit next. */
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
