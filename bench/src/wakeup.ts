/** How soon an idle worker starts a task that another process adds. */
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Executor, Execution, Orchestrator, Safety, TaskStore, Verifier } from "@baton/core"
import { Deferred, Effect, Fiber, Layer, Queue } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { report } from "./measurement.ts"

const filename = join(mkdtempSync(join(tmpdir(), "baton-bench-")), "store.db")
const rounds = 40

if (process.argv[2] !== undefined) {
  // The other process: adds a task for each line it is sent, and says when.
  const main = Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const { Task } = yield* Effect.promise(() => import("@baton/core"))
    const lines = yield* Queue.unbounded<string>()
    process.stdin.setEncoding("utf8").on("data", (line: string) => Queue.offerUnsafe(lines, line.trim()))
    process.stdout.write("ready\n")
    while (true) {
      const id = yield* Queue.take(lines)
      yield* store.add([Task.make({ id, description: String(performance.timeOrigin + performance.now()) })])
    }
  })
  await Effect.runPromise(main.pipe(Effect.provide(SqliteTaskStore.layer({ filename: process.argv[2] }))))
}

const main = Effect.gen(function* () {
  const orchestrator = yield* Orchestrator.Orchestrator
  const started = yield* Deferred.make<void>()
  const other = spawn(process.execPath, [process.argv[1] ?? "", filename], { stdio: ["pipe", "pipe", "inherit"] })
  other.stdout.once("data", () => Deferred.doneUnsafe(started, Effect.void))
  yield* Deferred.await(started)
  const run = yield* Effect.forkChild(orchestrator.runForever)
  const delays: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    other.stdin.write(`task-${round}\n`)
    delays.push(yield* Queue.take(delaysSeen))
    yield* Effect.sleep(100)
  }
  other.kill()
  yield* Fiber.interrupt(run)
  return delays.sort((left, right) => left - right)
})
const delaysSeen = Effect.runSync(Queue.unbounded<number>())
const delays = await Effect.runPromise(
  main.pipe(
    Effect.provide(
      Orchestrator.layer().pipe(
        Layer.provide([
          Executor.layer((task) =>
            Effect.sync(() => {
              Queue.offerUnsafe(delaysSeen, performance.timeOrigin + performance.now() - Number(task.description))
              return Execution.make({ output: "" })
            })
          ),
          Verifier.layerNone,
          Safety.layerAllowAll
        ]),
        Layer.provideMerge(SqliteTaskStore.layer({ filename }))
      )
    )
  )
)
rmSync(join(filename, ".."), { recursive: true })
report({
  what: "sqlite, added by another process until started, median",
  value: delays[rounds >> 1] ?? 0,
  unit: "ms",
  target: "< 100 ms"
})
report({ what: "sqlite, added by another process until started, worst", value: delays.at(-1) ?? 0, unit: "ms" })
