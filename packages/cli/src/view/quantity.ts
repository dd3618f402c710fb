/** Formats numbers, counts, tokens, money and times for people, independent of the locale. */
import * as Usage from "@baton/core/Usage"
import * as Duration from "effect/Duration"

/** A whole number with separated thousands: `1,234,567`. */
export const number = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",")

/** A count and its noun: `1 task`, `1,200 tasks`, `2 retries`. */
export const count = (value: number, noun: string, plural = `${noun}s`): string =>
  `${number(value)} ${value === 1 ? noun : plural}`

/** US dollars with two digits, or four for amounts below one dollar. */
export const usd = (amount: number): string => {
  const digits = amount > 0 && amount < 1 ? 4 : 2
  const [whole = "0", cents] = amount.toFixed(digits).split(".")
  return amount > 0 && amount < 0.0001 ? "< $0.0001" : `$${number(Number(whole))}.${cents}`
}

/**
 * A cost: `$0.0123`, or its bounds `$0.01 to $0.02` if requests were cut off. An unknown cost is never shown as zero.
 */
export const cost = (used: Usage.Usage): string => {
  if (used.costUsd !== null) return usd(used.costUsd)
  const least = Usage.minUsd(used)
  const most = Usage.maxUsd(used)
  if (most !== null) return least === 0 ? `at most ${usd(most)}` : `${usd(least)} to ${usd(most)}`
  return least === 0 ? "cost unknown" : `${usd(least)} and more, cost unknown`
}

/** Usage: `1,234 tokens (1,000 in, 234 out), $0.0123`. */
export const usage = (used: Usage.Usage): string => {
  const kinds: ReadonlyArray<readonly [number, string]> = [
    [used.inputTokens, "in"],
    [used.cacheReadTokens, "from cache"],
    [used.cacheWriteTokens, "to cache"],
    [used.outputTokens, "out"]
  ]
  const split = kinds.filter(([tokens]) => tokens > 0).map(([tokens, kind]) => `${number(tokens)} ${kind}`)
  const total = count(Usage.totalTokens(used), "token")
  return `${split.length === 0 ? total : `${total} (${split.join(", ")})`}, ${cost(used)}`
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** A duration: `350ms`, `4.2s`, `3m 05s`, `2h 10m`, `5d 3h`. */
export const elapsed = (duration: Duration.Duration): string => {
  const millis = Math.max(0, Duration.toMillis(duration))
  if (millis < second) return `${Math.round(millis)}ms`
  if (millis < minute) return `${(Math.floor(millis / 100) / 10).toFixed(1)}s`
  if (millis < hour) return pair(millis, minute, "m", second, "s")
  return millis < day ? pair(millis, hour, "h", minute, "m") : `${Math.floor(millis / day)}d ${hours(millis)}h`
}

const pair = (millis: number, large: number, largeUnit: string, small: number, smallUnit: string): string =>
  `${Math.floor(millis / large)}${largeUnit} ${String(Math.floor((millis % large) / small)).padStart(2, "0")}${smallUnit}`

const hours = (millis: number): number => Math.floor((millis % day) / hour)

/** An age in its largest unit: `now`, `12s`, `3m`, `5h`, `2d`. */
export const age = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  if (millis < second) return "now"
  if (millis < minute) return `${Math.floor(millis / second)}s`
  if (millis < hour) return `${Math.floor(millis / minute)}m`
  return millis < 2 * day ? `${Math.floor(millis / hour)}h` : `${Math.floor(millis / day)}d`
}

/** The result of an import: `3 tasks added, 2 already in the store`. */
export const importedText = ({
  added,
  existing,
  skipped
}: {
  readonly added: number
  readonly existing: number
  readonly skipped: number
}): string =>
  [
    `${count(added, "task")} added`,
    ...(existing === 0 ? [] : [`${number(existing)} already in the store`]),
    ...(skipped === 0 ? [] : [`${number(skipped)} skipped: already completed`])
  ].join(", ")
