/** Somebody in a queue. The two links belong to the queue. */
export interface Entry<E> {
  previous: E | undefined
  next: E | undefined
}

/**
 * First come, first served. It is linked both ways, because leaving has to take no longer with ten thousand in it than
 * with one; a `Set` skips all that it has lost whenever it is asked for its first.
 */
export interface Queue<E extends Entry<E>> {
  first: E | undefined
  last: E | undefined
  size: number
}

export const make = <E extends Entry<E>>(): Queue<E> => ({ first: undefined, last: undefined, size: 0 })

export const join = <E extends Entry<E>>(queue: Queue<E>, entry: E): void => {
  entry.previous = queue.last
  if (queue.last === undefined) queue.first = entry
  else queue.last.next = entry
  queue.last = entry
  queue.size++
}

/** The entry has to be in the queue. */
export const leave = <E extends Entry<E>>(queue: Queue<E>, entry: E): void => {
  if (entry.previous === undefined) queue.first = entry.next
  else entry.previous.next = entry.next
  if (entry.next === undefined) queue.last = entry.previous
  else entry.next.previous = entry.previous
  entry.previous = undefined
  entry.next = undefined
  queue.size--
}
