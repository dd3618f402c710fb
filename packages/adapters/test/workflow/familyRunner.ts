/** A runner without workers, to be killed: `familyRunner.ts URL PORT`. It tells its parent that it begins or continues the workflow. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Workflows } from "@baton/adapters/workflow"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Schedule } from "effect"
import { Parent, workflows } from "./family.ts"

const [url = "", port = "0"] = process.argv.slice(2)

const start = Layer.effectDiscard(
  Parent.execute({ name: "a" }, { discard: true }).pipe(
    Effect.sandbox,
    Effect.retry(Schedule.spaced("1 second")),
    Effect.forkScoped
  )
)

const engine = Workflows.layerCluster({ url, host: "127.0.0.1", port: Number(port) })

process.once("disconnect", () => process.exit())
NodeRuntime.runMain(
  Layer.launch(
    Layer.merge(workflows(Effect.sync(() => process.send?.("parent"))), start).pipe(
      Layer.provide(Layer.merge(engine, PostgresTaskStore.layer({ url })))
    )
  )
)
