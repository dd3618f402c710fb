import { Execution, Executor, Orchestrator, OrchestratorBuilder, Task, TaskStore } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createConnection } from "mysql2/promise"
import { randomUUID } from "node:crypto"
import * as ReusedPlaces from "../../packages/adapters/test/reusedPlaces.ts"
import * as MariaDbTaskStore from "../custom-store/MariaDbTaskStore.ts"

const server = process.env.BATON_TEST_MARIADB ?? "mysql://root@127.0.0.1:3306"

const connection = await createConnection({ uri: server, multipleStatements: true }).catch(() => undefined)

const run = (statement: string) => Effect.promise(async () => connection?.query(statement))

const open = (name: string) => MariaDbTaskStore.layer({ url: `${server}/${name}` })

const tables = ["baton_tasks", "baton_attempts", "baton_dependencies", "baton_store"]

afterAll(() => connection?.end())

/** An empty database. */
const makePlace = ReusedPlaces.make(
  Effect.gen(function* () {
    const place = `baton_test_${randomUUID().replaceAll("-", "")}`
    yield* Effect.acquireRelease(run(`CREATE DATABASE ${place}`), () => run(`DROP DATABASE ${place}`))
    yield* Effect.scoped(Layer.build(open(place)))
    return { place, empty: run(tables.map((table) => `DELETE FROM ${place}.${table}`).join(";")) }
  })
)

// Side by side: most of the time, a case waits for a lease to end or for the disk.
describe.skipIf(connection === undefined)("with a MariaDB server", { concurrent: true }, () => {
  // All that is needed to hold your own store against the contract.
  TaskStoreSuite.suite(it, {
    name: "MariaDB",
    makePlace,
    open,
    capabilities: {
      virtualTime: false,
      concurrencyKeys: false,
      budgets: false,
      revisions: false,
      starts: false,
      dependentFailures: false,
      pauses: false,
      texts: false,
      progress: false,
      batches: false
    }
  })

  it.live("a later run continues where an earlier one ended", () =>
    Effect.gen(function* () {
      const name = yield* makePlace
      const runTasks = (ids: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const store = yield* TaskStore.TaskStore
          yield* store.add(ids.map((id) => Task.makeNew({ id, description: `do ${id}` })))
          const orchestrator = yield* Orchestrator.Orchestrator
          return yield* orchestrator.run
        }).pipe(
          Effect.provide(
            OrchestratorBuilder.make()
              .withTaskStore(open(name))
              .withExecutor(Executor.layer(({ id }) => Effect.succeed(Execution.make({ output: `did ${id}` }))))
              .build()
          )
        )
      yield* runTasks(["a", "b"])
      const second = yield* runTasks(["a", "b", "c"])
      assert.strictEqual(second.stats.executions, 1)
      assert.strictEqual(second.counts.completed, 3)
    })
  )
})
