/**
 * Durations and times as people read them.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/**
 * How long something took: `350ms`, `4.2s`, `3m 05s`, `2h 10m`, `5d 3h`.
 *
 * @category converting
 * @since 0.1.0
 */
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

/**
 * How long ago something was, in its largest unit: `now`, `12s`, `3m`, `5h`, `2d`.
 *
 * @category converting
 * @since 0.1.0
 */
export const age = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  if (millis < second) return "now"
  if (millis < minute) return `${Math.floor(millis / second)}s`
  if (millis < hour) return `${Math.floor(millis / minute)}m`
  return millis < 2 * day ? `${Math.floor(millis / hour)}h` : `${Math.floor(millis / day)}d`
}

/**
 * A moment in UTC to the second: `2026-11-21 08:30:12Z`.
 *
 * @category converting
 * @since 0.1.0
 */
export const moment = (at: DateTime.Utc): string => `${DateTime.formatIso(at).slice(0, 19).replace("T", " ")}Z`
