/** The handlers of the endpoints. */
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { NotAllowed } from "../ApiError.ts"
import { Api } from "../BatonApi.ts"
import { Events } from "./events.ts"
import { type Access, Caller, type RequestErrors } from "./middleware.ts"
import { Activity, Failures, limits, Settings, TaskPage } from "./model.ts"
import * as Operations from "./operations.ts"
import * as Reports from "./reports.ts"
import * as Sharing from "./sharing.ts"
import * as Views from "./views.ts"

export interface Options {
  readonly readOnly: boolean
  /** The streams of events end when this effect does. */
  readonly until: Effect.Effect<void> | undefined
}

export const layer = ({
  readOnly,
  until = Effect.never
}: Options): Layer.Layer<HttpApiGroup.Service<"baton", "baton">, never, TaskStore | Events | Access | RequestErrors> =>
  HttpApiBuilder.group(
    Api,
    "baton",
    Effect.fnUntraced(function* (handlers) {
      const operations = Operations.make(yield* TaskStore)
      const events = yield* Events
      const { version } = events
      /** A request that changes something. The client knows of the change when it has the answer. */
      const changing = <A, E, R>(change: Effect.Effect<A, E, R>) => Effect.ensuring(change, events.changed)
      const tasks = yield* Sharing.make({
        version,
        schema: TaskPage,
        read: ({ after, limit = limits.pageSize, ...query }: TasksQuery) =>
          operations.page({ ...query, cursor: after, limit }, Views.listedTask)
      })
      const failures = yield* Sharing.make({
        version,
        schema: Failures,
        read: ({ queue }: { readonly queue?: string }) => operations.failures(queue)
      })
      const activity = yield* Sharing.make({
        version,
        schema: Activity,
        read: ({ queue }: { readonly queue: string }) => operations.activity(queue)
      })
      const settings = yield* Sharing.make({
        version,
        schema: Settings,
        read: ({ queue }: { readonly queue: string }) => operations.settings(queue)
      })
      const report = yield* Reports.make(operations.report)
      return handlers
        .handle("queues", () =>
          Effect.map(Effect.all([operations.overview, Caller]), ([overview, { name, role }]) => ({
            ...overview,
            server: { readOnly, role, ...(name === undefined ? undefined : { name }) }
          }))
        )
        .handle("tasks", ({ query, request }) => tasks(query, request))
        .handle("task", ({ params }) => operations.task(params.id))
        .handle("output", ({ params, query }) =>
          Effect.map(operations.output(params.id, query.attempt), (text) =>
            HttpServerResponse.text(text, { contentType: "text/plain; charset=utf-8" })
          )
        )
        .handle("execution", ({ params }) => operations.execution(params.id))
        .handle("cancelExecution", ({ params }) => changing(operations.cancelExecution(params.id)))
        .handle("failures", ({ query, request }) => failures(query, request))
        .handle("activity", ({ query, request }) => activity(query, request))
        .handle("report", ({ query }) => report(query.queue))
        .handle("add", ({ payload }) => changing(operations.add(payload.tasks)))
        .handle("requeue", ({ payload }) => changing(operations.requeue(payload)))
        .handle("cancel", ({ payload }) => changing(operations.cancel(payload)))
        .handle("decide", ({ payload }) => changing(Effect.flatMap(asCaller(payload), operations.decide)))
        .handle("audit", ({ query }) => operations.audit(query))
        .handle("find", ({ payload }) => changing(Effect.flatMap(asCaller(payload), operations.find)))
        .handle("settings", ({ query, request }) => settings(query, request))
        .handle("set", ({ payload }) => changing(operations.set(payload)))
        .handle("control", ({ payload }) => changing(operations.control(payload.request)))
        .handle("events", () =>
          Effect.map(events.subscribe, (stream) =>
            HttpServerResponse.stream(Stream.interruptWhen(stream, until), {
              contentType: "text/event-stream",
              // Proxies that collect responses would hold the events back.
              headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
            })
          )
        )
    })
  )

type TasksQuery = Pick<Operations.TaskQuery, "queue" | "status" | "text"> & {
  readonly after?: string
  readonly limit?: number
}

/** The name of the token, if it has one, is the name of the person. A request cannot name another. */
const asCaller = <A extends { readonly by?: string }>(payload: A): Effect.Effect<A, NotAllowed, Caller> =>
  Effect.flatMap(Caller, ({ name }) => {
    if (name === undefined) return Effect.succeed(payload)
    if (payload.by === undefined || payload.by === name) return Effect.succeed({ ...payload, by: name })
    const message = `This token is that of ${JSON.stringify(name)}: it cannot decide as ${JSON.stringify(payload.by)}. Leave the name out.`
    return Effect.fail(new NotAllowed({ message }))
  })
