import { totalTokens } from "@baton/core/Usage"
import { Link } from "@tanstack/react-router"
import type { Queue } from "../schema.ts"
import { useQueues, useRates } from "../api/queries.ts"
import { BudgetLines } from "../components/BudgetLines.tsx"
import { PauseButton } from "../components/Layout.tsx"
import { Command, Empty, Failure, Loading } from "../components/Message.tsx"
import { Workers } from "../components/Workers.tsx"
import { statusName } from "../components/Status.tsx"
import { ended, reasons, statuses, total } from "../text/waiting.ts"
import { workflowOf } from "../text/workflows.ts"
import { cost, count, elapsed, number, percent } from "../text/format.ts"

/** The share of each status, as one bar. */
const Progress = ({ queue }: { readonly queue: Queue }) => {
  const size = total(queue)
  return (
    <div
      className="progress"
      role="progressbar"
      aria-label={`Progress of ${queue.queue}`}
      aria-valuemin={0}
      aria-valuemax={size}
      aria-valuenow={ended(queue)}
      aria-valuetext={`${number(ended(queue))} of ${count(size, "task")} ended`}
    >
      {statuses.map(
        (status) =>
          queue[status] > 0 &&
          status !== "pending" && (
            <span key={status} data-status={status} style={{ flexGrow: queue[status], flexBasis: 0 }} />
          )
      )}
      {queue.pending > 0 && <span data-status="rest" style={{ flexGrow: queue.pending, flexBasis: 0 }} />}
    </div>
  )
}

const QueueCard = ({
  isPaused,
  queue,
  rate
}: {
  readonly queue: Queue
  readonly isPaused: boolean
  readonly rate: number | undefined
}) => {
  const size = total(queue)
  const left = size - ended(queue)
  const notes = reasons(queue, isPaused)
  return (
    <li className="card queue">
      <div className="queue-head">
        <h2>
          <Link to="/tasks" search={{ queue: queue.queue }}>
            {queue.queue}
          </Link>
        </h2>
        <p className="queue-share">
          <strong>{percent(ended(queue), size)}</strong>
          <span className="muted"> of {count(size, "task")}</span>
          <Link
            to="/report"
            search={{ queue: queue.queue }}
            className="queue-settings"
            aria-label={`Report on ${queue.queue}`}
          >
            Report
          </Link>
          <Link
            to="/settings"
            search={{ queue: queue.queue }}
            className="queue-settings"
            aria-label={`Settings of ${queue.queue}`}
          >
            Settings
          </Link>
        </p>
      </div>
      <Progress queue={queue} />
      <ul className="counts">
        {statuses
          .filter((status) => (status !== "cancelled" && status !== "in_review") || queue[status] > 0)
          .map((status) => (
            <li key={status}>
              <Link
                to="/tasks"
                search={{ queue: queue.queue, status }}
                data-status={status}
                data-zero={queue[status] === 0}
              >
                <span className="count-number">{number(queue[status])}</span> {statusName(status).toLowerCase()}
              </Link>
            </li>
          ))}
        {queue.usage !== undefined && (
          <li className="muted">
            {cost(queue.usage)} used, {count(totalTokens(queue.usage), "token")}
          </li>
        )}
        <li className="queue-rate muted">
          {left === 0
            ? "All tasks have ended"
            : rate === undefined
              ? ""
              : `${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} tasks/min, ${elapsed((left / rate) * 60_000)} left`}
        </li>
      </ul>
      {queue.workers.total > 0 && <Workers queue={queue} most={3} />}
      {queue.budget !== undefined && <BudgetLines budget={queue.budget} />}
      {(notes.length > 0 || queue.failed > 0 || queue.in_review > 0) && (
        <ul className="notes">
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
          {queue.in_review > 0 && (
            <li data-kind="in_review">
              <Link to="/review" search={{ queue: queue.queue }}>
                {count(queue.in_review, "output")} to review
              </Link>
            </li>
          )}
          {queue.failed > 0 && (
            <li data-kind="failed">
              <Link to="/failures" search={{ queue: queue.queue }}>
                {count(queue.failed, "failed task")}, grouped by cause
              </Link>
            </li>
          )}
        </ul>
      )}
    </li>
  )
}

export const QueuesPage = () => {
  const queues = useQueues()
  const rates = useRates(queues.data)
  if (queues.data === undefined) {
    return queues.error === null ? <Loading /> : <Failure error={queues.error} onRetry={() => void queues.refetch()} />
  }
  const shown = queues.data.queues.filter(({ queue }) => workflowOf(queue) === undefined)
  // Queues with work come first.
  const all = [
    ...shown.filter((queue) => ended(queue) < total(queue)),
    ...shown.filter((queue) => ended(queue) === total(queue))
  ]
  return (
    <>
      <title>Queues · Baton</title>
      <div className="page-head">
        <h1>Queues</h1>
        <PauseButton />
      </div>
      {all.length === 0 ? (
        <Empty title="There are no tasks yet">
          <p>Run a list of prompts, one per row, and watch it here:</p>
          <Command>baton run prompts.csv</Command>
          <p className="muted">
            The page shows the store that <code>baton serve</code> was started with. Use the same <code>--store</code>{" "}
            for both.
          </p>
        </Empty>
      ) : (
        <ul className="queues">
          {all.map((queue) => (
            <QueueCard
              key={queue.queue}
              queue={queue}
              isPaused={queues.data.control.paused}
              rate={rates.get(queue.queue)}
            />
          ))}
        </ul>
      )}
    </>
  )
}
