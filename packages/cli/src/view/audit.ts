/** The report of `baton audit`: how often people disagree with verdicts. */
import * as Audit from "@baton/core/Audit"
import type { AuditReply } from "@baton/core/TaskStore"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { count, number } from "./quantity.ts"
import { firstLine, safe, type SafeText } from "./safeText.ts"
import { type Canvas, type Column, lines } from "./table.ts"

/** The object that `--json` prints. */
export const AuditReport = Schema.Struct({
  /** The share of the tasks in the sample. */
  share: Schema.Finite,
  /** Null for all queues. */
  queue: Schema.NullOr(Schema.String),
  ...Audit.Report.fields
})

export interface AuditReport extends Schema.Schema.Type<typeof AuditReport> {}

/** A share as a percentage with at most one decimal. */
export const percent = (share: number): string => `${Number((share * 100).toFixed(1))}%`

const between = ({ high, low }: Audit.Interval): string => `${percent(low)} to ${percent(high)}`

const rate = (rate: Audit.Rate): string =>
  rate.audited === 0
    ? `none of ${number(rate.sampled)} audited`
    : `${number(rate.wrong)} of ${number(rate.audited)} (${between(rate)})`

const columns: ReadonlyArray<Column<Audit.JudgeRates>> = [
  {
    header: "JUDGE",
    flexible: true,
    text: ({ models }) => (models.length === 0 ? "no model" : models.map(firstLine).join(", "))
  },
  { header: "FALSE ACCEPTS", text: ({ falseAccepts }) => rate(falseAccepts) },
  { header: "FALSE REJECTS", text: ({ falseRejects }) => rate(falseRejects) },
  { header: "CRITERIA", text: ({ criteria }) => firstLine(criteria ?? "") }
]

/** The lines of the report. */
export const reportLines = ({ all, judges, share }: AuditReport, canvas: Canvas): Stream.Stream<string> => {
  const left = all.sampled - all.audited
  const agreed = all.audited - all.wrong
  const agreement =
    all.audited === 0
      ? "No verdict was audited yet"
      : `People agree with ${number(agreed)} of ${count(all.audited, "verdict")}: ${percent(agreed / all.audited)} (${between({ low: 1 - all.high, high: 1 - all.low })})`
  return Stream.concat(
    Stream.make(
      safe`${agreement}. ${number(left)} of ${count(all.sampled, "verdict")} in the sample of ${percent(share)} ${left === 1 ? "waits" : "wait"} for an audit.`,
      ""
    ),
    lines<Audit.JudgeRates>(() => columns, canvas)(Stream.fromIterable(judges))
  )
}

/** Why a finding was not kept, as a sentence. */
export const refusal = (id: string, { audit }: AuditReply): SafeText =>
  audit === undefined
    ? safe`${id} has no verdict to audit.`
    : safe`${firstLine(audit.by)} has already audited ${id}, and ${audit.agrees ? "agrees" : "disagrees"}${audit.comment === "" ? "." : `: ${firstLine(audit.comment)}`}`
