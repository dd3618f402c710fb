/**
 * When attempts ran, and how many at once.
 *
 * @since 0.1.0
 */
import type { AttemptOutcome } from "@baton/core/Attempt"
import type { Report } from "./Report.ts"

/** One attempt, in a lane that no other attempt uses at that time. Places are shares of the whole, 0 to 1. */
export interface Bar {
  readonly lane: number
  readonly from: number
  readonly to: number
  readonly outcome: AttemptOutcome
}

/** How many attempts of each outcome ran in one slice of the time. */
export type Slice = Readonly<Partial<Record<AttemptOutcome, number>>>

/** Attempts one by one, or summed up where there are too many to be told apart. */
export type Timeline =
  | { readonly _tag: "Bars"; readonly lanes: number; readonly bars: ReadonlyArray<Bar> }
  | { readonly _tag: "Slices"; readonly most: number; readonly slices: ReadonlyArray<Slice> }

const mostBars = 1500
const mostLanes = 40
const sliceCount = 160

/**
 * The timeline of a report.
 *
 * @category constructors
 * @since 0.1.0
 */
export const timeline = (report: Report): Timeline => {
  const span = report.span()
  if (span === undefined) return { _tag: "Bars", lanes: 0, bars: [] }
  const place = (at: number) => (at - span.from) / Math.max(1, span.until - span.from)
  if (report.attempts <= mostBars) {
    const bars = inLanes(report, place)
    const lanes = bars.reduce((most, { lane }) => Math.max(most, lane + 1), 0)
    if (lanes <= mostLanes) return { _tag: "Bars", lanes, bars }
  }
  return inSlices(report, place)
}

const inLanes = (report: Report, place: (at: number) => number): ReadonlyArray<Bar> => {
  const order = report.starts.map((_, index) => index).sort((a, b) => (report.starts[a] ?? 0) - (report.starts[b] ?? 0))
  const free: Array<number> = []
  return order.map((index) => {
    const from = report.starts[index] ?? 0
    const to = report.ends[index] ?? from
    const found = free.findIndex((until) => until <= from)
    const lane = found < 0 ? free.length : found
    free[lane] = to
    return { lane, from: place(from), to: place(to), outcome: report.ended[index] ?? "running" }
  })
}

const inSlices = (report: Report, place: (at: number) => number): Timeline => {
  const slices = Array.from({ length: sliceCount }, (): Partial<Record<AttemptOutcome, number>> => ({}))
  report.starts.forEach((from, index) => {
    const outcome = report.ended[index] ?? "running"
    const first = Math.min(sliceCount - 1, Math.floor(place(from) * sliceCount))
    const last = Math.min(sliceCount - 1, Math.floor(place(report.ends[index] ?? from) * sliceCount))
    for (let at = first; at <= last; at++) {
      const slice = slices[at]
      if (slice !== undefined) slice[outcome] = (slice[outcome] ?? 0) + 1
    }
  })
  const most = slices.reduce((highest, slice) => Math.max(highest, sum(slice)), 0)
  return { _tag: "Slices", most, slices }
}

const sum = (slice: Slice): number => Object.values(slice).reduce((total, attempts) => total + attempts, 0)
