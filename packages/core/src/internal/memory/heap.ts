/** Where a member can be. */
export interface Place<A> {
  readonly remove: (member: A) => void
}

/** Knows its heap and its slot there, so that it can be removed from the middle. */
export interface Member<A> {
  place: Place<A> | null
  slot: number
}

/** A binary heap. `remove` costs as little as `push`, because a member knows its slot. */
export interface Heap<A> extends Place<A> {
  readonly peek: () => A | undefined
  /** All members, in no order. */
  readonly members: ReadonlyArray<A>
  readonly push: (member: A) => void
}

export const make = <A extends Member<A>>(before: (left: A, right: A) => boolean): Heap<A> => {
  const members: Array<A> = []

  const put = (member: A, slot: number) => {
    members[slot] = member
    member.slot = slot
  }

  const rise = (member: A, from: number) => {
    let slot = from
    while (slot > 0) {
      const above = (slot - 1) >> 1
      const parent = members[above]
      if (parent === undefined || !before(member, parent)) break
      put(parent, slot)
      slot = above
    }
    put(member, slot)
    return slot
  }

  const sink = (member: A, from: number) => {
    let slot = from
    for (;;) {
      let below = 2 * slot + 1
      let child = members[below]
      if (child === undefined) break
      const right = members[below + 1]
      if (right !== undefined && before(right, child)) {
        child = right
        below++
      }
      if (!before(child, member)) break
      put(child, slot)
      slot = below
    }
    put(member, slot)
  }

  const heap: Heap<A> = {
    peek: () => members[0],
    members,
    push: (member) => {
      member.place = heap
      rise(member, members.length)
    },
    remove: (member) => {
      const last = members.pop()
      const slot = member.slot
      member.place = null
      if (last !== undefined && last !== member && rise(last, slot) === slot) sink(last, slot)
    }
  }
  return heap
}
