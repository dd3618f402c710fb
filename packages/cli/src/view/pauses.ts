/** The pauses of queues, for people and programs. */
import { optionalNullOr } from "@baton/core/OptionalKey"
import { PauseCause, type QueuePause } from "@baton/core/QueuePause"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { clock } from "./progressLine.ts"
import { moment } from "../system/moment.ts"
import { firstLine } from "./safeText.ts"

/** A pause in the output of `baton pause --queue` and `baton status`. */
export const PausedQueue = Schema.Struct({
  queue: Schema.String,
  /** `requested` with `baton pause`, or a `usage-limit`. */
  cause: PauseCause,
  /** Null: until the queue is resumed. */
  until: optionalNullOr(Schema.DateTimeUtcFromString),
  reason: Schema.String
})

export interface PausedQueue extends Schema.Schema.Type<typeof PausedQueue> {}

export const pausedQueue = ({ cause, queue, reason, until }: QueuePause): PausedQueue => ({
  queue,
  cause,
  until,
  reason
})

/** When it resumes, with the time left: `until 2026-11-30 15:00:00Z (12m 03s left)`. */
export const endText = ({ until }: Pick<PausedQueue, "until">, now: number): string => {
  if (until === undefined) return "until it is resumed"
  const left = until.epochMilliseconds - now
  return left > 0 ? `until ${moment(until)} (${clock(left)} left)` : `since ${moment(until)}, one task goes first`
}

/** A line for each pause. */
export const pauseLines = (pauses: ReadonlyArray<PausedQueue>, now: number): ReadonlyArray<string> =>
  pauses.map((pause) =>
    pause.cause === "requested"
      ? `${firstLine(pause.queue)} is paused ${endText(pause, now)}`
      : `${firstLine(pause.queue)} waits for a usage limit ${endText(pause, now)}: ${firstLine(pause.reason)}`
  )

/** Reads a time that a person wrote: `2h`, `18:30` (the next one, in local time), or a date with a time. */
export const readTime = (text: string, now: number): DateTime.Utc | undefined => {
  const amount = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(text.trim())
  if (amount !== null) {
    const unit = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[amount[2] ?? "s"] ?? 1000
    return DateTime.makeUnsafe(now + Number(amount[1]) * unit)
  }
  const zone = DateTime.zoneMakeLocal()
  const ofDay = /^(\d{1,2}):(\d\d)$/.exec(text.trim())
  if (ofDay !== null) {
    const [, hour = "", minute = ""] = ofDay
    if (Number(hour) > 23 || Number(minute) > 59) return undefined
    const today = DateTime.setParts(DateTime.setZone(DateTime.makeUnsafe(now), zone), {
      hour: Number(hour),
      minute: Number(minute),
      second: 0,
      millisecond: 0
    })
    return DateTime.toUtc(today.epochMilliseconds > now ? today : DateTime.add(today, { days: 1 }))
  }
  if (!/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/.test(text.trim()))
    return undefined
  const time = DateTime.makeZoned(text.trim(), {
    timeZone: zone,
    adjustForTimeZone: !/(?:Z|[+-]\d\d:?\d\d)$/.test(text.trim())
  })
  return time._tag === "Some" ? DateTime.toUtc(time.value) : undefined
}
