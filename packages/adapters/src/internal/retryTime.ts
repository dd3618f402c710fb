import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

/**
 * When a program may be tried again, in epoch milliseconds, from its output; null when that names no time. Programs tell
 * their users in sentences, of which these are known:
 *
 * - `retry at 2026-11-30T18:00:00Z`, `retry after 3600` (seconds): the convention for your own programs
 * - `Claude AI usage limit reached|1764525600`
 * - `5-hour limit reached ∙ resets 3pm`, `You've hit your limit · resets 3:30pm (Europe/Berlin)`,
 *   `Weekly limit reached ∙ resets Dec 6, 1pm`
 * - `Try again in 2 days 3 hours 22 minutes`, `try again at 3:02 PM`, `try again at Dec 6th, 2026 1:00 PM`
 *
 * A time of day without a date is the next one after `now`. Without a time zone, it is in that of this machine.
 */
export const retryTimeIn = (text: string, now: number): number | null => {
  const sentences = text.split("\n").toReversed()
  for (const sentence of sentences) {
    const found = isoTime(sentence) ?? epoch(sentence) ?? duration(sentence, now) ?? timeOfDay(sentence, now)
    if (found !== undefined) return found
  }
  return null
}

const isoTime = (text: string): number | undefined => {
  const time = /\b(?:retry|try again|resets?)(?: at| on)?:? (\d{4}-\d\d-\d\dT\S*\d(?:Z|[+-]\d\d:?\d\d)?)/i.exec(
    text
  )?.[1]
  return time === undefined ? undefined : millis(DateTime.make(time))
}

/** Seconds or milliseconds since 1970. */
const epoch = (text: string): number | undefined => {
  const digits = /\blimit reached\|(\d{10}|\d{13})\b/i.exec(text)?.[1]
  return digits === undefined ? undefined : digits.length === 10 ? Number(digits) * 1000 : Number(digits)
}

const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const

const duration = (text: string, now: number): number | undefined => {
  const seconds = /\bretry[ -]after:? (\d{1,9})(?: s(?:econds?)?)?\b/i.exec(text)?.[1]
  if (seconds !== undefined) return now + Number(seconds) * 1000
  const amounts =
    /\b(?:try again|retry|resets?) in ((?:(?:\d{1,6}|an?) ?(?:d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)\b[ ,]*(?:and )?)+)/i.exec(
      text
    )?.[1]
  if (amounts === undefined) return undefined
  let wait = 0
  for (const [, amount, unit] of amounts.matchAll(/(\d+ ?|\ban? )([dhms])/gi)) {
    const key = unit?.toLowerCase()
    if (key === "d" || key === "h" || key === "m" || key === "s") wait += (Number(amount) || 1) * units[key]
  }
  return now + wait
}

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

const clockTime =
  /\b(?:resets?|try again)(?: at| on)? (?:([a-z]{3})[a-z]* (\d{1,2})(?:st|nd|rd|th)?(?:,? (\d{4}))?,? (?:at )?)?(\d{1,2})(?::(\d\d))? ?([ap])\.?m\.?(?: \(([\w/+-]+)\))?/i

const timeOfDay = (text: string, now: number): number | undefined => {
  const match = clockTime.exec(text)
  if (match === null) return undefined
  const [, monthName, dayText, yearText, hourText, minuteText, half, zoneName] = match
  const zone = Option.getOrElse(DateTime.zoneMakeNamed(zoneName ?? ""), DateTime.zoneMakeLocal)
  const today = DateTime.toParts(DateTime.setZone(DateTime.makeUnsafe(now), zone))
  const hour = (Number(hourText) % 12) + (half?.toLowerCase() === "p" ? 12 : 0)
  const at = (year: number, month: number, day: number) =>
    millis(
      Option.map(
        DateTime.makeZoned(
          { year, month, day, hour, minute: Number(minuteText ?? 0), second: 0, millisecond: 0 },
          { timeZone: zone, adjustForTimeZone: true }
        ),
        DateTime.toUtc
      )
    )
  const month = months.indexOf(monthName?.toLowerCase() ?? "") + 1
  if (month > 0) {
    const year = yearText === undefined ? today.year : Number(yearText)
    const time = at(year, month, Number(dayText))
    // In December, a day in January is in the next year.
    return yearText === undefined && time !== undefined && time < now - 30 * units.d
      ? at(year + 1, month, Number(dayText))
      : time
  }
  if (monthName !== undefined) return undefined
  const next = at(today.year, today.month, today.day)
  return next !== undefined && next <= now ? at(today.year, today.month, today.day + 1) : next
}

const millis = (time: Option.Option<DateTime.DateTime>): number | undefined =>
  Option.isSome(time) ? time.value.epochMilliseconds : undefined
