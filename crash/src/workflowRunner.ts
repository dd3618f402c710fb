/** A runner of the crash test of workflows: `DATABASE_URL=... node workflowRunner.ts PORT DIRECTORY`. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Review, Schedules, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { TaskQueue } from "@baton/core"
import { NodeRuntime } from "@effect/platform-node"
import { Config, DateTime, Effect, Layer, Schedule, Schema } from "effect"
import { Workflow } from "effect/workflow"
import { appendFileSync } from "node:fs"
import { join } from "node:path"

const [port = "0", directory = "."] = process.argv.slice(2)

const queue = (name: string) =>
  TaskQueue.make({
    name,
    payload: Schema.Struct({ of: Schema.String }),
    result: Schema.Struct({ of: Schema.String })
  })
const First = queue("first")
const Second = queue("second")
const Ticks = queue("ticks")

/** Two paid steps; a person decides about the result of the second. */
const TwoSteps = Workflow.make("TwoSteps/1", {
  payload: { of: Schema.String },
  idempotencyKey: ({ of }) => of,
  success: Schema.String,
  error: TaskActivity.Failed
})

const twoSteps = TwoSteps.toLayer(
  Effect.fnUntraced(function* ({ of }) {
    const first = yield* TaskActivity.make(First, { name: "first", payload: { of } })
    const second = yield* Review.gate(Second, { name: "second", payload: first })
    return second.of
  })
)

const Tick = Workflow.make("Tick/1", {
  payload: { time: Schema.String },
  idempotencyKey: ({ time }) => time,
  error: TaskActivity.Failed
})

const tick = Tick.toLayer(({ time }) =>
  Effect.asVoid(TaskActivity.make(Ticks, { name: "tick", payload: { of: time } }))
)

const schedule = Schedules.layer(Tick, {
  cron: "*/2 * * * * *",
  payload: (time) => ({ time: DateTime.formatIso(time) })
})

/** Each execution of a task is a line, which survives the process. */
const worker = (queue: typeof First, review = false) =>
  queue.toLayer(
    ({ of }, { attempt }, { id }) =>
      Effect.gen(function* () {
        appendFileSync(join(directory, "executions"), `${JSON.stringify({ queue: queue.name, id, of, attempt })}\n`)
        yield* Effect.sleep("100 millis")
        return { of }
      }),
    { concurrency: 4, leaseDuration: "5 seconds", maxAttempts: 100, review }
  )

/** Every runner starts all executions, one after the other, within a time; the engine starts each once. */
const start = Layer.effectDiscard(
  Effect.flatMap(
    Config.all({ count: Config.Int("EXECUTIONS"), withinMillis: Config.Int("START_WITHIN") }),
    ({ count, withinMillis }) =>
      Effect.forEach(
        Array.from({ length: count }, (_, n) => String(n)),
        (of) =>
          TwoSteps.execute({ of }, { discard: true }).pipe(
            Effect.sandbox,
            Effect.retry(Schedule.spaced("1 second")),
            Effect.andThen(Effect.sleep(withinMillis / count))
          ),
        { discard: true }
      ).pipe(Effect.forkScoped)
  )
)

const runner = Layer.unwrap(
  Effect.map(
    Config.all({ url: Config.String("DATABASE_URL"), lockSeconds: Config.Int("LOCK_SECONDS") }),
    ({ lockSeconds, url }) =>
      Layer.mergeAll(twoSteps, tick, schedule, worker(First), worker(Second, true), worker(Ticks), start).pipe(
        Layer.provide(Review.layer),
        Layer.provide(
          Layer.merge(
            Workflows.layerCluster({ url, host: "127.0.0.1", port: Number(port), lockExpiration: lockSeconds * 1000 }),
            PostgresTaskStore.layer({ url })
          )
        )
      )
  )
)

NodeRuntime.runMain(Layer.launch(runner))
