/**
 * Times that a cron expression gives in a time zone, with errors that say what to write.
 *
 * @since 0.2.0
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

/**
 * Reads an expression of five fields; fails with the reason if it or the time zone is invalid. When clocks go back, a time at a
 * fixed hour occurs once, and one of every hour occurs in both.
 *
 * @category parsing
 * @since 0.2.0
 */
export const parse = (expression: string, timezone: string): Result.Result<Cron.Cron, string> => {
  const zone = DateTime.zoneFromString(timezone)
  if (Option.isNone(zone)) {
    return Result.fail(`The time zone "${timezone}" does not exist. Use a name such as Europe/Berlin, or UTC.`)
  }
  const fields = expression.trim().split(/\s+/)
  const hours = fields.at(-4) ?? "*"
  const cron = Cron.parse(expression, zone.value, { onDstOverlap: hours.includes("*") ? "both" : "earlier" })
  if (Result.isFailure(cron)) {
    return Result.fail(
      `"${expression}" is not a cron expression: ${cron.failure.message}. Write five fields (minute, hour, day, month, weekday), such as "0 2 * * *".`
    )
  }
  return Result.isSuccess(after(cron.success, DateTime.makeUnsafe(0)))
    ? Result.succeed(cron.success)
    : Result.fail(`"${expression}" never occurs. Check its day and month.`)
}

/**
 * The first time after another one.
 *
 * @category getters
 * @since 0.2.0
 */
export const after = (cron: Cron.Cron, time: DateTime.Utc): Result.Result<DateTime.Utc, string> =>
  Result.try({ try: () => DateTime.makeUnsafe(Cron.next(cron, time)), catch: String })
