import { Execution, Executor, Orchestrator, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder, HttpApiClient } from "effect/http-api"
import { Api } from "../embed-in-http-app/Api.ts"
import { handlers } from "../embed-in-http-app/handlers.ts"
import { worker } from "../embed-in-http-app/worker.ts"

it.live("an app accepts tasks over HTTP and completes them", () =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<void>()
    const orchestrator = Orchestrator.layer().pipe(
      Layer.provide([
        Executor.layer(({ description }) => Effect.succeed(Execution.make({ output: description.toUpperCase() }))),
        Verifier.layerAlwaysPass,
        Safety.layerAllowAll
      ])
    )
    const watched = Layer.effectDiscard(
      Effect.gen(function* () {
        const store = yield* TaskStore.TaskStore
        const wait = Effect.gen(function* () {
          while ((yield* store.counts).completed === 0) yield* Effect.sleep("5 millis")
        })
        yield* Effect.forkScoped(Effect.andThen(wait, Deferred.succeed(done, undefined)))
      })
    )
    const app = HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(handlers)), {
      disableListenLog: true,
      disableLogger: true
    }).pipe(
      Layer.merge(worker.pipe(Layer.provide(orchestrator))),
      Layer.merge(watched),
      Layer.provide(TaskStore.layerMemory),
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
    yield* Effect.gen(function* () {
      const client = yield* HttpApiClient.make(Api)
      const id = Task.TaskId.make("greeting")
      const payload = { id, description: "good morning" }
      assert.deepStrictEqual(yield* client.tasks.add({ payload }), { id, isNew: true })
      assert.deepStrictEqual(yield* client.tasks.add({ payload }), { id, isNew: false })
      yield* Deferred.await(done)
      const task = yield* client.tasks.get({ params: { id } })
      assert.deepInclude(task, { status: "completed", result: "GOOD MORNING" })
      assert.strictEqual((yield* client.tasks.counts()).completed, 1)
      const missing = yield* Effect.flip(client.tasks.get({ params: { id: Task.TaskId.make("missing") } }))
      assert.strictEqual(missing._tag, "TaskNotFound")
    }).pipe(Effect.provide(app))
  }).pipe(Effect.scoped)
)
