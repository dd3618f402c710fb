/** A runner without workers: `node runner.ts URL PORT EXECUTIONS`. It tells its parent which executions it begins or continues. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { TaskActivity, Workflows } from "@baton/adapters/workflow"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Schedule } from "effect"
import { Loop, Steps } from "./loop.ts"

const [, , url = "", port = "0", executions = "0"] = process.argv

const loop = Loop.toLayer(({ n }) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => process.send?.(n))
    for (let step = 0; step < 10_000; step++) {
      yield* TaskActivity.make(Steps, { name: String(step), payload: { n } })
    }
  })
)

const start = Layer.effectDiscard(
  Effect.forkScoped(
    Effect.forEach(
      Array.from({ length: Number(executions) }, (_, n) => n),
      (n) => Loop.execute({ n }, { discard: true }).pipe(Effect.sandbox, Effect.retry(Schedule.spaced("1 second"))),
      { discard: true }
    )
  )
)

const engine = Workflows.layerCluster({ url, host: "127.0.0.1", port: Number(port) })

process.once("disconnect", () => process.exit())
NodeRuntime.runMain(
  Layer.launch(Layer.merge(loop, start).pipe(Layer.provide(Layer.merge(engine, PostgresTaskStore.layer({ url })))))
)
