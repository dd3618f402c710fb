import { Execution, Executor, Orchestrator, OrchestratorBuilder, Task, TaskStore } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createConnection } from "mysql2/promise"
import { randomUUID } from "node:crypto"
import * as MariaDbTaskStore from "../custom-store/MariaDbTaskStore.ts"

const server = process.env.BATON_TEST_MARIADB ?? "mysql://root@127.0.0.1:3306"

const isMissing = await createConnection(server).then(
  (connection) => connection.end().then(() => false),
  () => true
)

const run = (statement: string) =>
  Effect.promise(async () => {
    const connection = await createConnection(server)
    await connection.query(statement)
    await connection.end()
  })

/** A database that is dropped after the test. */
const makePlace = Effect.acquireRelease(
  Effect.suspend(() => {
    const name = `baton_test_${randomUUID().replaceAll("-", "")}`
    return Effect.as(run(`CREATE DATABASE ${name}`), name)
  }),
  (name) => run(`DROP DATABASE IF EXISTS ${name}`)
)

const open = (name: string) => MariaDbTaskStore.layer({ url: `${server}/${name}` })

// Side by side: most of the time, a case waits for a lease to end or for the disk.
describe.skipIf(isMissing)("with a MariaDB server", { concurrent: true }, () => {
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
