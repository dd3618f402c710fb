/** A runner with workflows of two steps and the workers of their queues, to be killed: `program.ts ROLE DIRECTORY [PORT]`. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { TaskActivity, Workflows } from "@baton/adapters/workflow"
import { TaskQueue } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { Workflow } from "effect/workflow"
import { appendFileSync } from "node:fs"
import { join } from "node:path"

const [role = "run", directory = ".", port = "0"] = process.argv.slice(2)
const url = process.env["DATABASE_URL"]
const count = Number(process.env["COUNT"] ?? 10)
/** How long the work of a step takes, in milliseconds. */
const work = Number(process.env["WORK"] ?? 50)
const concurrency = Number(process.env["CONCURRENCY"] ?? 4)

const step = (name: string) =>
  TaskQueue.make({
    name,
    payload: Schema.Struct({ n: Schema.Int }),
    result: Schema.Struct({ n: Schema.Int })
  })
const First = step("first")
const Second = step("second")

const Pipeline = Workflow.make("Pipeline/1", {
  payload: { n: Schema.Int },
  idempotencyKey: ({ n }) => String(n),
  success: Schema.Int,
  error: TaskActivity.Failed
})

const workflows = Pipeline.toLayer(({ n }) =>
  Effect.gen(function* () {
    const first = yield* TaskActivity.make(First, { name: "first", payload: { n } })
    const second = yield* TaskActivity.make(Second, { name: "second", payload: { n: first.n } })
    return second.n
  })
)

const worker = (queue: typeof First) =>
  queue.toLayer(
    ({ n }, _, { id }) =>
      Effect.gen(function* () {
        appendFileSync(join(directory, "executions"), `${id}\n`)
        yield* Effect.sleep(work)
        return { n: n + 1 }
      }),
    // Longer than a process waits for a busy machine: a lease that ends earlier repeats a step although its runner lives.
    { concurrency, leaseDuration: "15 seconds", onEnd: "log" }
  )

const engine =
  url === undefined
    ? Workflows.layerSingle({ filename: join(directory, "workflows.db") })
    : Workflows.layerCluster({ url, host: "127.0.0.1", port: Number(port), lockExpiration: "15 seconds" })
const store =
  url === undefined
    ? SqliteTaskStore.layer({ filename: join(directory, "tasks.db") })
    : PostgresTaskStore.layer({ url })

const start = Effect.gen(function* () {
  const results = yield* Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) => Pipeline.execute({ n }),
    { concurrency: "unbounded" }
  )
  process.stdout.write(`${JSON.stringify(results)}\n`)
})

const parts = Layer.mergeAll(workflows, worker(First), worker(Second)).pipe(
  Layer.provideMerge(Layer.merge(engine, store))
)

NodeRuntime.runMain(role === "start" ? Effect.provide(start, parts) : Layer.launch(parts))
