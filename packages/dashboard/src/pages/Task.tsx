import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useState } from "react"
import { RequestError } from "../api/client.ts"
import { useCancel, useMay, useRequeue, useTask } from "../api/queries.ts"
import type { Attempt, TaskDetail } from "../schema.ts"
import { Confirm, type Question } from "../components/Confirm.tsx"
import { Fact } from "../components/Fact.tsx"
import { ArrowLeft, Cross, Requeue } from "../components/icons.tsx"
import { Empty, Failure, Loading } from "../components/Message.tsx"
import { OutputSoFar } from "../components/OutputSoFar.tsx"
import { Outputs } from "../components/Outputs.tsx"
import { Block, Plain } from "../components/Plain.tsx"
import { StatusBadge } from "../components/Status.tsx"
import { Ago } from "../components/Time.tsx"
import { Timeline } from "../components/Timeline.tsx"
import { notify } from "../components/toasts.tsx"
import { cost, count, number } from "../text/format.ts"
import { traceOf } from "../text/trace.ts"
import { plain } from "../text/visible.ts"
import { totalTokens } from "@baton/core/Usage"

const route = getRouteApi("/task")

type Task = TaskDetail["task"]

const Facts = ({
  isByPerson,
  task,
  traceId
}: {
  readonly task: Task
  readonly isByPerson: boolean
  readonly traceId: string | undefined
}) => (
  <dl className="facts">
    <Fact label="Queue">
      <Link to="/tasks" search={{ queue: task.queue }}>
        {task.queue}
      </Link>
    </Fact>
    <Fact label="Attempts">
      {number(task.attempts)}
      {task.requeues > 0 && <span className="muted"> after {count(task.requeues, "requeue")}</span>}
    </Fact>
    <Fact label="Cost">
      {task.usage === undefined ? <span className="muted">not metered</span> : cost(task.usage)}
      {task.usage !== undefined && <span className="muted"> · {count(totalTokens(task.usage), "token")}</span>}
    </Fact>
    <Fact label="Added">
      <Ago at={task.createdAt} />
    </Fact>
    <Fact label="Changed">
      <Ago at={task.updatedAt} />
    </Fact>
    {task.status === "completed" && (
      <Fact label="Result">
        {task.verified ? (isByPerson ? "Accepted by a person" : "Accepted by the verifier") : "Not verified"}
      </Fact>
    )}
    {traceId !== undefined && (
      <Fact label="Trace" className="ids">
        <code>{traceId}</code>
      </Fact>
    )}
    {task.dependsOn.length > 0 && (
      <Fact label="After" className="ids">
        {task.dependsOn.map((id) => (
          <Link key={id} to="/task" search={{ id }}>
            <Plain text={id} />
          </Link>
        ))}
      </Fact>
    )}
  </dl>
)

const Json = ({ label, value }: { readonly label: string; readonly value: unknown }) => {
  const text = JSON.stringify(value, null, 2)
  return (
    <details className="details">
      <summary>{label}</summary>
      <Block text={{ text, length: text.length, cut: false }} label={label} />
    </details>
  )
}

const isEmpty = (value: object): boolean => Object.keys(value).length === 0

const Actions = ({ task }: { readonly task: Task }) => {
  const mayChange = useMay("operate")
  const requeue = useRequeue()
  const cancel = useCancel()
  const [question, setQuestion] = useState<Question>()
  if (!mayChange) return null
  const ids = [task.id]
  const onError = (error: Error) => notify(error.message, "failed")
  const canRequeue = task.status === "failed" || task.status === "cancelled"
  const canCancel = task.status === "pending" || task.status === "in_progress"
  return (
    <>
      {canRequeue && (
        <button
          type="button"
          className="button primary"
          disabled={requeue.isPending}
          onClick={() =>
            requeue.mutate(
              { ids },
              {
                onError,
                onSuccess: ({ changed }) =>
                  notify(
                    changed === 1 ? "The task is pending again." : "The task was not changed: it is no longer failed."
                  )
              }
            )
          }
        >
          <Requeue />
          Requeue
        </button>
      )}
      {canCancel && (
        <button
          type="button"
          className="button"
          disabled={cancel.isPending}
          onClick={() =>
            setQuestion({
              title: "Cancel this task?",
              text:
                task.status === "in_progress"
                  ? "Its worker stops. Its unsaved work is lost."
                  : "It will not be executed.",
              action: "Cancel the task",
              isDanger: true,
              onConfirm: () =>
                cancel.mutate(
                  { ids },
                  {
                    onError,
                    onSuccess: ({ changed }) =>
                      notify(
                        changed === 1 ? "The task is cancelled." : "The task was not changed: it has already ended."
                      )
                  }
                )
            })
          }
        >
          <Cross />
          Cancel
        </button>
      )}
      <Confirm question={question} onClose={() => setQuestion(undefined)} />
    </>
  )
}

/** The attempt that is shown, and the one that it is compared with: by default the last output, and the one before. */
export const chosen = (
  attempts: ReadonlyArray<Attempt>,
  attempt: string | undefined,
  base: string | undefined
): { readonly selected: Attempt | undefined; readonly base: Attempt | undefined } => {
  const withOutput = attempts.filter(({ output }) => output !== undefined)
  const selected = attempts.find(({ token }) => String(token) === attempt) ?? withOutput.at(-1) ?? attempts.at(-1)
  if (selected === undefined || selected.output === undefined) return { selected, base: undefined }
  const others = withOutput.filter(({ token }) => token !== selected.token)
  return {
    selected,
    base:
      others.find(({ token }) => String(token) === base) ??
      others.findLast(({ token }) => token < selected.token) ??
      others.at(-1)
  }
}

export const TaskPage = () => {
  const { attempt, base, id, view = "output" } = route.useSearch()
  const navigate = useNavigate()
  const query = useTask(id)
  if (id === "") {
    return (
      <Empty title="No task was named">
        <p>
          Choose one from <Link to="/tasks">all tasks</Link>.
        </p>
      </Empty>
    )
  }
  // A task that was pruned is no longer shown. Other errors are temporary, and the next event reads the task again.
  const isGone = query.error instanceof RequestError && query.error.status === 404
  if (query.data === undefined || isGone) {
    return query.error === null ? <Loading /> : <Failure error={query.error} onRetry={() => void query.refetch()} />
  }
  const { attempts, progress, task } = query.data
  const running = attempts.find(({ outcome }) => outcome === "running")
  const isStreaming = running !== undefined && typeof progress?.output === "string"
  const shown = chosen(attempts, attempt ?? (isStreaming ? String(running.token) : undefined), base)
  const to = (search: Partial<ReturnType<typeof route.useSearch>>) =>
    void navigate({ to: "/task", search: { id, attempt, base, view, ...search }, replace: true, resetScroll: false })
  return (
    <>
      <title>{`${plain(task.id)} · Baton`}</title>
      <Link to="/tasks" search={{ queue: task.queue }} className="back">
        <ArrowLeft />
        {task.queue}
      </Link>
      <div className="page-head">
        <h1 className="task-title">
          <Plain text={task.id} />
        </h1>
        <StatusBadge status={task.status} />
        <div className="page-actions">
          {task.status === "in_review" && (
            <Link to="/review" search={{ id: task.id, queue: task.queue }} className="button primary">
              Review
            </Link>
          )}
          <Actions task={task} />
        </div>
      </div>
      <section className="card prompt" aria-label="Prompt">
        <Block text={task.description} label="Prompt" />
        <Facts
          task={task}
          isByPerson={attempts.at(-1)?.verification?.decision !== undefined}
          traceId={attempts.map(traceOf).find((id) => id !== undefined)}
        />
        {task.payload !== undefined && <Json label="Payload" value={task.payload} />}
        {!isEmpty(task.metadata) && <Json label="Metadata" value={task.metadata} />}
        {!isEmpty(task.overrides) && <Json label="Settings of this task" value={task.overrides} />}
      </section>
      {shown.selected === undefined ? (
        <Empty title="Not started yet">
          <p>
            The attempts of this task appear here.{" "}
            {task.dependsOn.length > 0 && "It starts when the tasks before it are completed."}
          </p>
        </Empty>
      ) : (
        <div className="task-body">
          <section aria-label="Attempts">
            <h2>{count(attempts.length, "attempt")}</h2>
            <Timeline
              attempts={attempts}
              progress={progress}
              selected={shown.selected.token}
              onSelect={(token) => to({ attempt: String(token), base: undefined })}
            />
          </section>
          {shown.selected.output === undefined ? (
            <section className="outputs" aria-label="Output">
              <h2>Attempt {shown.selected.number}</h2>
              {shown.selected.outcome === "running" ? (
                <OutputSoFar output={progress?.output ?? null} />
              ) : (
                <p className="note">This attempt has no output.</p>
              )}
            </section>
          ) : (
            <Outputs
              key={shown.selected.token}
              id={task.id}
              attempts={attempts}
              selected={shown.selected}
              base={shown.base}
              view={view}
              onView={(next) => to({ view: next })}
              onBase={(token) => to({ base: String(token) })}
            />
          )}
        </div>
      )}
    </>
  )
}
