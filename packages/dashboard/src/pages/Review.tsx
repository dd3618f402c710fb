import { useQueryClient } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { useEffect, useState } from "react"
import { taskQuery, useDecide, useInReview, useMay, useOutput, useQueues, useTask } from "../api/queries.ts"
import type { Attempt, Decision, TaskDetail, TaskPage } from "../api/schema.ts"
import { isOutdated, Judged } from "../components/Judged.tsx"
import { useKeys } from "../components/keyboard.ts"
import { Command, Empty, Failure, Loading } from "../components/Message.tsx"
import { usePerson } from "../components/Person.tsx"
import { Plain } from "../components/Plain.tsx"
import { TextForm } from "../components/TextForm.tsx"
import { notify } from "../components/toasts.tsx"
import type { View } from "../search.ts"
import { count, number } from "../text/format.ts"

const route = getRouteApi("/review")

/** What the person is typing: a comment, or a text that takes the place of the output. */
type Draft =
  | { readonly kind: "reject"; readonly text: string; readonly giveUp: boolean }
  | { readonly kind: "edit"; readonly text: string }

const said = { approve: "Approved", reject: "Rejected", edit: "Edited" } as const

interface DraftFormProps {
  readonly draft: Draft
  readonly isPending: boolean
  readonly onChange: (draft: Draft) => void
  readonly onSubmit: () => void
  readonly onClose: () => void
}

const DraftForm = ({ draft, isPending, onChange, onClose, onSubmit }: DraftFormProps) => (
  <TextForm
    label={
      draft.kind === "edit"
        ? "The text that becomes the result"
        : draft.giveUp
          ? "Why the task is given up"
          : "Feedback for the next attempt, which gets it as it is"
    }
    action={draft.kind === "edit" ? "Use this text" : draft.giveUp ? "Give up" : "Reject"}
    text={draft.text}
    kind={draft.kind}
    isComplete={draft.kind === "edit" || draft.text.trim() !== ""}
    isPending={isPending}
    onChange={(text) => onChange({ ...draft, text })}
    onSubmit={onSubmit}
    onClose={onClose}
  />
)

interface DeskProps {
  readonly detail: TaskDetail
  readonly attempt: Attempt
  readonly canDecide: boolean
  readonly onNext: () => void
  readonly onPrevious: () => void
  readonly onDecided: () => void
}

const Desk = ({ attempt, canDecide, detail, onDecided, onNext, onPrevious }: DeskProps) => {
  const { task } = detail
  const decide = useDecide()
  const [draft, setDraft] = useState<Draft>()
  const [isEditing, setEditing] = useState(false)
  const [view, setView] = useState<View>("output")
  const { by, field } = usePerson()
  // A long output is read as a whole before it is edited, or its end would be lost.
  const whole = useOutput(task.id, attempt.token, isEditing && attempt.output?.cut === true)

  const send = (decision: Decision) =>
    decide.mutate(decision, {
      onSuccess: () => {
        notify(`${said[decision.decision]} ${task.id}.`)
        close()
        onDecided()
      },
      onError: (error) => {
        notify(error.message, "failed")
        if (isOutdated(error)) onDecided()
      }
    })
  const about = { id: task.id, attempt: attempt.token, by }
  const approve = () => send({ ...about, decision: "approve" })
  const edit = () => setEditing(true)
  const original = attempt.output?.cut === true ? whole.data : (attempt.output?.text ?? "")
  const open: Draft | undefined =
    draft ?? (isEditing && original !== undefined ? { kind: "edit", text: original } : undefined)
  const close = () => {
    setDraft(undefined)
    setEditing(false)
  }
  const reject = (giveUp: boolean) => setDraft({ kind: "reject", text: "", giveUp })
  const submit = () => {
    if (open?.kind === "edit") send({ ...about, decision: "edit", text: open.text })
    if (open?.kind === "reject") send({ ...about, decision: "reject", comment: open.text, giveUp: open.giveUp })
  }
  const nextView = () => setView(view === "output" ? "changes" : view === "changes" ? "side-by-side" : "output")
  useKeys({
    ...(canDecide && !decide.isPending
      ? { a: approve, r: () => reject(false), x: () => reject(true), e: edit }
      : undefined),
    j: onNext,
    k: onPrevious,
    s: onNext,
    v: nextView
  })
  return (
    <div className="review">
      <Judged detail={detail} attempt={attempt} view={view} onView={setView} />
      {canDecide && (
        <div className="review-actions">
          {open === undefined ? (
            <div className="review-buttons">
              <button type="button" className="button primary" disabled={decide.isPending} onClick={approve}>
                Approve <kbd>a</kbd>
              </button>
              <button type="button" className="button" disabled={decide.isPending} onClick={() => reject(false)}>
                Reject <kbd>r</kbd>
              </button>
              <button type="button" className="button" disabled={decide.isPending} onClick={edit}>
                Edit <kbd>e</kbd>
              </button>
              <button type="button" className="button ghost" disabled={decide.isPending} onClick={() => reject(true)}>
                Give up <kbd>x</kbd>
              </button>
              <button type="button" className="button ghost" onClick={onNext}>
                Skip <kbd>s</kbd>
              </button>
              {field}
            </div>
          ) : (
            <DraftForm
              draft={open}
              isPending={decide.isPending}
              onChange={setDraft}
              onSubmit={submit}
              onClose={close}
            />
          )}
        </div>
      )}
    </div>
  )
}

/** The task that is shown, and those around it. */
const around = (ids: ReadonlyArray<string>, id: string | undefined) => {
  const index = Math.max(0, id === undefined ? 0 : ids.indexOf(id))
  return { index, current: ids[index], next: ids[(index + 1) % ids.length], previous: ids.at(index - 1) }
}

export const ReviewPage = () => {
  const { id, queue } = route.useSearch()
  const navigate = useNavigate()
  const client = useQueryClient()
  const queues = useQueues()
  const canDecide = useMay("review")
  const list = useInReview(queue)
  const ids = list.data?.tasks.map((task) => task.id) ?? []
  const { current, index, next, previous } = around(ids, id)
  const detail = useTask(current ?? "")
  // The next output is there when this one is decided.
  useEffect(() => {
    if (next !== undefined && next !== current) void client.prefetchQuery(taskQuery(next))
  }, [client, current, next])
  const waiting =
    queues.data?.queues.reduce(
      (sum, each) => sum + (queue === undefined || each.queue === queue ? each.in_review : 0),
      0
    ) ?? ids.length

  const show = (shown: string | undefined) =>
    void navigate({ to: "/review", search: { queue, id: shown }, replace: true })

  /** Shows the next output at once; the server's event brings the list up to date. */
  const onDecided = () => {
    client.setQueryData<TaskPage>(["review", queue ?? ""], (page) =>
      page === undefined ? page : { ...page, tasks: page.tasks.filter((task) => task.id !== current) }
    )
    void client.invalidateQueries({ queryKey: ["review"] })
    void client.invalidateQueries({ queryKey: ["task", current] })
    show(next === current ? undefined : next)
    document.documentElement.scrollTop = 0
  }

  const attempt = detail.data?.attempts.findLast(({ outcome }) => outcome === "in_review")
  return (
    <>
      <title>Review · Baton</title>
      <div className="page-head">
        <h1>{current === undefined ? "Review" : <Plain text={current} />}</h1>
        {current !== undefined && (
          <p className="muted" role="status">
            {number(index + 1)} of {count(Math.max(waiting, ids.length), "output")}
          </p>
        )}
        <div className="page-actions">
          {current !== undefined && (
            <Link to="/task" search={{ id: current }} className="button">
              All attempts
            </Link>
          )}
        </div>
      </div>
      {list.data === undefined ? (
        list.error === null ? (
          <Loading />
        ) : (
          <Failure error={list.error} onRetry={() => void list.refetch()} />
        )
      ) : current === undefined ? (
        <Empty title="No output waits for review">
          <p>Let people decide about outputs:</p>
          <Command>baton run prompts.csv --review all</Command>
        </Empty>
      ) : detail.data === undefined ? (
        detail.error === null ? (
          <Loading />
        ) : (
          <Failure error={detail.error} onRetry={() => void detail.refetch()} />
        )
      ) : attempt === undefined ? (
        <p className="note">This output is no longer in review.</p>
      ) : (
        <>
          <Desk
            key={`${current} ${attempt.token}`}
            detail={detail.data}
            attempt={attempt}
            canDecide={canDecide}
            onNext={() => show(next)}
            onPrevious={() => show(previous)}
            onDecided={onDecided}
          />
          <p className="keys muted">
            {canDecide && (
              <>
                <kbd>a</kbd> approve · <kbd>r</kbd> reject · <kbd>e</kbd> edit · <kbd>x</kbd> give up ·{" "}
              </>
            )}
            <kbd>s</kbd> <kbd>j</kbd> <kbd>k</kbd> move · <kbd>v</kbd> output or changes
          </p>
        </>
      )}
    </>
  )
}
