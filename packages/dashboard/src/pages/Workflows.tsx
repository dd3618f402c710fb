import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useExecutions, useQueues } from "../api/queries.ts"
import type { TaskItem } from "../schema.ts"
import { Command, Empty, LoadingOrFailure } from "../components/Message.tsx"
import { Plain } from "../components/Plain.tsx"
import { StatusBadge, statusName } from "../components/Status.tsx"
import { Ago } from "../components/Time.tsx"
import { count, firstLine } from "../text/format.ts"
import { statuses } from "../text/waiting.ts"
import { executionId, queueOf, workflowOf } from "../text/workflows.ts"

const route = getRouteApi("/workflows")

const Execution = ({ task }: { readonly task: TaskItem }) => (
  <li className="card execution">
    <div className="execution-text">
      <h2>
        <Link to="/execution" search={{ id: task.id }}>
          {executionId(task).slice(0, 12)}
        </Link>
      </h2>
      <p className="muted execution-payload">
        <Plain text={firstLine(task.description.text)} />
      </p>
    </div>
    <StatusBadge status={task.status} />
    <span className="muted execution-time">
      <Ago at={task.updatedAt} />
    </span>
  </li>
)

export const WorkflowsPage = () => {
  const { status, workflow } = route.useSearch()
  const navigate = useNavigate()
  const queues = useQueues()
  const workflows = queues.data?.queues.flatMap(({ queue }) => workflowOf(queue) ?? []) ?? []
  const chosen = workflow ?? workflows[0]
  const executions = useExecutions(chosen === undefined ? undefined : queueOf(chosen), status)
  const to = (search: { readonly workflow?: string | undefined; readonly status?: string | undefined }) =>
    void navigate({ to: "/workflows", search: { workflow: chosen, status, ...search }, replace: true })
  const { data } = executions
  return (
    <>
      <title>Workflows · Baton</title>
      <div className="page-head">
        <h1>Workflows</h1>
        {data !== undefined && data.total !== undefined && (
          <p className="muted" role="status">
            {count(data.total, "execution")}
          </p>
        )}
        <div className="page-actions">
          <label>
            <span className="sr-only">Workflow</span>
            <select value={chosen ?? ""} onChange={(event) => to({ workflow: event.target.value })}>
              {workflows.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <label>
            <span className="sr-only">Status</span>
            <select
              value={status ?? ""}
              onChange={(event) => to({ status: event.target.value === "" ? undefined : event.target.value })}
            >
              <option value="">Any status</option>
              {statuses.map((name) => (
                <option key={name} value={name}>
                  {statusName(name)}
                </option>
              ))}
            </select>
          </label>
        </div>
      </div>
      {queues.data !== undefined && chosen === undefined ? (
        <Empty title="No workflow was started">
          <p>Executions of the workflows of baton.config.ts are listed here. In a terminal:</p>
          <Command>baton workflow start NAME --payload JSON</Command>
        </Empty>
      ) : data === undefined ? (
        <LoadingOrFailure query={executions} />
      ) : data.tasks.length === 0 ? (
        <Empty title="No execution has this status" />
      ) : (
        <>
          <ul className="executions">
            {data.tasks.map((task) => (
              <Execution key={task.id} task={task} />
            ))}
          </ul>
          {data.next !== undefined && (
            <p className="note">There are more executions. Choose a status, or use baton workflow list.</p>
          )}
        </>
      )}
    </>
  )
}
