import { NodeHttpServer } from "@effect/platform-node"
import { Execution, Task, TaskStore, Verification } from "@baton/core"
import { BatonApi, BatonServer } from "@baton/adapters/http"
import { Context, Duration, Effect, Layer } from "effect"
import { FetchHttpClient, type HttpClient, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { createServer } from "node:http"

/** A server on a free port of this machine, its store, and a client that was generated from the API. */
export class Served extends Context.Service<
  Served,
  {
    readonly url: string
    readonly store: TaskStore.TaskStore["Service"]
    readonly client: HttpApiClient.ForApi<typeof BatonApi.Api>
  }
>()("test/Served") {}

export const layer = <E>(
  { listen = "127.0.0.1", ...options }: BatonServer.Options & { readonly listen?: string } = {},
  store: Layer.Layer<TaskStore.TaskStore, E> = TaskStore.layerMemory
): Layer.Layer<Served | HttpClient.HttpClient, E> =>
  Layer.effect(
    Served,
    Effect.gen(function* () {
      const url = yield* HttpServer.addressFormattedWith(Effect.succeed)
      return {
        url,
        store: yield* TaskStore.TaskStore,
        client: yield* HttpApiClient.make(BatonApi.Api, { baseUrl: url })
      }
    })
  ).pipe(
    Layer.provide(BatonServer.layerHttp(options)),
    Layer.provide(store),
    Layer.provideMerge(FetchHttpClient.layer),
    // The server never closes an idle connection. On a slow machine, the client could be about to use it.
    Layer.provide(
      Layer.orDie(
        NodeHttpServer.layer(() => createServer({ keepAliveTimeout: 0 }), {
          port: 0,
          host: listen,
          gracefulShutdownTimeout: 0
        })
      )
    )
  )

/** Adds tasks that are called by their ids. */
export const add = (store: TaskStore.TaskStore["Service"], queue: string, ids: ReadonlyArray<string>) =>
  store.add(ids.map((id) => Task.makeNew({ id, queue, description: `Do ${id}.` })))

const lease = Duration.minutes(5)

/** Ends the next attempts of a queue as failures with this feedback. */
export const fail = Effect.fnUntraced(function* (
  store: TaskStore.TaskStore["Service"],
  queue: string,
  options: { readonly limit: number; readonly feedback: (id: string) => string; readonly output?: string }
) {
  const claims = yield* store.claim({ queues: [queue], owner: "test", limit: options.limit, lease })
  yield* store.settle(
    claims.map(({ task, token }) => ({
      _tag: "Fail",
      taskId: task.id,
      token,
      execution: options.output === undefined ? undefined : Execution.make({ output: options.output }),
      feedback: options.feedback(task.id)
    }))
  )
})

/** Completes the next tasks of a queue with this output. */
export const complete = Effect.fnUntraced(function* (
  store: TaskStore.TaskStore["Service"],
  queue: string,
  options: { readonly limit: number; readonly output: string }
) {
  const claims = yield* store.claim({ queues: [queue], owner: "test", limit: options.limit, lease })
  yield* store.settle(
    claims.map(({ task, token }) => ({
      _tag: "Complete",
      taskId: task.id,
      token,
      execution: Execution.make({ output: options.output }),
      verification: Verification.pass(),
      verified: true
    }))
  )
})

/** Sends the next outputs of a queue to review. */
export const sendToReview = Effect.fnUntraced(function* (
  store: TaskStore.TaskStore["Service"],
  queue: string,
  options: { readonly limit: number; readonly output: string }
) {
  const claims = yield* store.claim({ queues: [queue], owner: "test", limit: options.limit, lease })
  yield* store.settle(
    claims.map(({ task, token }) => ({
      _tag: "Review",
      taskId: task.id,
      token,
      execution: Execution.make({ output: options.output }),
      verification: Verification.review("All accepted outputs are reviewed.")
    }))
  )
})
