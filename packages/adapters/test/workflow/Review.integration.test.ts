import { PostgresTaskStore } from "@baton/adapters/postgres"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Retention, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Layer, Option } from "effect"
import { join } from "node:path"
import { isMissing } from "../postgres/postgres.ts"
import { decide, inReview, parts, Publish, statusOf } from "./gate.ts"
import { database, folder, freePort } from "./servers.ts"

const sqlite = Effect.map(folder, (directory) => {
  const store = SqliteTaskStore.layer({ filename: join(directory, "tasks.db") })
  return { store, engine: Workflows.layerSingle({ filename: join(directory, "workflows.db") }) }
})

const postgres = Effect.gen(function* () {
  const url = yield* database
  return {
    store: PostgresTaskStore.layer({ url }),
    engine: Workflows.layerCluster({ url, host: "127.0.0.1", port: yield* freePort })
  }
})

describe.each([
  { name: "SQLite", make: sqlite, skip: false },
  { name: "PostgreSQL", make: postgres, skip: isMissing }
])("Review.gate on $name", ({ make, skip }) => {
  it.live.skipIf(skip)("continues as the person decides", () =>
    Effect.gen(function* () {
      const { engine, store } = yield* make
      yield* Effect.gen(function* () {
        const start = (topic: string) =>
          Effect.forkChild(Effect.exit(Publish.execute({ topic })), { startImmediately: true })
        const approved = yield* start("approved")
        const edited = yield* start("edited")
        const rejected = yield* start("rejected")
        const interrupted = yield* start("interrupted")
        yield* Effect.forEach(["approved", "edited", "rejected", "interrupted"], (topic) => inReview(topic), {
          concurrency: "unbounded"
        })
        yield* decide("rejected", { _tag: "Reject", comment: "Longer, please." })
        yield* decide("approved", { _tag: "Approve" })
        yield* decide("edited", { _tag: "Edit", text: `{"text":"wasps"}` })
        yield* TaskActivity.interrupt(Publish, yield* Publish.executionId({ topic: "interrupted" }))
        yield* inReview("rejected", 2)
        yield* decide("rejected", { _tag: "Approve" })
        assert.deepStrictEqual(yield* Fiber.join(approved), Exit.succeed("published: approved 1"))
        assert.deepStrictEqual(yield* Fiber.join(edited), Exit.succeed("published: wasps"))
        assert.deepStrictEqual(yield* Fiber.join(rejected), Exit.succeed("published: rejected 2 Longer, please."))
        assert.isTrue(Exit.isFailure(yield* Fiber.join(interrupted)))
        assert.strictEqual(yield* statusOf("interrupted"), "failed")
      }).pipe(Effect.provide(Layer.provideMerge(parts(), Layer.merge(engine, store)), { local: true }))
    })
  )

  it.live.skipIf(skip)("continues when the person decided while no process with workflows was running", () =>
    Effect.gen(function* () {
      const { engine, store } = yield* make
      const process = Layer.provideMerge(parts(), Layer.merge(engine, store))
      const before = Effect.andThen(Publish.execute({ topic: "bees" }, { discard: true }), inReview("bees"))
      yield* Effect.provide(before, process, { local: true })
      yield* Effect.provide(decide("bees", { _tag: "Approve" }), store, { local: true })
      const after = Effect.gen(function* () {
        const { forgetEnded } = yield* Retention.Retention
        // An execution that waits stays; one that ends is deleted once the time has come.
        assert.strictEqual(yield* forgetEnded(yield* DateTime.now), 0)
        const published = yield* Publish.execute({ topic: "bees" })
        assert.strictEqual(yield* forgetEnded(DateTime.subtractDuration(yield* DateTime.now, "1 day")), 0)
        assert.strictEqual(yield* forgetEnded(DateTime.addDuration(yield* DateTime.now, "1 second")), 1)
        assert.deepStrictEqual(yield* Publish.poll(yield* Publish.executionId({ topic: "bees" })), Option.none())
        return published
      })
      assert.strictEqual(yield* Effect.provide(after, process, { local: true }), "published: bees 1")
    })
  )
})
