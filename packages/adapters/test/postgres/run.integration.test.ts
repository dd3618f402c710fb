import { Execution, Executor, Orchestrator, Safety, TaskStore, Verifier } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Ref } from "effect"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import * as Postgres from "../servers/postgres.ts"
import { add, id, names, open } from "./postgres.ts"

describe.skipIf(!Postgres.isInstalled())("a run on a PostgreSQL server that crashes", () => {
  it.live("resumes when the server is back, and executes and completes every task once", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.temporary()
      const ids = names(400)
      const executed = yield* Ref.make<ReadonlyArray<string>>([])
      const crash = Effect.promise(server.crash).pipe(Effect.andThen(Effect.promise(server.start)))
      const executor = Executor.layer((task) =>
        Effect.gen(function* () {
          const done = yield* Ref.updateAndGet(executed, (before) => [...before, task.id])
          // In the middle of claims, checkpoints and settlements.
          if (done.length === 100 || done.length === 250) yield* crash
          yield* Effect.sleep("2 millis")
          return Execution.make({ output: `did ${task.id}` })
        })
      )
      const context = yield* Layer.build(
        Orchestrator.layer({ concurrency: 16 }).pipe(
          Layer.provide([executor, Verifier.layerAlwaysPass, Safety.layerAllowAll]),
          Layer.provideMerge(PostgresTaskStore.layer({ url: server.url }))
        )
      )
      const store = Context.get(context, TaskStore.TaskStore)
      yield* add(store, ids)
      const { stats } = yield* Context.get(context, Orchestrator.Orchestrator).run
      assert.equal(stats.tasksCompleted, ids.length)
      assert.deepEqual([...(yield* Ref.get(executed))].toSorted(), ids.toSorted(), "each is executed once")

      const after = yield* open({ url: server.url })
      const counts = yield* after.counts
      assert.deepEqual({ ...counts }, { ...counts, completed: ids.length, pending: 0, in_progress: 0, failed: 0 })
      for (const each of ids) {
        // Tasks that were claimed ahead when the server crashed were given back before they had started.
        const attempts = (yield* after.attempts(id(each))).filter(({ outcome }) => outcome !== "released")
        assert.deepEqual(
          attempts.map(({ outcome }) => outcome),
          ["completed"]
        )
      }
    })
  )
})
