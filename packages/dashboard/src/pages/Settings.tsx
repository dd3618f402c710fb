import { getRouteApi, Link } from "@tanstack/react-router"
import { type SyntheticEvent, useState } from "react"
import { useMay, useNow, useQueues, useSet, useSettings } from "../api/queries.ts"
import type { Queue, Settings } from "../schema.ts"
import { BudgetLines } from "../components/BudgetLines.tsx"
import { ArrowLeft, Pause, Play } from "../components/icons.tsx"
import { Empty, LoadingOrFailure } from "../components/Message.tsx"
import { Plain } from "../components/Plain.tsx"
import { notify } from "../components/toasts.tsx"
import { Workers } from "../components/Workers.tsx"
import { pauseText } from "../text/waiting.ts"
import * as Form from "../text/settings.ts"

const route = getRouteApi("/settings")

const fields = {
  maxCostUsd: {
    label: "Most that its tasks may cost, in US dollars",
    hint: "Over all runs and workers, from the first task on. Empty: no limit.",
    placeholder: "No limit",
    inputMode: "decimal"
  },
  maxTokens: {
    label: "Most tokens that its tasks may use",
    hint: "Input and output together. Empty: no limit.",
    placeholder: "No limit",
    inputMode: "numeric"
  },
  concurrency: {
    label: "Tasks at a time, in each worker that runs now",
    hint: "Workers that start later use their own -j. Empty: as many as each was started with.",
    placeholder: "As at the start",
    inputMode: "numeric"
  }
} as const satisfies Record<Form.Field, object>

interface Props {
  readonly settings: Settings
}

const Fields = ({ settings }: Props) => {
  const mayChange = useMay("operate")
  const set = useSet()
  const [typed, setTyped] = useState<Partial<Form.Texts>>({})
  const saved = Form.textsOf(settings)
  const texts = { ...saved, ...typed }
  const { change, problems } = Form.changeOf(saved, texts)
  const isComplete = Object.keys(change).length > 0 && Object.keys(problems).length === 0
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    if (!isComplete) return
    set.mutate(
      { queue: settings.queue, ...change },
      {
        onError: (error) => notify(error.message, "failed"),
        onSuccess: () => {
          setTyped({})
          notify("Saved. It is in force now.")
        }
      }
    )
  }
  const fieldOf = (field: Form.Field, canSet: boolean) => {
    const { hint, label, ...input } = fields[field]
    const problem = problems[field]
    return (
      <div className="setting">
        <label htmlFor={field}>{label}</label>
        <input
          id={field}
          type="text"
          autoComplete="off"
          {...input}
          value={texts[field]}
          disabled={!mayChange || !canSet}
          aria-describedby={`${field}-hint`}
          aria-invalid={problem !== undefined}
          onChange={(event) => setTyped({ ...typed, [field]: event.target.value })}
        />
        <p id={`${field}-hint`} className={problem === undefined ? "muted" : "refused"}>
          {canSet ? (problem ?? hint) : "This store cannot keep it."}
        </p>
      </div>
    )
  }
  return (
    <form className="card settings" onSubmit={submit}>
      <section aria-labelledby="settings-budget">
        <h2 id="settings-budget">Budget</h2>
        {settings.budget !== undefined && <BudgetLines budget={settings.budget} />}
        {fieldOf("maxCostUsd", settings.canSet.budget)}
        {fieldOf("maxTokens", settings.canSet.budget)}
      </section>
      <section aria-labelledby="settings-speed">
        <h2 id="settings-speed">Speed</h2>
        {fieldOf("concurrency", settings.canSet.concurrency)}
      </section>
      {mayChange && (
        <div className="settings-actions">
          <button type="submit" className="button primary" disabled={!isComplete || set.isPending}>
            Save
          </button>
          <button
            type="button"
            className="button ghost"
            disabled={Object.keys(typed).length === 0}
            onClick={() => setTyped({})}
          >
            Discard
          </button>
        </div>
      )}
    </form>
  )
}

const WorkersCard = ({ queue }: { readonly queue: Queue | undefined }) => (
  <section className="card settings-workers" aria-labelledby="settings-workers">
    <h2 id="settings-workers">Workers</h2>
    {queue === undefined || queue.workers.total === 0 ? (
      <p className="muted">No task of this queue is running.</p>
    ) : (
      <Workers queue={queue} most={queue.workers.total} />
    )}
  </section>
)

const QueuePause = ({ settings: { canSet, pause, queue } }: Props) => {
  const mayChange = useMay("operate")
  const set = useSet()
  const now = useNow()
  const isPaused = pause !== undefined
  return (
    <section className="card settings-pause" aria-labelledby="settings-pause">
      <div>
        <h2 id="settings-pause">Pause</h2>
        <p className="muted">
          {isPaused ? (
            <Plain text={pauseText(pause, now)} />
          ) : canSet.pause ? (
            "This queue is not paused. A pause holds for all of its workers; running tasks finish."
          ) : (
            "This store cannot pause a single queue."
          )}
        </p>
      </div>
      {mayChange && canSet.pause && (
        <button
          type="button"
          className="button"
          disabled={set.isPending}
          onClick={() =>
            set.mutate(
              { queue, paused: !isPaused },
              {
                onError: (error) => notify(error.message, "failed"),
                onSuccess: () => notify(isPaused ? "The queue continues." : "The queue is paused.")
              }
            )
          }
        >
          {isPaused ? <Play /> : <Pause />}
          {isPaused ? "Resume the queue" : "Pause the queue"}
        </button>
      )}
    </section>
  )
}

export const SettingsPage = () => {
  const { queue } = route.useSearch()
  const settings = useSettings(queue)
  const queues = useQueues()
  if (queue === "") {
    return (
      <Empty title="No queue was named">
        <p>
          Choose one from <Link to="/">all queues</Link>.
        </p>
      </Empty>
    )
  }
  // Events bring the budget and the pause before the settings are read again.
  const live = queues.data?.queues.find((each) => each.queue === queue)
  return (
    <>
      <title>Settings · Baton</title>
      <Link to="/" className="back">
        <ArrowLeft />
        Queues
      </Link>
      <div className="page-head">
        <h1>
          Settings of <Plain text={queue} />
        </h1>
      </div>
      {settings.data === undefined ? (
        <LoadingOrFailure query={settings} />
      ) : (
        <div className="settings-page">
          <Fields key={queue} settings={{ ...settings.data, budget: live?.budget ?? settings.data.budget }} />
          <WorkersCard queue={live} />
          <QueuePause settings={settings.data} />
        </div>
      )}
    </>
  )
}
