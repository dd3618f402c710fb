import { Execution, Executor, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiClient } from "effect/http-api"
import { Api } from "../embed-in-http-app/Api.ts"
import { handlers } from "../embed-in-http-app/handlers.ts"

it.live("an app accepts tasks over HTTP and completes them", () =>
  Effect.gen(function* () {
    const orchestrator = Orchestrator.layer().pipe(
      Layer.provide([
        Executor.layer(({ description }) => Effect.succeed(Execution.make({ output: description.toUpperCase() }))),
        Verifier.layerAlwaysPass,
        Safety.layerAllowAll
      ])
    )
    const app = HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers)), {
      disableListenLog: true,
      disableLogger: true
    }).pipe(
      Layer.provideMerge(orchestrator),
      Layer.provideMerge(TaskStore.layerMemory),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
    yield* Effect.gen(function* () {
      const client = yield* HttpApiClient.make(Api)
      const { events } = yield* Orchestrator.Orchestrator
      const completed = events().pipe(
        Stream.filter(({ _tag }) => _tag === "TaskCompleted"),
        Stream.runHead
      )
      const done = yield* Effect.forkChild(completed, { startImmediately: true })
      yield* Effect.forkChild(Layer.launch(Orchestrator.layerWorker()))
      const id = Task.TaskId.make("greeting")
      const payload = { id, description: "good morning" }
      assert.deepStrictEqual(yield* client.tasks.add({ payload }), { id, isNew: true })
      assert.deepStrictEqual(yield* client.tasks.add({ payload }), { id, isNew: false })
      yield* Fiber.join(done)
      const task = yield* client.tasks.get({ params: { id } })
      assert.deepInclude(task, { status: "completed", result: "GOOD MORNING" })
      assert.strictEqual((yield* client.tasks.counts()).completed, 1)
      const missing = yield* Effect.flip(client.tasks.get({ params: { id: Task.TaskId.make("missing") } }))
      assert.strictEqual(missing._tag, "TaskNotFound")
    }).pipe(Effect.provide(app))
  }).pipe(Effect.scoped)
)
