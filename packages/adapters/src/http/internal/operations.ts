/** What the endpoints and the tools of the MCP server do, through the store alone. */
import * as Audit from "@baton/core/Audit"
import * as Report from "@baton/core/Report"
import * as Tasks from "@baton/core/Task"
import {
  type ControlRequest,
  type ListQuery,
  type ReviewDecision,
  type Selection,
  TaskStore
} from "@baton/core/TaskStore"
import { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Executions from "../../workflow/internal/records.ts"
import { NotAudited, NotInReview, StoreUnavailable, StoreUnusable, TaskNotFound, TasksRefused } from "../ApiError.ts"
import * as Activity from "./activity.ts"
import * as Failures from "./failures.ts"
import { type AuditOverview, type Changed, type ChangeSettings, type Decide, type Finding, limits } from "./model.ts"
import * as Overview from "./overview.ts"
import { read } from "./reading.ts"
import * as Settings from "./settings.ts"
import * as Views from "./views.ts"

export type TaskQuery = Pick<ListQuery, "queue" | "status" | "text" | "cursor"> & { readonly limit: number }

type CauseSelection = { readonly cause: string; readonly queue?: string | undefined }

export type Operations = ReturnType<typeof make>

export const make = (store: TaskStore["Service"]) => {
  const found = (id: string) =>
    Effect.flatMap(
      store.get(id),
      Option.match({
        onNone: () => Effect.fail(new TaskNotFound({ message: `The task ${JSON.stringify(id)} does not exist.` })),
        onSome: Effect.succeed
      })
    )

  const total = Effect.fnUntraced(function* ({ queue, status, text }: TaskQuery) {
    if (text !== undefined) return undefined
    return (yield* store.queues)
      .filter((counts) => queue === undefined || counts.queue === queue)
      .flatMap((counts) => (status === undefined ? statuses.map((status) => counts[status]) : [counts[status]]))
      .reduce((sum, count) => sum + count, 0)
  })

  const changed = Effect.fnUntraced(function* (
    ids: ReadonlyArray<Tasks.TaskId>,
    selection: Selection
  ): Effect.fn.Return<Changed, TaskStoreError> {
    const known = new Set<string>(ids)
    const unchanged = "ids" in selection ? selection.ids.filter((id) => !known.has(id)) : []
    const tasks = yield* Effect.forEach(unchanged, store.get, { concurrency: 8 })
    return {
      changed: ids.length,
      ids: ids.slice(0, limits.ids),
      unknown: unchanged.filter((_, index) => Option.isNone(tasks[index] ?? Option.none()))
    }
  })

  /** Only executions of workflows are in a queue of a workflow. */
  const ofWorkflow = (task: Tasks.Task) => {
    const workflow = Executions.workflowOf(task.queue)
    return workflow === undefined
      ? Effect.fail(
          new TaskNotFound({ message: `The task ${JSON.stringify(task.id)} is not an execution of a workflow.` })
        )
      : Effect.succeed({ task, workflow })
  }

  const execution = Effect.fnUntraced(function* (found: Tasks.Task) {
    const { task, workflow } = yield* ofWorkflow(found)
    const steps = yield* Effect.provideService(Executions.steps(workflow, Tasks.localId(task)), TaskStore, store)
    return {
      execution: Views.wholeTask(task, limits.text),
      steps: steps.map(({ depth, name, task }) => ({ name, task: Views.listedTask(task), depth })),
      waitsFor: Executions.waitsFor(task, steps)?._tag
    }
  })

  const progressOf = ({ id, status }: Tasks.Task) =>
    status === "in_progress" && store.progress !== undefined
      ? Effect.map(store.progress.of(id), Option.getOrUndefined)
      : Effect.undefined

  return {
    overview: orRefused(Overview.read(store)),

    /** A page of tasks, each as `view` shows it. */
    page: Effect.fnUntraced(function* <A>(query: TaskQuery, view: (task: Tasks.Task) => A) {
      const { kept, next } = yield* read(store, query, view)
      return { tasks: kept, next, total: yield* total(query) }
    }, orRefused),

    task: Effect.fnUntraced(function* (id: string, limit: number = limits.text) {
      const task = yield* found(id)
      const attempts = yield* store.attempts(id)
      return {
        task: Views.wholeTask(task, limit),
        attempts: attempts.map((attempt) => Views.attempt(attempt, limit)),
        progress: yield* progressOf(task)
      }
    }, orRefused),

    execution: Effect.fnUntraced(function* (id: string) {
      return yield* execution(yield* found(id))
    }, orRefused),

    /** One that has ended does not change. */
    cancelExecution: Effect.fnUntraced(function* (id: string) {
      const { task, workflow } = yield* ofWorkflow(yield* found(id))
      yield* Effect.provideService(Executions.cancel(workflow, Tasks.localId(task)), TaskStore, store)
      return yield* execution(yield* found(id))
    }, orRefused),

    /** The whole output of an attempt, or the result of the task. */
    output: Effect.fnUntraced(function* (id: string, token: number | undefined) {
      const task = yield* found(id)
      if (token === undefined) {
        if (task.result !== undefined) return task.result
        return yield* new TaskNotFound({ message: `The task ${JSON.stringify(task.id)} has no result.` })
      }
      const attempt = (yield* store.attempts(task.id)).find((attempt) => attempt.token === token)
      if (attempt?.execution) return attempt.execution.output
      return yield* new TaskNotFound({
        message: `The task ${JSON.stringify(task.id)} has no attempt with the token ${token} and an output.`
      })
    }, orRefused),

    failures: (queue: string | undefined) => orRefused(Failures.failures(store, queue)),

    activity: (queue: string) => orRefused(Activity.activity(store, queue)),

    report: (queue: string | undefined) => orRefused(Report.make(store, { queue })),

    add: (tasks: ReadonlyArray<Tasks.NewTask>) =>
      orRefused(store.add(tasks)).pipe(
        Effect.catchTag("TasksRefused", ({ message, refusals }) => Effect.fail(new TasksRefused({ message, refusals })))
      ),

    requeue: Effect.fnUntraced(function* (payload: Selection | CauseSelection) {
      const selection = "cause" in payload ? { ids: yield* Failures.withCause(store, payload) } : payload
      const ids = yield* store.requeue(selection)
      return yield* changed(ids, selection)
    }, orRefused),

    cancel: Effect.fnUntraced(function* (selection: Selection) {
      return yield* changed(yield* store.cancel(selection), selection)
    }, orRefused),

    audit: Effect.fnUntraced(function* ({
      queue,
      share = limits.share
    }: {
      readonly queue?: string
      readonly share?: number
    }): Effect.fn.Return<AuditOverview, TaskStoreError> {
      const counting = Audit.makeCounting()
      const waiting: Array<AuditOverview["waiting"][number]> = []
      yield* Stream.runForEach(Audit.samples(store, { queue, share }), (sample) =>
        Effect.sync(() => {
          const { attempt, task, verification } = sample
          counting.add(sample)
          if (verification.audit !== undefined || waiting.length === limits.waiting) return
          waiting.push({ id: task.id, queue: task.queue, attempt: attempt.token, passed: verification.passed })
        })
      )
      return { share, ...counting.report(), waiting }
    }, orRefused),

    find: Effect.fnUntraced(function* ({ attempt, by = "web", id, ...rest }: Finding) {
      const { reviews } = store
      if (reviews === undefined) {
        return yield* new StoreUnusable({ message: "This store cannot keep what people say about verdicts." })
      }
      const task = yield* found(id)
      const { audit, kept } = yield* reviews.audit({ ...rest, taskId: task.id, token: attempt, by })
      if (kept && audit !== undefined) return { id: task.id, audit }
      return yield* new NotAudited({
        message:
          audit === undefined
            ? `This attempt of the task ${JSON.stringify(task.id)} has no verdict to audit.`
            : `${audit.by} has already audited this verdict, and ${audit.agrees ? "agrees" : "disagrees"}.`,
        audit
      })
    }, orRefused),

    settings: (queue: string) => orRefused(Settings.read(store, queue)),

    set: (change: ChangeSettings) => orRefused(Settings.change(store, change)),

    control: (request: ControlRequest) => orRefused(Effect.map(store.request(request), Overview.control)),

    decide: Effect.fnUntraced(function* (payload: Decide) {
      const { reviews } = store
      if (reviews === undefined) {
        return yield* new StoreUnusable({ message: "This store cannot hold tasks for review." })
      }
      const task = yield* found(payload.id)
      const { decided, refused } = yield* reviews.decide([decisionOf(task.id, payload)])
      const [refusal] = refused
      const { status } = yield* found(payload.id)
      if (refusal === undefined && decided.length > 0) return { id: task.id, status }
      const decision = refusal?.decision
      return yield* new NotInReview({
        message:
          decision === undefined
            ? `The task ${JSON.stringify(task.id)} is not in review: it is ${status.replace("_", " ")}.`
            : `${decision.by} has already ${decision.kind} this output${decision.comment === "" ? "" : `: ${decision.comment}`}`,
        status,
        decision
      })
    }, orRefused)
  }
}

const statuses = [
  "pending",
  "in_progress",
  "in_review",
  "completed",
  "failed",
  "cancelled"
] as const satisfies ReadonlyArray<Tasks.TaskStatus>

const decisionOf = (taskId: Tasks.TaskId, { attempt, by = "web", ...payload }: Decide): ReviewDecision => {
  const about = { taskId, by, ...(attempt === undefined ? undefined : { token: attempt }) }
  switch (payload.decision) {
    case "approve":
      return { ...about, _tag: "Approve" }
    case "reject":
      return { ...about, _tag: "Reject", comment: payload.comment, giveUp: payload.giveUp }
    case "edit":
      return { ...about, _tag: "Edit", text: payload.text }
  }
}

const isStoreError = (error: unknown): error is TaskStoreError => error instanceof TaskStoreError

/** Turns an error of the store into one that clients know. */
export const orRefused = <A, E, R>(effect: Effect.Effect<A, E | TaskStoreError, R>) =>
  Effect.catchIf(effect, isStoreError, ({ message, reason }) =>
    Effect.fail(reason === "Unavailable" ? new StoreUnavailable({ message }) : new StoreUnusable({ message }))
  )
