/** One line of the table: a name, a figure, and what it is to be compared with. */
export interface Measurement {
  readonly what: string
  /** In `unit`; for rates, higher is better, for times and sizes lower. */
  readonly value: number
  readonly unit: "tasks/s" | "/s" | "ms" | "MB" | "x"
  /** The line that this one is held against, by its name, in the same run. */
  readonly against?: string
  /** What the ratio to it has to be, as a sentence for the table. */
  readonly target?: string
}

const marker = "measurement:"

/** A benchmark runs in a process of its own and hands its figures to the table through stdout. */
export const report = (measurement: Measurement): void => {
  process.stdout.write(`${marker}${JSON.stringify(measurement)}\n`)
}

export const collect = (stdout: string): ReadonlyArray<Measurement> =>
  stdout
    .split("\n")
    .filter((line) => line.startsWith(marker))
    .map((line) => JSON.parse(line.slice(marker.length)))

/** Tasks per second of `work` over `count` tasks; the best of `rounds`, since a shared machine only ever slows down. */
export const rate = async (count: number, rounds: number, work: () => Promise<void>): Promise<number> => {
  let best = 0
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    await work()
    best = Math.max(best, (count / (performance.now() - start)) * 1000)
  }
  return best
}
