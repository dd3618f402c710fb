import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useRef, useState } from "react"
import { useFailures, useMay, useQueues, useRequeue } from "../api/queries.ts"
import type { Cause, Selection } from "../schema.ts"
import { Confirm, type Question } from "../components/Confirm.tsx"
import { Requeue } from "../components/icons.tsx"
import { useKeys } from "../components/keyboard.ts"
import { Command, Empty, LoadingOrFailure } from "../components/Message.tsx"
import { Plain } from "../components/Plain.tsx"
import { notify } from "../components/toasts.tsx"
import { count, number } from "../text/format.ts"

const route = getRouteApi("/failures")

export const FailuresPage = () => {
  const { queue } = route.useSearch()
  const navigate = useNavigate()
  const queues = useQueues()
  const failures = useFailures(queue)
  const requeue = useRequeue()
  const [question, setQuestion] = useState<Question>()
  const [active, setActive] = useState(-1)
  const list = useRef<HTMLUListElement>(null)
  const causes = failures.data?.causes ?? []
  const canChange = useMay("operate")

  const ask = (tasks: number, selection: Selection, of: string) =>
    setQuestion({
      title: `Requeue ${count(tasks, "task")}?`,
      text: `${of} They become pending, with no attempts used, and are executed again by the next run or worker.`,
      action: `Requeue ${count(tasks, "task")}`,
      onConfirm: () =>
        requeue.mutate(selection, {
          onError: (error) => notify(error.message, "failed"),
          onSuccess: ({ changed }) => notify(`${count(changed, "task")} requeued.`)
        })
    })
  const askCause = (cause: Cause) =>
    ask(cause.tasks, { queue, cause: cause.cause }, "All failed tasks with this cause.")

  const move = (step: number) => {
    const next = Math.max(0, Math.min(causes.length - 1, active + step))
    setActive(next)
    list.current?.children[next]?.scrollIntoView({ block: "nearest" })
  }
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    r: () => {
      const cause = causes[active]
      if (cause !== undefined && canChange) askCause(cause)
    },
    Enter: () => {
      const id = causes[active]?.ids[0]
      if (id !== undefined) void navigate({ to: "/task", search: { id } })
    }
  })

  const { data } = failures
  return (
    <>
      <title>Failures · Baton</title>
      <div className="page-head">
        <h1>Failures</h1>
        {data !== undefined && data.failed > 0 && (
          <p className="muted" role="status">
            {count(data.failed, "task")}, {count(causes.length, "cause")}
          </p>
        )}
        <div className="page-actions">
          <label>
            <span className="sr-only">Queue</span>
            <select
              value={queue ?? ""}
              onChange={(event) => {
                const next = event.target.value
                void navigate({ to: "/failures", search: { queue: next === "" ? undefined : next }, replace: true })
              }}
            >
              <option value="">All queues</option>
              {queues.data?.queues.map((known) => (
                <option key={known.queue}>{known.queue}</option>
              ))}
            </select>
          </label>
          {canChange && data !== undefined && causes.length > 1 && (
            <button
              type="button"
              className="button"
              onClick={() => ask(data.failed, { queue, status: "failed" }, "All failed tasks.")}
            >
              Requeue all
            </button>
          )}
        </div>
      </div>
      {data === undefined ? (
        <LoadingOrFailure query={failures} />
      ) : causes.length === 0 ? (
        <Empty title="No task has failed">
          <p>A task that fails in all its attempts is listed here with its cause. In a terminal:</p>
          <Command>baton dlq list</Command>
        </Empty>
      ) : (
        <>
          {!data.complete && (
            <p className="note">
              There are more failed tasks than are grouped here. Requeue some of them, and the list continues.
            </p>
          )}
          <ul className="causes" ref={list}>
            {causes.map((cause, index) => (
              <li key={cause.cause} className="card cause" data-active={index === active}>
                <p className="cause-count">
                  <strong>{number(cause.tasks)}</strong>{" "}
                  <span className="muted">{cause.tasks === 1 ? "task" : "tasks"}</span>
                </p>
                <div className="cause-text">
                  <h2>
                    <Plain text={cause.cause} />
                  </h2>
                  {cause.example.text.trim() !== cause.cause && (
                    <p className="cause-example muted">
                      <Plain text={cause.example.text} />
                      {cause.example.cut && "…"}
                    </p>
                  )}
                  <p className="ids muted">
                    {cause.ids.slice(0, 5).map((id) => (
                      <Link key={id} to="/task" search={{ id }}>
                        <Plain text={id} />
                      </Link>
                    ))}
                    {cause.tasks > Math.min(5, cause.ids.length) && (
                      <span>and {number(cause.tasks - Math.min(5, cause.ids.length))} more</span>
                    )}
                  </p>
                </div>
                {canChange && (
                  <button type="button" className="button" onClick={() => askCause(cause)}>
                    <Requeue />
                    Requeue {number(cause.tasks)}
                  </button>
                )}
              </li>
            ))}
          </ul>
          <p className="keys muted">
            <kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> open the first task
            {canChange && (
              <>
                {" "}
                · <kbd>r</kbd> requeue the group
              </>
            )}
          </p>
        </>
      )}
      <Confirm question={question} onClose={() => setQuestion(undefined)} />
    </>
  )
}
