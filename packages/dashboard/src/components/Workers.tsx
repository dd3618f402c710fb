import { Link } from "@tanstack/react-router"
import { useNow } from "../api/queries.ts"
import type { Queue } from "../schema.ts"
import { count } from "../text/format.ts"
import { workText } from "../text/workers.ts"
import { Plain } from "./Plain.tsx"

/** Who runs tasks of a queue: the workers with the most tasks, and how many more there are. */
export const Workers = ({ most, queue: { queue, workers } }: { readonly queue: Queue; readonly most: number }) => {
  const now = useNow()
  const shown = workers.first.slice(0, most)
  const more = workers.total - shown.length
  return (
    <ul className="workers" aria-label={`Workers of ${queue}`}>
      {shown.map((worker) => (
        <li key={worker.name} data-lost={worker.isLost}>
          <span className="worker-name">
            <Plain text={worker.name} />
          </span>
          <span className="worker-tasks">{workText(worker, now)}</span>
        </li>
      ))}
      {more > 0 && (
        <li>
          {shown.length < workers.first.length ? (
            <Link to="/settings" search={{ queue }}>
              {count(more, "more worker")}
            </Link>
          ) : (
            <span className="muted">{count(more, "more worker")}</span>
          )}
        </li>
      )}
    </ul>
  )
}
