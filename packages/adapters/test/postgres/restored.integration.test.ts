import { Execution, Task, type TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import * as Postgres from "../servers/postgres.ts"
import { claim, client, complete, id, open, retry, untilAnswered } from "./postgres.ts"
import * as Proxy from "./proxy.ts"

/** A database that can be set back to an older copy of itself, on its own server. */
const restorable = Effect.gen(function* () {
  const server = yield* Postgres.temporary()
  const sql = yield* client(server.url)
  const run = (statement: string) => Effect.asVoid(sql.unsafe(statement).unprepared)
  yield* run("CREATE DATABASE work")
  const url = server.url.replace(/postgres$/, "work")
  // Creates the tables, so that the copy has them.
  yield* Effect.scoped(open({ url }))
  return {
    url,
    // Copying a database needs it without sessions; the stores on it connect again.
    backUp: Effect.forEach(
      [
        "ALTER DATABASE work ALLOW_CONNECTIONS false",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'work'",
        "CREATE DATABASE copy TEMPLATE work",
        "ALTER DATABASE work ALLOW_CONNECTIONS true"
      ],
      run
    ),
    restore: Effect.forEach(["DROP DATABASE work WITH (FORCE)", "CREATE DATABASE work TEMPLATE copy"], run)
  }
})

const task = (name: string, description: string) => Task.makeNew({ id: name, description })

describe.skipIf(!Postgres.isInstalled())(
  "a PostgreSQL database restored from an older copy under a live worker",
  () => {
    it.live("keeps the worker's results out of tasks that were added after the restore", () =>
      Effect.gen(function* () {
        const { backUp, restore, url } = yield* restorable
        yield* backUp
        const before = yield* open({ url })
        yield* before.add([task("x", "Before."), task("y", "Before.")])
        const [x, y] = yield* claim(before)
        assert.ok(x && y)

        yield* restore
        const after = yield* open({ url })
        // "other" gets the row that "x" had, and "y" gets its row, its id and its token again.
        yield* after.add([task("other", "After."), task("y", "After.")])
        const [other, again] = yield* claim(after, { owner: "new worker" })
        assert.ok(other && again)
        assert.deepEqual([other.token, again.token], [x.token, y.token], "the database repeats its tokens")

        const leases = [x, y].map(({ task, token }) => ({ taskId: task.id, token }))
        const execution = Execution.make({ output: "from before" })
        const checkpoints = leases.map(({ taskId, token }) => ({ taskId, token, execution }))
        const lost: ReadonlyArray<TaskStore.LostLease> = [
          { taskId: id("x"), token: x.token, status: undefined },
          { taskId: id("y"), token: y.token, status: "in_progress" }
        ]
        assert.deepEqual((yield* untilAnswered(before.extend(leases, Duration.hours(9)))).lost, lost)
        assert.deepEqual((yield* before.checkpoint(checkpoints)).lost, lost)
        assert.deepEqual((yield* before.settle([retry(x), complete(y, "from before")])).lost, lost)
        assert.deepEqual((yield* before.settle([complete(x, "from before"), complete(y, "from before")])).lost, lost)

        assert.deepEqual((yield* after.settle([complete(other, "after"), complete(again, "after")])).lost, [])
        for (const name of ["other", "y"]) {
          assert.equal(Option.getOrThrow(yield* after.get(id(name))).result, "after")
          assert.lengthOf(yield* after.attempts(id(name)), 1)
        }
        assert.equal((yield* after.counts).completed, 2)
      })
    )

    it.live("does not count another worker's attempt as the settlement whose answer was lost", () =>
      Effect.gen(function* () {
        const { backUp, restore, url } = yield* restorable
        yield* backUp
        const proxy = yield* Proxy.make(url)
        // On a busy machine, any statement can take that long.
        const before = yield* untilAnswered(
          open({ url: proxy.url, listen: false, statementTimeout: Duration.millis(300) })
        )
        yield* untilAnswered(before.add([task("x", "Before.")]))
        const [stale] = yield* untilAnswered(claim(before))
        assert.ok(stale)
        yield* restore
        const after = yield* open({ url })
        yield* after.add([task("x", "After.")])
        const [current] = yield* claim(after, { owner: "new worker" })
        assert.ok(current)
        const settling = before.settle([complete(stale)])
        yield* untilAnswered(before.counts)
        proxy.swallow()
        assert.equal((yield* Effect.flip(settling)).reason, "Unavailable")
        proxy.restore()
        yield* after.settle([complete(current, "after")])
        assert.deepEqual((yield* untilAnswered(settling)).lost, [
          { taskId: id("x"), token: stale.token, status: "completed" }
        ])
      })
    )

    it.live("keeps the leases that the copy contains", () =>
      Effect.gen(function* () {
        const { backUp, restore, url } = yield* restorable
        const store = yield* open({ url })
        yield* store.add([task("x", "Before.")])
        const [claimed] = yield* claim(store)
        assert.ok(claimed)
        yield* backUp
        yield* restore
        assert.deepEqual((yield* untilAnswered(store.settle([complete(claimed, "kept")]))).lost, [])
        assert.equal(Option.getOrThrow(yield* store.get(id("x"))).result, "kept")
      })
    )
  }
)
