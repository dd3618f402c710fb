/** The findings of `baton doctor`, for people. */
import type { Diagnosis } from "@baton/core/Diagnosis"
import { count } from "./quantity.ts"
import { safeText } from "./safeText.ts"
import type { Style } from "./style.ts"
import type { Canvas } from "./table.ts"
import { displayWidth, fit, pad, wrap } from "./width.ts"
import type { Applied } from "../settings/flags.ts"

/** Findings with a common heading. */
export interface Section {
  readonly title: string
  readonly found: ReadonlyArray<Diagnosis>
}

const marks = { ok: "✓", warn: "!", fail: "✗" } as const

const paintOf = (style: Style, status: Diagnosis["status"]) =>
  status === "ok" ? style.green : status === "warn" ? style.yellow : style.red

/** The sections with one line per finding; the fix of a problem is below it. */
export const sectionLines = (sections: ReadonlyArray<Section>, canvas: Canvas): ReadonlyArray<string> => {
  const all = sections.flatMap(({ found }) => found)
  const width = all.reduce((widest, { check }) => Math.max(widest, check.length), 0)
  const failed = all.filter(({ status }) => status === "fail").length
  const warned = all.filter(({ status }) => status === "warn").length
  const verdict =
    failed > 0 ? canvas.style.red(`✗ ${count(failed, "problem")}`) : canvas.style.green("✓ ready for a run")
  return [
    ...sections.flatMap(({ found, title }) => [
      canvas.style.bold(title),
      ...found.flatMap((diagnosis) => finding(diagnosis, width, canvas)),
      ""
    ]),
    verdict + (warned === 0 ? "" : `, ${count(warned, "warning")}`)
  ]
}

const finding = (
  { check, fix, message, status }: Diagnosis,
  width: number,
  { columns, style }: Canvas
): ReadonlyArray<string> => {
  const indent = " ".repeat(width + 6)
  const cells = Math.max(20, Math.min(columns, 120) - indent.length)
  const [first = "", ...others] = wrap(safeText(message), cells)
  return [
    `  ${paintOf(style, status)(marks[status])} ${style.dim(pad(check, width))}  ${first}`,
    ...others.map((line) => indent + line),
    ...(fix === undefined ? [] : wrap(`→ ${safeText(fix)}`, cells).map((line) => indent + line))
  ]
}

/** The settings, one per line. */
export const settingLines = (settings: ReadonlyArray<Applied>, { columns, style }: Canvas): ReadonlyArray<string> => {
  const names = settings.reduce((widest, { name }) => Math.max(widest, name.length), 0)
  const values = Math.min(
    40,
    settings.reduce((widest, { value }) => Math.max(widest, displayWidth(value)), 0)
  )
  return [
    ...settings.map(({ from, name, problem, value }) => {
      const isDefault = from === "default"
      const line = `${pad(name, names)}  ${pad(fit(value, values), values)}  `
      const text = fit(`${line}${from}${problem === null ? "" : `: ${problem}`}`, columns)
      return problem !== null ? style.red(text) : isDefault ? style.dim(text) : text
    }),
    "",
    "Flags override the environment, the environment overrides the configuration, which overrides the defaults."
  ]
}
