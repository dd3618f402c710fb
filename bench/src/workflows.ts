/**
 * Steps of workflows: the processor time of one on each engine, the rows that finished executions leave, and the time until
 * executions continue whose runner was killed or frozen.
 *
 *   node bench/src/main.ts workflows                                      10 000 executions of two steps on each engine
 *   node bench/src/main.ts workflows --executions 500 --only postgres     fewer, on one
 *   node bench/src/main.ts workflows --only takeover                      only the time of takeovers
 */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Retention, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { TaskQueue } from "@baton/core"
import { DateTime, Effect, Layer, Schema } from "effect"
import { Workflow } from "effect/workflow"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parseArgs } from "node:util"
import { Client } from "pg"
import { freePort } from "../../packages/adapters/test/servers/process.ts"
import { report } from "./measurement.ts"
import { type Place, postgresPlace } from "./swarm/servers.ts"
import { inFolder } from "./temporaryStores.ts"
import { takeovers } from "./workflows/takeover.ts"

const { values } = parseArgs({
  options: {
    executions: { type: "string", default: "10000" },
    only: { type: "string", default: "sqlite,postgres,takeover" }
  }
})
const executions = Number(values.executions)
const stepsOfAnExecution = 2

const N = Schema.Struct({ n: Schema.Int })
const First = TaskQueue.make({ name: "first", payload: N, result: N })
const Second = TaskQueue.make({ name: "second", payload: N, result: N })

const Pipeline = Workflow.make("Pipeline/1", {
  payload: { n: Schema.Int },
  idempotencyKey: ({ n }) => String(n),
  success: Schema.Int,
  error: TaskActivity.Failed
})

const pipeline = Pipeline.toLayer(({ n }) =>
  Effect.gen(function* () {
    const first = yield* TaskActivity.make(First, { name: "first", payload: { n } })
    const second = yield* TaskActivity.make(Second, { name: "second", payload: first })
    return second.n
  })
)

const worker = (queue: typeof First) =>
  queue.toLayer(({ n }) => Effect.succeed({ n: n + 1 }), { concurrency: 64, onEnd: "log" })

/** Runs all executions, deletes them, and returns their time and processor time. `cpuMillis` reads that of the server. */
const work = (cpuMillis: Effect.Effect<number>, rows: Effect.Effect<number | undefined>) =>
  Effect.gen(function* () {
    const serverBefore = yield* cpuMillis
    const before = process.cpuUsage()
    const began = performance.now()
    yield* Effect.forEach(
      Array.from({ length: executions }, (_, n) => n),
      (n) => Pipeline.execute({ n }),
      { concurrency: 100, discard: true }
    )
    const seconds = (performance.now() - began) / 1000
    const cpu = process.cpuUsage(before)
    const server = (yield* cpuMillis) - serverBefore
    const steps = executions * stepsOfAnExecution
    const rowsBefore = yield* rows
    const deleting = performance.now()
    const forgotten = yield* Retention.Retention.use(({ forgetEnded }) =>
      Effect.flatMap(DateTime.now, (now) => forgetEnded(DateTime.add(now, { minutes: 1 })))
    )
    return {
      perSecond: steps / seconds,
      cpuOfStep: (cpu.user + cpu.system) / 1000 / steps,
      serverCpuOfStep: server / steps,
      forgotten,
      forgetSeconds: (performance.now() - deleting) / 1000,
      rowsBefore,
      rowsLeft: yield* rows
    }
  })

type Found = Effect.Success<ReturnType<typeof work>>

const countRows = "SELECT (SELECT count(*) FROM cluster_messages) + (SELECT count(*) FROM cluster_replies) AS rows"

const show = (name: string, found: Found) => {
  report({ what: `${name}, steps of workflows`, value: found.perSecond, unit: "/s", target: ">= 50 /s" })
  report({ what: `${name}, processor time of a step`, value: found.cpuOfStep, unit: "ms" })
  if (found.serverCpuOfStep > 0)
    report({ what: `${name}, processor time of a step on the server`, value: found.serverCpuOfStep, unit: "ms" })
  report({ what: `${name}, ${found.forgotten} executions deleted in`, value: found.forgetSeconds * 1000, unit: "ms" })
  if (found.rowsBefore !== undefined)
    report({ what: `${name}, engine rows before`, value: found.rowsBefore, unit: "rows" })
  report({ what: `${name}, engine rows left`, value: found.rowsLeft ?? Number.NaN, unit: "rows", target: "0" })
}

const parts = Layer.mergeAll(pipeline, worker(First), worker(Second))

const sqlite = (folder: string) => {
  const filename = join(folder, "workflows.db")
  const layer = parts.pipe(
    Layer.provideMerge(SqliteTaskStore.layer({ filename: join(folder, "tasks.db") })),
    Layer.provideMerge(Workflows.layerSingle({ filename }))
  )
  // The engine locks its file, so its rows are counted when it is closed.
  return Effect.provide(work(Effect.succeed(0), Effect.succeed(undefined)), layer).pipe(
    Effect.map((found) => {
      const db = new DatabaseSync(filename, { readOnly: true })
      const rowsLeft = Number(db.prepare(countRows).get()?.["rows"])
      db.close()
      return { ...found, rowsLeft }
    })
  )
}

const postgres = ({ url, usage }: Place) =>
  Effect.gen(function* () {
    const port = yield* Effect.promise(freePort)
    const rows = Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      const { rows } = await client.query<{ readonly rows: string }>(countRows)
      await client.end()
      return Number(rows[0]?.rows)
    })
    const layer = parts.pipe(
      Layer.provideMerge(
        Layer.merge(Workflows.layerCluster({ url, host: "127.0.0.1", port }), PostgresTaskStore.layer({ url }))
      )
    )
    return yield* Effect.provide(
      work(
        Effect.map(usage, ({ cpuMillis }) => cpuMillis),
        rows
      ),
      layer
    )
  })

const engines = {
  sqlite: () => inFolder((folder) => Effect.runPromise(sqlite(folder))),
  postgres: () => Effect.runPromise(Effect.scoped(Effect.flatMap(postgresPlace(), postgres)))
}

const only = values.only.split(",")
for (const [name, run] of Object.entries(engines)) {
  if (only.includes(name)) show(name, await run())
}

if (only.includes("takeover")) {
  const found = await Effect.runPromise(Effect.scoped(Effect.flatMap(postgresPlace(), ({ url }) => takeovers(url))))
  for (const [fault, seconds] of Object.entries(found)) {
    const sorted = seconds.toSorted((left, right) => left - right)
    const what = `takeover of ${sorted.length} executions after a ${fault}`
    report({ what: `${what}, median`, value: sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN, unit: "s" })
    // The locks expire after 20 seconds.
    report({ what: `${what}, the last one`, value: sorted.at(-1) ?? Number.NaN, unit: "s", target: "<= 25 s" })
  }
}
