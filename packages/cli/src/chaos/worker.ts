/** The program of a worker of `baton chaos`. */
import { runWorker } from "@baton/crash/workerProgram"
import { TaskStore } from "@baton/core/TaskStore"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { storeFromUrl } from "../run/stores.ts"

runWorker((url) =>
  storeFromUrl(url).pipe(
    Layer.provide(NodeServices.layer),
    // The command has opened this URL before it started the worker.
    Layer.catchTag("CommandFailed", (error) => Layer.effect(TaskStore, Effect.die(error)))
  )
)
