/** A runner without workers: `node runner.ts URL PORT EXECUTIONS`. It reports to its parent which executions it begins or continues, and when it begins to check the other runners. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { TaskActivity, Workflows } from "@baton/adapters/workflow"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Logger, References, Schedule } from "effect"
import { Loop, Steps } from "./loop.ts"

export type Report = number | "checks"

const send = (report: Report) => process.send?.(report)

const [, , url = "", port = "0", executions = "0"] = process.argv

const loop = Loop.toLayer(({ n }) =>
  Effect.gen(function* () {
    yield* Effect.sync(() => send(n))
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

/** The engine reports in its log that it begins. */
const checks = Logger.make(({ message }) => {
  const [text, singleton] = Array.isArray(message) ? message : [message]
  if (text === "Starting singleton" && String(singleton).includes("RunnerHealth")) send("checks")
})

const engine = Workflows.layerCluster({ url, host: "127.0.0.1", port: Number(port) })

process.once("disconnect", () => process.exit())
NodeRuntime.runMain(
  Layer.launch(
    Layer.merge(loop, start).pipe(
      Layer.provide(Layer.merge(engine, PostgresTaskStore.layer({ url }))),
      Layer.provide(Layer.merge(Logger.layer([checks]), Layer.succeed(References.MinimumLogLevel, "Debug")))
    )
  )
)
