/**
 * The HTTP API of Baton: its endpoints and their schemas, from which the server, the OpenAPI document and typed clients
 * follow. This module contains no server, so that a program in a browser can import it.
 *
 * **Example**
 *
 * ```ts
 * import { BatonApi } from "@baton/adapters/http"
 * import { Effect } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { HttpApiClient } from "effect/http-api"
 *
 * const failed = Effect.gen(function* () {
 *   const baton = yield* HttpApiClient.make(BatonApi.Api, { baseUrl: "http://127.0.0.1:7777" })
 *   const { tasks } = yield* baton.tasks({ query: { status: "failed" } })
 *   return tasks.map((task) => task.id)
 * }).pipe(Effect.provide(FetchHttpClient.layer))
 * ```
 *
 * @since 0.1.0
 */
import { Report } from "@baton/core/Report"
import { NewTask, QueueName, TaskStatus } from "@baton/core/Task"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import {
  NotAllowed,
  NotAudited,
  NotInReview,
  StoreUnavailable,
  StoreUnusable,
  TaskNotFound,
  TasksRefused
} from "./ApiError.ts"
import { Access, RequestErrors } from "./internal/middleware.ts"
import {
  Activity,
  Added,
  AuditedVerdict,
  AuditOverview,
  Changed,
  ChangeSettings,
  Control,
  Decide,
  Decided,
  Event,
  Failures,
  Finding,
  limits,
  Overview,
  Settings,
  TaskPage,
  TaskWithAttempts,
  WorkflowExecution
} from "./internal/model.ts"
import { version } from "./internal/version.ts"

export * from "./internal/model.ts"

const Ids = Schema.Array(Schema.NonEmptyString).check(Schema.isMinLength(1), Schema.isMaxLength(limits.ids))

/** Which tasks to change. */
const ById = Schema.Struct({ ids: Ids })
const ByStatus = Schema.Struct({ status: TaskStatus, queue: Schema.optionalKey(QueueName) })
const ByCause = Schema.Struct({ cause: Schema.NonEmptyString, queue: Schema.optionalKey(QueueName) })

/** From 0 to 1. */
const Share = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

const storeErrors = [StoreUnavailable, StoreUnusable] as const

/**
 * The endpoints. All of them are in one group, so that a client has them as `client.queues()`, `client.tasks(...)`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export class Endpoints extends HttpApiGroup.make("baton", { topLevel: true })
  .add(
    HttpApiEndpoint.get("queues", "/queues", { success: Overview, error: storeErrors }).annotate(
      OpenApi.Summary,
      "The queues with the number of tasks per status, and the control state of the store"
    ),
    HttpApiEndpoint.get("tasks", "/tasks", {
      query: {
        queue: Schema.optionalKey(QueueName),
        status: Schema.optionalKey(TaskStatus),
        text: Schema.optionalKey(Schema.String),
        after: Schema.optionalKey(
          Schema.String.check(Schema.isPattern(/^\d{1,15}$/, { expected: "the `next` of the previous page" }))
        ),
        limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: limits.maxPageSize })))
      },
      success: TaskPage,
      error: storeErrors
    }).annotate(OpenApi.Summary, "Tasks in the order they were added, a page at a time"),
    HttpApiEndpoint.get("task", "/tasks/:id", {
      params: { id: Schema.NonEmptyString },
      success: TaskWithAttempts,
      error: [TaskNotFound, ...storeErrors]
    }).annotate(OpenApi.Summary, "A task with its attempts, oldest first"),
    HttpApiEndpoint.get("output", "/tasks/:id/output", {
      params: { id: Schema.NonEmptyString },
      query: { attempt: Schema.optionalKey(Schema.Int) },
      success: Schema.String.pipe(HttpApiSchema.asText()),
      error: [TaskNotFound, ...storeErrors]
    }).annotate(OpenApi.Summary, "The whole output of the attempt with this token, or the result of the task"),
    HttpApiEndpoint.get("execution", "/executions/:id", {
      params: { id: Schema.NonEmptyString },
      success: WorkflowExecution,
      error: [TaskNotFound, ...storeErrors]
    }).annotate(OpenApi.Summary, "An execution of a workflow, by the id of its task, with its steps"),
    HttpApiEndpoint.post("cancelExecution", "/executions/:id/cancel", {
      params: { id: Schema.NonEmptyString },
      success: WorkflowExecution,
      error: [TaskNotFound, ...storeErrors]
    }).annotate(OpenApi.Summary, "Cancel an execution of a workflow and the tasks of its steps"),
    HttpApiEndpoint.get("failures", "/failures", {
      query: { queue: Schema.optionalKey(QueueName) },
      success: Failures,
      error: storeErrors
    }).annotate(OpenApi.Summary, "The failed tasks by cause"),
    HttpApiEndpoint.get("activity", "/activity", {
      query: { queue: QueueName },
      success: Activity,
      error: storeErrors
    }).annotate(OpenApi.Summary, "How many tasks of a queue ended, over time"),
    HttpApiEndpoint.get("report", "/report", {
      query: { queue: Schema.optionalKey(QueueName) },
      success: Report,
      error: storeErrors
    }).annotate(OpenApi.Summary, "A report on all tasks: outcomes, time, usage, and the causes of failures"),
    HttpApiEndpoint.post("add", "/tasks", {
      payload: Schema.Struct({ tasks: Schema.Array(NewTask) }),
      success: Added,
      error: [TasksRefused, ...storeErrors]
    }).annotate(OpenApi.Summary, "Add tasks; all or none of them"),
    HttpApiEndpoint.post("requeue", "/requeue", {
      payload: Schema.Union([ById, ByStatus, ByCause]),
      success: Changed,
      error: storeErrors
    }).annotate(OpenApi.Summary, "Make failed or cancelled tasks pending again"),
    HttpApiEndpoint.post("cancel", "/cancel", {
      payload: Schema.Union([ById, ByStatus]),
      success: Changed,
      error: storeErrors
    }).annotate(OpenApi.Summary, "Cancel pending and running tasks"),
    HttpApiEndpoint.post("decide", "/reviews", {
      payload: Decide,
      success: Decided,
      error: [TaskNotFound, NotInReview, NotAllowed, ...storeErrors]
    }).annotate(OpenApi.Summary, "Approve, reject or edit an output in review"),
    HttpApiEndpoint.get("audit", "/audit", {
      query: { queue: Schema.optionalKey(QueueName), share: Schema.optionalKey(Share) },
      success: AuditOverview,
      error: storeErrors
    }).annotate(
      OpenApi.Summary,
      "How often people disagree with verdicts in a sample, and verdicts that wait for them"
    ),
    HttpApiEndpoint.post("find", "/audit", {
      payload: Finding,
      success: AuditedVerdict,
      error: [TaskNotFound, NotAudited, NotAllowed, ...storeErrors]
    }).annotate(OpenApi.Summary, "Agree or disagree with a verdict"),
    HttpApiEndpoint.get("settings", "/settings", {
      query: { queue: QueueName },
      success: Settings,
      error: storeErrors
    }).annotate(OpenApi.Summary, "What is set for the runs of a queue"),
    HttpApiEndpoint.post("set", "/settings", {
      payload: ChangeSettings,
      success: Settings,
      error: storeErrors
    }).annotate(
      OpenApi.Summary,
      "Set the budget of a queue and the concurrency of its running workers, and pause or resume it"
    ),
    HttpApiEndpoint.post("control", "/control", {
      payload: Schema.Struct({ request: Schema.Literals(["pause", "resume", "stop"]) }),
      success: Control,
      error: storeErrors
    }).annotate(OpenApi.Summary, "Pause, resume or stop all runs on the store"),
    HttpApiEndpoint.get("events", "/events", {
      success: HttpApiSchema.StreamSse({ events: Event })
    }).annotate(OpenApi.Summary, "What changes, as server-sent events")
  )
  .prefix("/api")
  .middleware(RequestErrors)
  .middleware(Access) {}

/**
 * The API.
 *
 * @category endpoints
 * @since 0.1.0
 */
export class Api extends HttpApi.make("baton")
  .add(Endpoints)
  // A misspelt field must not select more tasks than was meant.
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error" })
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error" })
  .annotateMerge(
    OpenApi.annotations({
      title: "Baton",
      version,
      description: "Reads and changes the tasks of a Baton store."
    })
  ) {}
