import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Task, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { baton, folder, program, start } from "./baton.ts"

const module = (path: string) => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href)
const effect = (path: string) => JSON.stringify(import.meta.resolve(path))

describe("baton worker --workflows", () => {
  it("has the engine from the modules of the configuration, so no other command loads it", () => {
    const folder = dirname(program)
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"))
    const withEngine = files.filter((file) =>
      /effect\/(cluster|workflow)\//.test(readFileSync(join(folder, file), "utf8"))
    )
    assert.isNotEmpty(files)
    assert.deepStrictEqual(withEngine, [])
  })

  it.live("continues after kill -9, with the modules of the directory of the configuration", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write(
        "baton.config.ts",
        `import { Executions, TaskActivity } from ${module("adapters/src/workflow/index.ts")}
         import { TaskQueue } from ${module("core/src/index.ts")}
         import { Effect, Layer, Schema } from ${effect("effect")}
         import { Workflow } from ${effect("effect/workflow")}
         const Steps = TaskQueue.make({ name: "steps", payload: Schema.Struct({ n: Schema.Int }), result: Schema.Struct({ n: Schema.Int }) })
         const Count = Workflow.make("Count/1", { payload: { n: Schema.Int }, idempotencyKey: ({ n }) => String(n), success: Schema.Int, error: TaskActivity.Failed })
         const count = Count.toLayer(({ n }) => Effect.gen(function* () {
           const first = yield* TaskActivity.make(Steps, { name: "first", payload: { n } })
           const second = yield* TaskActivity.make(Steps, { name: "second", payload: first })
           return second.n
         }))
         const step = Steps.toLayer(({ n }) => Effect.gen(function* () {
           yield* Effect.sync(() => process.stdout.write('{"event":"step ' + n + '"}\\n'))
           if (n === 2 && process.env.HANG) yield* Effect.never
           return { n: n + 1 }
         }), { leaseDuration: "2 seconds" })
         export default { workflows: Executions.register({ definitions: [Count], layer: Layer.merge(count, step) }) }`
      )
      const started = yield* baton(dir.path, ["workflow", "start", "Count/1", "--payload", '{"n":1}'])
      assert.strictEqual(started.code, 0, started.stderr)
      const first = yield* start(dir.path, ["worker", "--workflows"], { HANG: "1" })
      yield* first.event("step 1")
      yield* first.event("step 2")
      yield* first.kill("SIGKILL")
      yield* first.ended

      const second = yield* start(dir.path, ["worker", "--workflows"])
      // The first step is not executed again.
      assert.strictEqual((yield* second.event("step 2")).event, "step 2")
      const task = yield* TaskStore.TaskStore.use((store) =>
        store.awaitSettled(Task.idInQueue("steps", `Count/1/${started.stdout.trim()}/second`))
      ).pipe(Effect.provide(SqliteTaskStore.layer({ filename: join(dir.path, ".baton/baton.db") }), { local: true }))
      assert.strictEqual(Option.getOrThrow(task).result, `{"n":3}`)
      yield* second.kill("SIGTERM")
      const ended = yield* second.ended
      assert.strictEqual(ended.code, 143, ended.stderr)
      assert.notInclude(ended.stdout, "step 1")
    })
  )
})
