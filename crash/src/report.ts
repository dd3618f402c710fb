import { byTask, type Evidence, type Violation } from "./check.ts"
import type { FaultTestResult, Options } from "./faultTest.ts"

const median = (values: ReadonlyArray<number>): number | undefined =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)]

const inSeconds = (millis: number | undefined): string =>
  millis === undefined || !Number.isFinite(millis) ? "-" : `${(millis / 1000).toFixed(2)} s`

const columns: ReadonlyArray<readonly [title: string, cell: (result: FaultTestResult) => string | number]> = [
  ["store", ({ store }) => store],
  ["seconds", ({ seconds }) => seconds],
  ["kills", ({ injected }) => injected.counts.kill],
  ["freezes", ({ injected }) => injected.counts.freeze],
  ["cuts", ({ injected }) => injected.counts.cut],
  ["half-open", ({ injected }) => injected.counts.halfOpen],
  ["restarts", ({ injected }) => injected.counts.restart],
  ["tasks", ({ tasks }) => tasks],
  ["completed", ({ findings }) => findings.completed],
  ["failed", ({ findings }) => findings.failed],
  ["executions", ({ findings }) => findings.executions],
  ["repeated", ({ findings }) => findings.repeated],
  ["late starts", ({ findings }) => findings.late],
  ["fenced", ({ findings }) => findings.fenced],
  ["takeovers", ({ findings }) => findings.takeovers.length],
  ["median", ({ findings }) => inSeconds(median(findings.takeovers))],
  ["max", ({ findings }) => inSeconds(Math.max(...findings.takeovers))],
  ["in outages", ({ findings }) => findings.disturbedTakeovers],
  ["lost", ({ findings }) => findings.lost],
  ["settled twice", ({ findings }) => findings.settledTwice]
]

const optional = new Set(["cuts", "half-open", "restarts", "in outages"])

/** A table with a row for each test. Faults that were injected nowhere have no column. */
export const table = (results: ReadonlyArray<FaultTestResult>): string => {
  const shown = columns.filter(([title, cell]) => !optional.has(title) || results.some((result) => cell(result) !== 0))
  const rows = [
    shown.map(([title]) => title),
    ...results.map((result) => shown.map(([, cell]) => String(cell(result))))
  ]
  const widths = shown.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
    )
    .join("\n")
}

/** How many tasks are printed with their full history. */
const shownTasks = 3
const shownViolations = 20

/** The command that repeats the test with the same seed. */
export const repeatCommand = ({
  pace,
  seed,
  store,
  tasks
}: Pick<Options, "seed" | "tasks" | "pace"> & { readonly store: string }): string =>
  `npx -y pnpm@12 test:crash ${store} --seed ${seed} --tasks ${tasks}${pace === 1 ? "" : ` --pace ${pace}`}`

/** The violations, with the full history of the first tasks concerned. */
export const violations = ({ evidence, findings, store }: FaultTestResult): string => {
  const tasks = [...new Set(findings.violations.map(({ task }) => task))].filter((task) => task !== null)
  return [
    `${store}: ${findings.violations.length} violations`,
    ...findings.violations.slice(0, shownViolations).map(violationLine),
    ...tasks.slice(0, shownTasks).map((task) => taskHistory(evidence, task))
  ].join("\n")
}

const violationLine = ({ message, task }: Violation): string =>
  task === null ? `  ${message}` : `  ${task} ${message}`

const time = (millis: number): string => new Date(millis).toISOString().slice(11, 23)

const taskHistory = ({ history, injected, records }: Evidence, id: string): string => {
  const lines = byTask(history).get(id) ?? []
  const record = records.find(({ task }) => task.id === id)
  const owners = new Set(lines.map(({ worker }) => worker))
  const events = [
    ...lines.map((line) => {
      const { _tag, at, task: _, worker, ...rest } = line
      return { at, text: `${worker} ${_tag} ${JSON.stringify(rest)}` }
    }),
    ...injected.kills
      .filter(({ worker }) => owners.has(worker))
      .map(({ at, worker }) => ({ at, text: `${worker} KILLED` }))
  ].toSorted((left, right) => left.at - right.at)
  return [
    `\n  ${id}: history`,
    ...events.map(({ at, text }) => `    ${time(at)} ${text}`),
    `  ${id}: in the store`,
    ...(record === undefined
      ? ["    nothing"]
      : [
          `    ${JSON.stringify(record.task)}`,
          ...record.attempts.map(
            ({ endedAt, execution, number, outcome, owner, startedAt, token, verification }) =>
              `    lease ${token}, attempt ${number}, ${owner}: ${time(startedAt.epochMilliseconds)} to ` +
              `${endedAt === undefined ? "now" : time(endedAt.epochMilliseconds)}, ${outcome}, ` +
              `${execution?.output ?? "no output"}, ${verification === undefined ? "no verdict" : verification.passed ? "passed" : "rejected"}`
          )
        ])
  ].join("\n")
}
