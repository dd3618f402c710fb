/** Numbers, money and times for people, in the same form as on the command line. */
import * as Usage from "@baton/core/Usage"

/** A whole number with separated thousands: `1,234,567`. */
export const number = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",")

/** A count and its noun: `1 task`, `1,200 tasks`. */
export const count = (value: number, noun: string, plural = `${noun}s`): string =>
  `${number(value)} ${value === 1 ? noun : plural}`

/** US dollars with two digits, or four for amounts below one dollar. */
export const usd = (amount: number): string => {
  if (amount > 0 && amount < 0.0001) return "< $0.0001"
  const [whole = "0", cents = "00"] = amount.toFixed(amount > 0 && amount < 1 ? 4 : 2).split(".")
  return `$${number(Number(whole))}.${cents}`
}

/** A cost, or its bounds if requests were cut off. An unknown cost is never shown as zero. */
export const cost = (usage: Usage.Usage): string => {
  if (usage.costUsd !== null) return usd(usage.costUsd)
  const least = Usage.minUsd(usage)
  const most = Usage.maxUsd(usage)
  if (most !== null) return least === 0 ? `at most ${usd(most)}` : `${usd(least)} to ${usd(most)}`
  return least === 0 ? "cost unknown" : `${usd(least)} or more`
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const pair = (millis: number, large: number, largeUnit: string, small: number, smallUnit: string): string =>
  `${Math.floor(millis / large)}${largeUnit} ${String(Math.floor((millis % large) / small)).padStart(2, "0")}${smallUnit}`

/** A duration: `350ms`, `4.2s`, `3m 05s`, `2h 10m`, `5d 3h`. */
export const elapsed = (millis: number): string => {
  if (millis < second) return `${Math.round(Math.max(0, millis))}ms`
  if (millis < minute) return `${(Math.floor(millis / 100) / 10).toFixed(1)}s`
  if (millis < hour) return pair(millis, minute, "m", second, "s")
  if (millis < day) return pair(millis, hour, "h", minute, "m")
  return `${Math.floor(millis / day)}d ${Math.floor((millis % day) / hour)}h`
}

/** The age of something in its largest unit: `now`, `12s ago`, `3m ago`, `5h ago`, `2d ago`. */
export const ago = (millis: number): string => {
  if (millis < second) return "now"
  if (millis < minute) return `${Math.floor(millis / second)}s ago`
  if (millis < hour) return `${Math.floor(millis / minute)}m ago`
  return millis < 2 * day ? `${Math.floor(millis / hour)}h ago` : `${Math.floor(millis / day)}d ago`
}

/** A share as a whole percentage. Only a complete share is 100%, and only an empty one is 0%. */
export const percent = (part: number, whole: number): string => {
  if (whole === 0 || part === 0) return "0%"
  return part >= whole ? "100%" : `${Math.min(99, Math.max(1, Math.round((100 * part) / whole)))}%`
}

/** The size of a text: `320 characters`, `12 kB`, `5.0 MB`. */
export const size = (length: number): string => {
  if (length < 1000) return count(length, "character")
  return length < 1_000_000 ? `${Math.round(length / 1000)} kB` : `${(length / 1_000_000).toFixed(1)} MB`
}

/** The first nonblank line of a text, cut for a list. */
export const firstLine = (text: string): string => (/\S[^\n]*/.exec(text.slice(0, 4000))?.[0] ?? "").slice(0, 500)
