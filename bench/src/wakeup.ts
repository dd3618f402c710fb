/** How soon an idle worker starts a task that another process adds. */
import { Executor, Execution, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { Effect, Layer, Queue } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { report } from "./measurement.ts"
import { onPostgres, onRedis, onSqlite, storeAt } from "./places.ts"

const rounds = 40
/** Processes start their clocks at different times. */
const now = (): number => performance.timeOrigin + performance.now()

const place = process.argv[2]
if (place !== undefined) {
  // The other process: adds a task for each line it is sent, with the time in it.
  const main = Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const lines = yield* Queue.unbounded<string>()
    createInterface(process.stdin)
      .on("line", (line) => Queue.offerUnsafe(lines, line))
      .on("close", () => process.exit())
    process.stdout.write("ready\n")
    while (true) {
      const id = yield* Queue.take(lines)
      yield* store.add([Task.make({ id, description: String(now()) })])
    }
  })
  await Effect.runPromise(Effect.provide(main, storeAt(place)))
}

const measure = async (url: string): Promise<ReadonlyArray<number>> => {
  const seen = Effect.runSync(Queue.unbounded<number>())
  const worker = Orchestrator.layer().pipe(
    Layer.provide([
      Executor.layer((task) =>
        Effect.sync(() => {
          Queue.offerUnsafe(seen, now() - Number(task.description))
          return Execution.make({ output: "" })
        })
      ),
      Verifier.layerNone,
      Safety.layerAllowAll
    ]),
    Layer.provide(storeAt(url))
  )
  const other = spawn(process.execPath, [fileURLToPath(import.meta.url), url], { stdio: ["pipe", "pipe", "inherit"] })
  await once(other.stdout, "data")
  const main = Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    yield* Effect.forkScoped(orchestrator.runForever)
    const delays: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      // Long enough for the worker to be idle again, and of no length that anything else has.
      yield* Effect.sleep(83 + 7 * (round % 11))
      other.stdin.write(`task-${round}\n`)
      delays.push(yield* Queue.take(seen))
    }
    return delays.sort((left, right) => left - right)
  })
  try {
    return await main.pipe(Effect.scoped, Effect.provide(worker), Effect.runPromise)
  } finally {
    other.stdin.end()
    await once(other, "exit")
  }
}

for (const [name, onPlace, target] of [
  ["sqlite", onSqlite, "< 100 ms"],
  ["postgres", onPostgres, "< 50 ms"],
  ["redis", onRedis, "< 50 ms"]
] as const) {
  const delays = await onPlace(measure)
  const what = `${name}, added by another process until started`
  report({ what: `${what}, median`, value: delays[rounds >> 1] ?? 0, unit: "ms", target })
  report({ what: `${what}, worst`, value: delays.at(-1) ?? 0, unit: "ms" })
}
