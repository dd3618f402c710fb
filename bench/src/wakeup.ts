/** How long it takes until an idle worker starts a task that another process adds. */
import { Executor, Execution, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { Effect, Layer, Queue } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { report } from "./measurement.ts"
import { withPostgres, withRedis, withSqlite, storeLayer } from "./temporaryStores.ts"

const rounds = 40
/** A clock that processes share; `performance.now()` starts at zero in each. */
const now = (): number => performance.timeOrigin + performance.now()

const storeUrl = process.argv[2]
if (storeUrl !== undefined) {
  // The other process: adds a task for each line that it receives, with the time as its description.
  const main = Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const lines = yield* Queue.unbounded<string>()
    createInterface(process.stdin)
      .on("line", (line) => Queue.offerUnsafe(lines, line))
      .on("close", () => process.exit())
    process.stdout.write("ready\n")
    while (true) {
      const id = yield* Queue.take(lines)
      yield* store.add([Task.makeNew({ id, description: String(now()) })])
    }
  })
  await Effect.runPromise(Effect.provide(main, storeLayer(storeUrl)))
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
    Layer.provide(storeLayer(url))
  )
  const other = spawn(process.execPath, [fileURLToPath(import.meta.url), url], { stdio: ["pipe", "pipe", "inherit"] })
  await once(other.stdout, "data")
  const main = Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    yield* Effect.forkScoped(orchestrator.runForever)
    const delays: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      // Long enough for the worker to be idle again, with intervals that match no timer of the worker.
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

for (const [name, withStore, target] of [
  ["sqlite", withSqlite, "< 100 ms"],
  ["postgres", withPostgres, "< 50 ms"],
  ["redis", withRedis, "< 50 ms"]
] as const) {
  const delays = await withStore(measure)
  const what = `${name}, from adding in another process to starting`
  report({ what: `${what}, median`, value: delays[rounds >> 1] ?? 0, unit: "ms", target })
  report({ what: `${what}, worst`, value: delays.at(-1) ?? 0, unit: "ms" })
}
