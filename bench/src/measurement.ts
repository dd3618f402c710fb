/** One line of the table: a name, a value, and the line to compare it with. */
export interface Measurement {
  readonly what: string
  /** In `unit`. Higher is better for rates, lower for times and sizes. */
  readonly value: number
  readonly unit: "tasks/s" | "/s" | "ms" | "µs" | "MB" | "rows" | "s" | "%" | "x"
  /** The name of the line in the same run that this one is divided by. */
  readonly against?: string
  /** The expected ratio or value, as text for the table. */
  readonly target?: string
}

const marker = "measurement:"

/** Sends a measurement from the benchmark's process to the table, through stdout. */
export const report = (measurement: Measurement): void => {
  process.stdout.write(`${marker}${JSON.stringify(measurement)}\n`)
}

export const collect = (stdout: string): ReadonlyArray<Measurement> =>
  stdout
    .split("\n")
    .filter((line) => line.startsWith(marker))
    .map((line) => JSON.parse(line.slice(marker.length)))

/** A table that a benchmark prints in addition to the others. */
export const otherLines = (stdout: string): string =>
  stdout
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith(marker))
    .map((line) => `${line}\n`)
    .join("")

/** The best of several rounds for each name. They take turns, because other work on the machine comes and goes. */
export class Best extends Map<string, number> {
  note(what: string, value: number): void {
    this.set(what, Math.max(this.get(what) ?? 0, value))
  }

  report(options: Omit<Measurement, "what" | "value">): void {
    for (const [what, value] of this) report({ ...options, what, value })
  }
}

/** Tasks per second of `work` over `count` tasks. */
export const rate = async (count: number, work: () => Promise<void>): Promise<number> => {
  const start = performance.now()
  await work()
  return (count / (performance.now() - start)) * 1000
}

export const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((left, right) => left - right)[values.length >> 1] ?? 0
