import { useActivity } from "../api/queries.ts"
import type { Activity as Ends } from "../schema.ts"
import { count, elapsed, number } from "../text/format.ts"

/** Of one bar, in the units of the drawing. */
const width = 10
const height = 100

const timeOf = (millis: number): string =>
  new Date(millis).toLocaleString([], { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" })

const Bars = ({ ends: { completed, failed, widthMillis }, start }: { readonly ends: Ends; readonly start: number }) => {
  const most = completed.reduce((most, some, index) => Math.max(most, some + (failed[index] ?? 0)), 1)
  const heightOf = (tasks: number) => (tasks / most) * height
  return (
    <svg viewBox={`0 0 ${completed.length * width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      {completed.map((done, index) => {
        const lost = failed[index] ?? 0
        const x = index * width + 1
        return (
          <g key={index}>
            <title>{`${timeOf(start + index * widthMillis)}: ${number(done)} completed, ${number(lost)} failed`}</title>
            <rect className="activity-whole" x={x - 1} y={0} width={width} height={height} />
            <rect data-status="completed" x={x} y={height - heightOf(done)} width={width - 2} height={heightOf(done)} />
            <rect
              data-status="failed"
              x={x}
              y={height - heightOf(done + lost)}
              width={width - 2}
              height={heightOf(lost)}
            />
          </g>
        )
      })}
    </svg>
  )
}

/** When the tasks of a queue ended. It keeps its height while it loads, because the rows of the list below it have places. */
export const Activity = ({ queue }: { readonly queue: string }) => {
  const { data } = useActivity(queue)
  const start = data === undefined || data.start === null ? null : Date.parse(data.start)
  const end = data === undefined || start === null ? 0 : start + data.completed.length * data.widthMillis
  const sum = (counts: ReadonlyArray<number>) => counts.reduce((all, some) => all + some, 0)
  return (
    <section className="card activity" aria-label="When tasks ended">
      {data !== undefined && (
        <>
          <p className="activity-text">
            {start === null ? (
              "No task of this queue has ended yet."
            ) : (
              <>
                {count(sum(data.completed), "task")} completed and {number(sum(data.failed))} failed within{" "}
                {elapsed(end - start)}
                <span className="muted"> · one bar is {elapsed(data.widthMillis)}</span>
                {!data.complete && <span className="muted"> · of the first 10,000 tasks</span>}
              </>
            )}
          </p>
          {start !== null && (
            <>
              <Bars ends={data} start={start} />
              <p className="activity-times muted">
                <span>{timeOf(start)}</span>
                <span>{timeOf(end)}</span>
              </p>
            </>
          )}
        </>
      )}
    </section>
  )
}
