import { lazy, Suspense, useMemo, useState } from "react"
import { useActivity } from "../api/queries.ts"
import type { Activity as Ends } from "../schema.ts"
import { count, elapsed, number } from "../text/format.ts"

// A chunk of its own: most pages have no chart.
const Chart = lazy(() => import("./Chart.tsx").then(({ Chart }) => ({ default: Chart })))

const timeOf = (millis: number): string =>
  new Date(millis).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })

const sum = (counts: ReadonlyArray<number>) => counts.reduce((all, some) => all + some, 0)

/** What the chart shows, for readers who do not see it. */
const Table = ({
  ends: { completed, failed, widthMillis },
  start
}: {
  readonly ends: Ends
  readonly start: number
}) => (
  <table className="sr-only">
    <caption>Tasks that ended, in intervals of {elapsed(widthMillis)}</caption>
    <thead>
      <tr>
        <th scope="col">From</th>
        <th scope="col">Completed</th>
        <th scope="col">Failed</th>
      </tr>
    </thead>
    <tbody>
      {completed.map((done, index) => (
        <tr key={index}>
          <th scope="row">{timeOf(start + index * widthMillis)}</th>
          <td>{number(done)}</td>
          <td>{number(failed[index] ?? 0)}</td>
        </tr>
      ))}
    </tbody>
  </table>
)

const Shown = ({ ends, start }: { readonly ends: Ends; readonly start: number }) => {
  const { complete, completed, failed, widthMillis } = ends
  const [pointed, setPointed] = useState<number | null>(null)
  const series = useMemo(
    () => [
      { status: "completed", values: completed },
      { status: "failed", values: failed }
    ],
    [completed, failed]
  )
  return (
    <>
      <p className="activity-text">
        {pointed === null ? (
          <>
            {count(sum(completed), "task")} completed and {number(sum(failed))} failed within{" "}
            {elapsed(completed.length * widthMillis)}
            <span className="muted"> · one bar is {elapsed(widthMillis)}</span>
            {!complete && <span className="muted"> · of the first 10,000 tasks</span>}
          </>
        ) : (
          <>
            {timeOf(start + pointed * widthMillis)}: {number(completed[pointed] ?? 0)} completed,{" "}
            {number(failed[pointed] ?? 0)} failed
          </>
        )}
      </p>
      <Suspense>
        <Chart start={start} widthMillis={widthMillis} series={series} onPoint={setPointed} />
      </Suspense>
      <Table ends={ends} start={start} />
    </>
  )
}

/** When the tasks of a queue ended. It keeps its height while it loads, because the rows of the list below it have places. */
export const Activity = ({ queue }: { readonly queue: string }) => {
  const { data } = useActivity(queue)
  return (
    <section className="card activity" aria-label="When tasks ended">
      {data === undefined ? null : data.start === undefined ? (
        <p className="activity-text">No task of this queue has ended yet.</p>
      ) : (
        <Shown ends={data} start={Date.parse(data.start)} />
      )}
    </section>
  )
}
