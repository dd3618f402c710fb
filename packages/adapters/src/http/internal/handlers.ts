/** The handlers of the endpoints. They read and write through the store alone. */
import * as Audit from "@baton/core/Audit"
import type * as Tasks from "@baton/core/Task"
import { type ReviewDecision, type Selection, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { NotAudited, NotInReview, StoreUnavailable, StoreUnusable, TaskNotFound, TasksRefused } from "../ApiError.ts"
import { Api } from "../BatonApi.ts"
import { Events } from "./events.ts"
import { failures, withCause } from "./failures.ts"
import { type Access, Caller, type RequestErrors } from "./middleware.ts"
import { type AuditOverview, type Changed, type Decide, type Finding, limits } from "./model.ts"
import * as Overview from "./overview.ts"
import { read } from "./reading.ts"
import * as Views from "./views.ts"

export interface Options {
  readonly readOnly: boolean
}

export const layer = ({
  readOnly
}: Options): Layer.Layer<HttpApiGroup.Service<"baton", "baton">, never, TaskStore | Events | Access | RequestErrors> =>
  HttpApiBuilder.group(
    Api,
    "baton",
    Effect.fnUntraced(function* (handlers) {
      const store = yield* TaskStore
      const events = yield* Events

      const found = (id: string) =>
        Effect.flatMap(
          store.get(id),
          Option.match({
            onNone: () => Effect.fail(new TaskNotFound({ message: `The task ${JSON.stringify(id)} does not exist.` })),
            onSome: Effect.succeed
          })
        )

      const output = Effect.fnUntraced(function* (task: Tasks.Task, token: number | undefined) {
        if (token === undefined) {
          if (task.result !== null) return task.result
          return yield* new TaskNotFound({ message: `The task ${JSON.stringify(task.id)} has no result.` })
        }
        const attempt = (yield* store.attempts(task.id)).find((attempt) => attempt.token === token)
        if (attempt?.execution) return attempt.execution.output
        return yield* new TaskNotFound({
          message: `The task ${JSON.stringify(task.id)} has no attempt with the token ${token} and an output.`
        })
      })

      const total = Effect.fnUntraced(function* ({
        queue,
        status,
        text
      }: {
        readonly queue?: string
        readonly status?: Tasks.TaskStatus
        readonly text?: string
      }) {
        if (text !== undefined) return null
        return (yield* store.queues)
          .filter((counts) => queue === undefined || counts.queue === queue)
          .flatMap((counts) => (status === undefined ? statuses.map((status) => counts[status]) : [counts[status]]))
          .reduce((sum, count) => sum + count, 0)
      })

      const changed = Effect.fnUntraced(function* (
        ids: ReadonlyArray<Tasks.TaskId>,
        asked: ReadonlyArray<string>
      ): Effect.fn.Return<Changed, TaskStoreError> {
        const known = new Set<string>(ids)
        const unchanged = asked.filter((id) => !known.has(id))
        const tasks = yield* Effect.forEach(unchanged, store.get, { concurrency: 8 })
        return {
          changed: ids.length,
          ids: ids.slice(0, limits.ids),
          unknown: unchanged.filter((_, index) => Option.isNone(tasks[index] ?? Option.none()))
        }
      })

      const decide = Effect.fnUntraced(function* (payload: Decide) {
        const { reviews } = store
        if (reviews === undefined) {
          return yield* new StoreUnusable({ message: "This store cannot hold tasks for review." })
        }
        const task = yield* found(payload.id)
        const { decided, refused } = yield* reviews.decide([decisionOf(task.id, payload)])
        const [refusal] = refused
        const { status } = yield* found(payload.id)
        if (refusal === undefined && decided.length > 0) return { id: task.id, status }
        const decision = refusal?.decision ?? null
        return yield* new NotInReview({
          message:
            decision === null
              ? `The task ${JSON.stringify(task.id)} is not in review: it is ${status.replace("_", " ")}.`
              : `${decision.by} has already ${decision.kind} this output${decision.comment === "" ? "" : `: ${decision.comment}`}`,
          status,
          decision
        })
      })

      const audit = Effect.fnUntraced(function* ({
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
      })

      const find = Effect.fnUntraced(function* ({ attempt, by = "web", id, ...rest }: Finding) {
        const { reviews } = store
        if (reviews === undefined) {
          return yield* new StoreUnusable({ message: "This store cannot keep what people say about verdicts." })
        }
        const task = yield* found(id)
        const { audit, kept } = yield* reviews.audit({ ...rest, taskId: task.id, token: attempt, by })
        if (kept && audit !== null) return { id: task.id, audit }
        return yield* new NotAudited({
          message:
            audit === null
              ? `This attempt of the task ${JSON.stringify(task.id)} has no verdict to audit.`
              : `${audit.by} has already audited this verdict, and ${audit.agrees ? "agrees" : "disagrees"}.`,
          audit
        })
      })

      const idsOf = (selection: Selection) => ("ids" in selection ? selection.ids : [])

      return handlers
        .handle("queues", () =>
          Effect.gen(function* () {
            const { role } = yield* Caller
            return { ...(yield* Overview.read(store)), server: { readOnly, role } }
          }).pipe(Effect.catchTag("TaskStoreError", storeError))
        )
        .handle("tasks", ({ query: { after, limit = limits.pageSize, ...query } }) =>
          Effect.gen(function* () {
            const { kept, next } = yield* read(store, { ...query, cursor: after, limit }, Views.listedTask)
            return { tasks: kept, next, total: yield* total(query) }
          }).pipe(Effect.catchTag("TaskStoreError", storeError))
        )
        .handle("task", ({ params }) =>
          Effect.gen(function* () {
            const task = yield* found(params.id)
            const attempts = yield* store.attempts(params.id)
            return { task: Views.wholeTask(task), attempts: attempts.map(Views.attempt) }
          }).pipe(Effect.catchTag("TaskStoreError", storeError))
        )
        .handle("output", ({ params, query }) =>
          Effect.flatMap(found(params.id), (task) => output(task, query.attempt)).pipe(
            Effect.map((text) => HttpServerResponse.text(text, { contentType: "text/plain; charset=utf-8" })),
            Effect.catchTag("TaskStoreError", storeError)
          )
        )
        .handle("failures", ({ query }) => Effect.catchTag(failures(store, query.queue), "TaskStoreError", storeError))
        .handle("add", ({ payload }) =>
          store.add(payload.tasks).pipe(
            Effect.catchTags({
              TasksRefused: ({ message, refusals }) => Effect.fail(new TasksRefused({ message, refusals })),
              TaskStoreError: storeError
            })
          )
        )
        .handle("requeue", ({ payload }) =>
          Effect.gen(function* () {
            const selection = "cause" in payload ? { ids: yield* withCause(store, payload) } : payload
            const asked = "cause" in payload ? [] : idsOf(payload)
            return yield* changed(yield* store.requeue(selection), asked)
          }).pipe(Effect.catchTag("TaskStoreError", storeError))
        )
        .handle("cancel", ({ payload }) =>
          Effect.flatMap(store.cancel(payload), (ids) => changed(ids, idsOf(payload))).pipe(
            Effect.catchTag("TaskStoreError", storeError)
          )
        )
        .handle("decide", ({ payload }) => Effect.catchTag(decide(payload), "TaskStoreError", storeError))
        .handle("audit", ({ query }) => Effect.catchTag(audit(query), "TaskStoreError", storeError))
        .handle("find", ({ payload }) => Effect.catchTag(find(payload), "TaskStoreError", storeError))
        .handle("control", ({ payload }) =>
          Effect.map(store.request(payload.request), Overview.control).pipe(
            Effect.catchTag("TaskStoreError", storeError)
          )
        )
        .handle("events", () =>
          Effect.map(events.subscribe, (stream) =>
            HttpServerResponse.stream(stream, {
              contentType: "text/event-stream",
              // Proxies that collect responses would hold the events back.
              headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
            })
          )
        )
    })
  )

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

const storeError = ({ message, reason }: TaskStoreError) =>
  Effect.fail(reason === "Unavailable" ? new StoreUnavailable({ message }) : new StoreUnusable({ message }))
