/** Numbers from 0 up to 1, the same ones for the same seed (mulberry32). */
export const generator = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

/** A seed for a generator out of text (FNV-1a), so that what a task does depends on nothing but its name. */
export const seedOf = (...parts: ReadonlyArray<string | number>): number => {
  let hash = 0x811c9dc5
  for (const char of parts.join("/")) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193)
  return hash >>> 0
}

export const between = (random: () => number, from: number, to: number): number => from + random() * (to - from)

export const pick = <A>(random: () => number, from: ReadonlyArray<A>): A | undefined =>
  from[Math.floor(random() * from.length)]

/** The same things in another order. */
export const shuffled = <A>(random: () => number, things: ReadonlyArray<A>): ReadonlyArray<A> =>
  things
    .map((thing) => ({ thing, place: random() }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ thing }) => thing)
