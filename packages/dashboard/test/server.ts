/** The server of `baton serve` over a store in memory, with the built page. */
import { NodeHttpServer } from "@effect/platform-node"
import { BatonServer } from "@baton/adapters/http"
import { TaskStore } from "@baton/core"
import type { TaskRecord } from "@baton/core/TaskRecord"
import { Effect, Layer, ManagedRuntime } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import { join } from "node:path"

export interface Server {
  readonly url: string
  /** Runs an operation of the store, as a worker in another process would. */
  readonly change: <A, E>(operation: (store: TaskStore.TaskStore["Service"]) => Effect.Effect<A, E>) => Promise<A>
  /** Stops to serve; the store stays. */
  readonly stop: () => Promise<void>
  /** Serves again at the same address. */
  readonly restart: () => Promise<void>
  readonly close: () => Promise<void>
}

interface Options {
  readonly tokens?: ReadonlyArray<BatonServer.Token>
  readonly readOnly?: boolean
  readonly path?: `/${string}`
}

const files = join(import.meta.dirname, "../dist")

export const startServer = async (
  records: ReadonlyArray<TaskRecord>,
  { path = "/", readOnly = false, tokens = [] }: Options = {}
): Promise<Server> => {
  const kept = ManagedRuntime.make(TaskStore.layerMemory)
  const store = await kept.runPromise(TaskStore.TaskStore)
  await kept.runPromise(store.restore(records))
  const options = { files, path, readOnly, tokens }

  const serve = async (port: number) => {
    const runtime = ManagedRuntime.make(
      HttpRouter.serve(BatonServer.layer(options), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(Layer.succeed(TaskStore.TaskStore, store)),
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1", gracefulShutdownTimeout: 0 }))
      )
    )
    const url = await runtime.runPromise(HttpServer.addressFormattedWith(Effect.succeed))
    return { url, close: () => runtime.dispose() }
  }

  let served = await serve(0)
  const { url } = served
  return {
    url: path === "/" ? url : `${url}${path}`,
    change: (operation) => kept.runPromise(operation(store)),
    stop: () => served.close(),
    restart: async () => {
      served = await serve(Number(new URL(url).port))
    },
    close: async () => {
      await served.close()
      await kept.dispose()
    }
  }
}
