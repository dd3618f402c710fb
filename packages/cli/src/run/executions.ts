/** `baton workflow`: starts, shows and cancels executions of workflows, through the task store alone. */
import { Executions } from "@baton/adapters/workflow"
import { optionalNullOr } from "@baton/core/OptionalKey"
import type { QueuePause } from "@baton/core/QueuePause"
import { idInQueue, localId, type Task, TaskStatus } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Project } from "../settings/Project.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { nearest } from "../system/nearest.ts"
import { quoted } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { age } from "../view/quantity.ts"
import { moment } from "../system/moment.ts"
import { firstLine, safe, safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { canvas, writeLine, writeLines } from "../view/stdout.ts"
import * as Table from "../view/table.ts"
import { ofTask, statusWord } from "../view/taskTable.ts"

/** The workflows of the configuration. */
export const configured = Effect.gen(function* () {
  const { name, workflows } = yield* Project
  if (workflows !== null) return workflows
  return yield* new CommandFailed({
    message: `${name ?? "This directory"} has no workflows. Add \`workflows: Executions.register({ definitions, layer })\` to ${name ?? "baton.config.ts"}; see docs/workflows.md.`
  })
})

const Started = Schema.Struct({ workflow: Schema.String, id: Schema.String, added: Schema.Boolean })

export const start = Effect.fnUntraced(function* ({
  json,
  name,
  payload = "{}"
}: {
  readonly json: boolean
  readonly name: string
  readonly payload?: string | undefined
}) {
  const workflows = yield* configured
  const value = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))(payload),
    () =>
      new CommandFailed({
        message: `--payload is not JSON: ${firstLine(payload)}. Write an object, such as '{"date":"2026-11-30"}'.`
      })
  )
  const refuse = (message: string) => Effect.fail(new CommandFailed({ message }))
  const started = yield* workflows.start(name, value).pipe(
    Effect.catchTags({
      NotRegistered: ({ registered }) => {
        const [close] = nearest(name, registered)
        const hint =
          close === undefined
            ? `The workflows are ${registered.map(safeText).join(", ")}.`
            : `Did you mean ${safeText(close)}?`
        return refuse(`There is no workflow ${safeText(name)} in the configuration. ${hint}`)
      },
      InvalidPayload: ({ message }) => refuse(safeText(message)),
      TasksRefused: () =>
        refuse(
          `An execution of ${safeText(name)} has the same idempotency key and another payload. \`baton workflow list ${safeText(quoted(name))}\` lists the executions.`
        )
    })
  )
  if (json) return yield* printJson(Started, { workflow: name, ...started })
  yield* writeLine(safe`${started.id}`)
  yield* printMessage(
    started.added
      ? safe`Started ${name}. \`baton worker --workflows\` executes it, and \`baton workflow show ${started.id.slice(0, shortId)}\` shows it.`
      : safe`${name} was already started with this payload. \`baton workflow show ${started.id.slice(0, shortId)}\` shows it.`
  )
})

/** How much of an id is shown in tables, and is enough for other commands where it is unique. */
const shortId = 12

const listed = {
  workflow: Schema.String,
  id: Schema.String,
  status: TaskStatus,
  payload: optionalNullOr(Schema.Json),
  /** In JSON; absent until the execution is completed. */
  result: optionalNullOr(Schema.String),
  /** Why the execution failed. */
  reason: optionalNullOr(Schema.String),
  startedAt: Schema.DateTimeUtcFromString,
  changedAt: Schema.DateTimeUtcFromString
}

const Listed = Schema.Struct(listed)

type Listed = typeof Listed.Type

const toListed = (workflow: string, task: Task): Listed => ({
  workflow,
  id: localId(task),
  status: task.status,
  ...(task.payload === undefined ? undefined : { payload: task.payload }),
  ...(task.result === undefined ? undefined : { result: task.result }),
  ...(task.feedback === undefined ? undefined : { reason: task.feedback }),
  startedAt: task.createdAt,
  changedAt: task.updatedAt
})

const columns = (now: number) => (): ReadonlyArray<Table.Column<Listed>> => [
  { header: "ID", text: ({ id }) => id.slice(0, shortId) },
  { header: "WORKFLOW", text: ({ workflow }) => firstLine(workflow), flexible: true },
  { header: "STATUS", text: statusWord },
  { header: "STARTED", text: ({ startedAt }) => age(Duration.millis(now - startedAt.epochMilliseconds)) },
  { header: "PAYLOAD", text: ({ payload }) => payloadText(payload) }
]

/** Empty if a task was added to the queue by other means and has none. */
const payloadText = (payload: Listed["payload"]): string =>
  payload === undefined ? "" : firstLine(JSON.stringify(payload))

/** The workflows that have executions in the store. */
const workflowsOf = Effect.map(
  TaskStore.use((store) => store.queues),
  (queues) => queues.flatMap(({ queue }) => Executions.workflowOf(queue) ?? [])
)

export const list = Effect.fnUntraced(function* ({
  json,
  name,
  status
}: {
  readonly json: boolean
  readonly name: Option.Option<string>
  readonly status?: Task["status"] | undefined
}) {
  const { list } = yield* TaskStore
  const known = yield* workflowsOf
  const wanted = known.filter((workflow) => Option.isNone(name) || name.value === workflow)
  const executions = Stream.flatMap(Stream.fromIterable(wanted), (workflow) =>
    Stream.paginate(undefined as string | undefined, (cursor) =>
      Effect.map(
        list({ queue: Executions.queueOf(workflow), status, results: json, cursor }),
        ({ next, tasks }) => [tasks.map((task) => toListed(workflow, task)), Option.fromNullishOr(next)] as const
      )
    )
  )
  if (json) return yield* printJson(Schema.Array(Listed), yield* Stream.runCollect(executions))
  const now = yield* Clock.currentTimeMillis
  const lines = yield* Stream.runCollect(Table.lines(columns(now), yield* canvas)(executions))
  if (lines.length > 0) return yield* writeLines(lines)
  yield* printMessage(safe`There are no such executions. Start one with \`baton workflow start NAME\`.`)
})

/** The execution with this id, or whose id begins with it. */
const find = Effect.fnUntraced(function* (id: string) {
  const { get, list } = yield* TaskStore
  const found: Array<Task> = []
  for (const workflow of yield* workflowsOf) {
    const queue = Executions.queueOf(workflow)
    const exact = Option.getOrUndefined(yield* get(idInQueue(queue, id)))
    if (exact !== undefined) return { workflow, task: exact }
    let cursor: string | undefined
    do {
      const page = yield* list({ queue, text: id, cursor })
      found.push(...page.tasks.filter((task) => localId(task).startsWith(id)))
      cursor = page.next
    } while (cursor !== undefined)
  }
  const [task, ...others] = found
  if (task !== undefined && others.length === 0) return { workflow: Executions.workflowOf(task.queue) ?? "", task }
  return yield* new CommandFailed({
    message:
      task === undefined
        ? `There is no execution ${safeText(id)}. \`baton workflow list\` lists all executions.`
        : `Several executions begin with ${safeText(id)}: ${found
            .slice(0, 4)
            .map((task) => safeText(localId(task)))
            .join(", ")}. Write more of the id.`
  })
})

const Shown = Schema.Struct({
  ...listed,
  /** The id of the execution that executes this one. */
  partOf: Schema.NullOr(Schema.String),
  /** What the execution waits for: a worker, its steps, or code of the workflow, such as a timer. Null when it has ended. */
  waitsFor: Schema.NullOr(Schema.Literals(["worker", "steps", "workflow"])),
  steps: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      /** The id of the task. */
      task: Schema.String,
      queue: Schema.String,
      status: TaskStatus,
      attempts: Schema.Int,
      /** 0 for its own steps. Those of an execution among its steps follow it, one deeper. */
      depth: Schema.Int,
      /** What a step that has not ended waits for. */
      waitsFor: Schema.NullOr(Schema.String)
    })
  )
})

type Shown = typeof Shown.Type

const waitText: Record<NonNullable<Shown["waitsFor"]>, string> = {
  worker: "a worker with workflows: baton worker --workflows",
  steps: "its steps",
  workflow: "a timer, or other code of the workflow"
}

const stepText = (task: Task, pauses: ReadonlyArray<QueuePause>, now: number): string | null => {
  const pause = pauses.find(({ queue }) => queue === task.queue)
  if (Executions.workflowOf(task.queue) !== undefined) {
    if (task.status === "in_progress") return waitText.steps
    return task.status === "pending" ? waitText.worker : null
  }
  switch (task.status) {
    case "in_review":
      return `a person: baton review --queue ${quoted(task.queue)}`
    case "in_progress":
      return "its worker, which is executing it"
    case "pending":
      if (pause !== undefined) return `the end of the pause of its queue: baton resume --queue ${quoted(task.queue)}`
      if (task.availableAt.epochMilliseconds > now) return `${moment(task.availableAt)}, its next attempt`
      return `a worker of the queue ${task.queue}`
    default:
      return null
  }
}

function* report(shown: Shown, { style }: Table.Canvas, now: number) {
  const text = shown.waitsFor === null ? "" : waitText[shown.waitsFor]
  const since = (at: Listed["startedAt"]) =>
    `${moment(at)}  ${style.dim(age(Duration.millis(now - at.epochMilliseconds)))}`
  yield `${style.bold(shown.id)}  ${ofTask(style, shown)(statusWord(shown))}`
  yield ""
  const entries: ReadonlyArray<readonly [string, string]> = [
    ["Workflow", firstLine(shown.workflow)],
    ["Payload", payloadText(shown.payload)],
    ["Started", since(shown.startedAt)],
    ["Part of", firstLine(shown.partOf ?? "")],
    ["Waits for", text],
    ["Result", firstLine(shown.result ?? "")],
    ["Reason", firstLine(shown.reason ?? "")]
  ]
  yield* Table.labelledLines(
    entries.filter(([, text]) => text !== ""),
    { style, margin: "  " }
  )
  if (shown.steps.length === 0) return
  yield ""
  yield style.bold("Steps")
  /** For each depth, whether more steps of this depth follow. */
  const open: Array<boolean> = []
  for (const [index, step] of shown.steps.entries()) {
    const rest = shown.steps.slice(index + 1)
    const end = rest.findIndex(({ depth }) => depth < step.depth)
    const follows = (end === -1 ? rest : rest.slice(0, end)).some(({ depth }) => depth === step.depth)
    const margin = `  ${open
      .slice(0, step.depth)
      .map((isOpen) => (isOpen ? "│   " : "    "))
      .join("")}`
    open[step.depth] = follows
    const hasSteps = rest[0] !== undefined && rest[0].depth > step.depth
    const waits = step.waitsFor === null || hasSteps ? "" : style.dim(`  waits for ${firstLine(step.waitsFor)}`)
    yield `${margin}${follows ? "├" : "└"} ${firstLine(step.name)}  ${ofTask(style, step)(statusWord(step))}${waits}`
    const isExecution = Executions.workflowOf(step.queue) !== undefined
    const id = isExecution ? step.task.slice(step.queue.length + 1) : step.task
    yield `${margin}${follows ? "│" : " "}   ${style.dim(firstLine(id))}`
  }
}

export const show = Effect.fnUntraced(function* (input: { readonly id: string; readonly json: boolean }) {
  const { pauses } = yield* TaskStore
  const { task, workflow } = yield* find(input.id)
  const steps = yield* Executions.steps(workflow, localId(task))
  const paused = pauses === undefined ? [] : yield* pauses.list
  const now = yield* Clock.currentTimeMillis
  const shown: Shown = {
    ...toListed(workflow, task),
    partOf: typeof task.metadata["execution"] === "string" ? task.metadata["execution"] : null,
    waitsFor: Executions.waitsFor(task, steps)?._tag ?? null,
    steps: steps.map(({ depth, name, task }) => ({
      name,
      task: task.id,
      queue: task.queue,
      status: task.status,
      attempts: task.attempts,
      depth,
      waitsFor: stepText(task, paused, now)
    }))
  }
  if (input.json) return yield* printJson(Shown, shown)
  yield* writeLines(report(shown, yield* canvas, now))
})

export const cancel = Effect.fnUntraced(function* (input: { readonly id: string }) {
  const { task, workflow } = yield* find(input.id)
  const executionId = localId(task)
  yield* printMessage(
    (yield* Executions.cancel(workflow, executionId))
      ? safe`${executionId} is cancelled, with the tasks of its steps.`
      : safe`${executionId} is already ${statusWord(task)}; it was not changed.`
  )
})
