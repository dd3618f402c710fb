import { getRouteApi, Link } from "@tanstack/react-router"
import { useState } from "react"
import { useCancelExecution, useExecution, useMay } from "../api/queries.ts"
import type { TaskItem, WorkflowExecution } from "../schema.ts"
import { Confirm, type Question } from "../components/Confirm.tsx"
import { Fact } from "../components/Fact.tsx"
import { ArrowLeft, Cross } from "../components/icons.tsx"
import { Empty, Failure, Loading } from "../components/Message.tsx"
import { Block, Plain } from "../components/Plain.tsx"
import { StatusBadge } from "../components/Status.tsx"
import { Ago } from "../components/Time.tsx"
import { notify } from "../components/toasts.tsx"
import { plain } from "../text/visible.ts"
import { executionId, parentOf, workflowOf } from "../text/workflows.ts"

const route = getRouteApi("/execution")

const waitTexts: Record<NonNullable<WorkflowExecution["waitsFor"]>, string> = {
  worker: "A worker with workflows",
  steps: "Its steps",
  workflow: "A timer, or other code of the workflow"
}

/** What a step that has not ended waits for. */
const waitOf = (task: TaskItem): string | undefined => {
  switch (task.status) {
    case "in_review":
      return "waits for a person"
    case "pending":
      return Date.parse(task.availableAt) > Date.now()
        ? "waits for its next attempt"
        : "waits for a worker of its queue"
    default:
      return undefined
  }
}

const Step = ({ depth, name, task }: WorkflowExecution["steps"][number]) => {
  const isExecution = workflowOf(task.queue) !== undefined
  // The worker of an execution is the engine.
  const wait = isExecution ? undefined : waitOf(task)
  return (
    <li className="step" data-status={task.status} data-depth={depth} style={{ marginLeft: depth * 30 }}>
      <Link to={isExecution ? "/execution" : "/task"} search={{ id: task.id }} className="step-name">
        <Plain text={name} />
      </Link>
      <StatusBadge status={task.status} />
      <span className="muted step-facts">
        {isExecution ? (
          <span className="step-id">{executionId(task).slice(0, 12)}</span>
        ) : (
          <Link to="/tasks" search={{ queue: task.queue }}>
            <Plain text={task.queue} />
          </Link>
        )}
        <span>
          <Ago at={task.updatedAt} />
        </span>
        {wait !== undefined && <span>{wait}</span>}
      </span>
      {task.status === "in_review" && (
        <Link to="/review" search={{ id: task.id, queue: task.queue }} className="button">
          Review
        </Link>
      )}
    </li>
  )
}

const CancelButton = ({ id }: { readonly id: string }) => {
  const cancel = useCancelExecution()
  const [question, setQuestion] = useState<Question>()
  return (
    <>
      <button
        type="button"
        className="button"
        disabled={cancel.isPending}
        onClick={() =>
          setQuestion({
            title: "Cancel this execution?",
            text: "The tasks of its steps are cancelled too. Those that wait for a review are given up.",
            action: "Cancel the execution",
            isDanger: true,
            onConfirm: () =>
              cancel.mutate(id, {
                onError: (error) => notify(error.message, "failed"),
                onSuccess: ({ execution }) =>
                  notify(
                    execution.status === "cancelled"
                      ? "The execution is cancelled."
                      : "The execution was not changed: it has already ended."
                  )
              })
          })
        }
      >
        <Cross />
        Cancel
      </button>
      <Confirm question={question} onClose={() => setQuestion(undefined)} />
    </>
  )
}

export const ExecutionPage = () => {
  const { id } = route.useSearch()
  const query = useExecution(id)
  const mayChange = useMay("operate")
  if (id === "") {
    return (
      <Empty title="No execution was named">
        <p>
          Choose one from <Link to="/workflows">all workflows</Link>.
        </p>
      </Empty>
    )
  }
  if (query.data === undefined) {
    return query.error === null ? <Loading /> : <Failure error={query.error} onRetry={() => void query.refetch()} />
  }
  const { execution, steps, waitsFor } = query.data
  const workflow = workflowOf(execution.queue) ?? ""
  // A task that was added to the queue by other means may have none.
  const payload = JSON.stringify(execution.payload ?? null, null, 2)
  const parent = parentOf(execution)
  return (
    <>
      <title>{`${plain(workflow)} · Baton`}</title>
      <Link to="/workflows" search={{ workflow }} className="back">
        <ArrowLeft />
        {workflow}
      </Link>
      <div className="page-head">
        <h1 className="task-title">
          <Plain text={executionId(execution)} />
        </h1>
        <StatusBadge status={execution.status} />
        <div className="page-actions">{mayChange && waitsFor !== undefined && <CancelButton id={execution.id} />}</div>
      </div>
      <section className="card prompt" aria-label="Payload">
        <Block text={{ text: payload, length: payload.length, cut: false }} label="Payload" />
        <dl className="facts">
          <Fact label="Started">
            <Ago at={execution.createdAt} />
          </Fact>
          <Fact label="Changed">
            <Ago at={execution.updatedAt} />
          </Fact>
          {parent !== undefined && (
            <Fact label="Part of">
              <Link to="/execution" search={{ id: parent.id }}>
                <Plain text={parent.name} />
              </Link>
            </Fact>
          )}
          {waitsFor !== undefined && <Fact label="Waits for">{waitTexts[waitsFor]}</Fact>}
          {execution.feedback !== undefined && (
            <Fact label="Reason">
              <Plain text={execution.feedback.text} />
            </Fact>
          )}
        </dl>
        {execution.result !== undefined && <Block text={execution.result} label="Result" />}
      </section>
      <section aria-label="Steps">
        <h2>Steps</h2>
        {steps.length === 0 ? (
          <p className="note">The steps that are tasks appear here when they begin.</p>
        ) : (
          <ol className="steps">
            {steps.map((step) => (
              <Step key={step.task.id} {...step} />
            ))}
          </ol>
        )}
      </section>
    </>
  )
}
