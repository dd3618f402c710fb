import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Random } from "effect"
import { add, claim, client, complete, id, isMissing, names, open, retry, schema, type Store } from "./postgres.ts"

const task = (name: string, dependsOn: ReadonlyArray<string> = []) =>
  Task.makeNew({ id: name, description: `Do ${name}.`, dependsOn })

/** Completes claimable tasks until the store is drained, and counts the completions of each task. */
const work = Effect.fnUntraced(function* (store: Store, owner: string, done: Map<string, number>) {
  while (true) {
    const claims = yield* claim(store, { limit: 1 + (yield* Random.nextIntBetween(0, 8)), owner })
    if (claims.length === 0) {
      if ((yield* store.awaitWork({ untilDrained: true })) === "drained") return
      continue
    }
    // In a random order, and together with two heartbeats that lock the same rows in another order.
    const shuffled = yield* Random.shuffle(claims)
    const leases = claims.map(({ task, token }) => ({ taskId: task.id, token }))
    const [{ lost }] = yield* Effect.all(
      [
        store.settle(shuffled.map((each, index) => (index % 5 === 4 ? retry(each) : complete(each)))),
        store.extend(leases.toReversed(), Duration.hours(1)),
        store.extend(leases, Duration.hours(1))
      ],
      { concurrency: "unbounded" }
    )
    const gone = new Set(lost.map(({ taskId }) => taskId))
    for (const [index, { task }] of shuffled.entries()) {
      if (index % 5 !== 4 && !gone.has(task.id)) done.set(task.id, (done.get(task.id) ?? 0) + 1)
    }
  }
})

const deadlocks = Effect.fnUntraced(function* () {
  const sql = yield* client()
  const [row] = yield* sql.unsafe<{ readonly count: number }>(
    "SELECT deadlocks::integer AS count FROM pg_stat_database WHERE datname = current_database()"
  )
  return row?.count ?? 0
})

describe.skipIf(isMissing)("dependent tasks in a PostgreSQL store", () => {
  it.live(
    "are all completed by workers that add, settle, extend, cancel and requeue at the same time, without a deadlock",
    () =>
      Effect.gen(function* () {
        const name = yield* schema()
        const stores = yield* Effect.forEach([1, 2, 3, 4], () => open({ schema: name }), { concurrency: 4 })
        const [store] = stores
        assert.ok(store)
        const before = yield* deadlocks()
        const layers = Array.from({ length: 12 }, (_, depth) => names(20, `d${depth}`))
        // Every task depends on three tasks of the previous layer. Several workers add all of them, each in a random order.
        const tasks = layers.flatMap((layer, depth) =>
          layer.map((each, index) =>
            task(each, depth === 0 ? [] : [0, 7, 13].map((step) => `d${depth - 1}-${(index + step) % 20}`))
          )
        )
        const shuffles = yield* Effect.forEach(stores, () => Random.shuffle(tasks))
        const added = yield* Effect.forEach(stores, (each, index) => each.add(shuffles[index] ?? []), {
          concurrency: 4
        })
        assert.equal(
          added.reduce((sum, each) => sum + each.added.length, 0),
          tasks.length
        )
        const done = new Map<string, number>()
        const meddling = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 30 }, (_, round) => round),
            (round) =>
              Effect.gen(function* () {
                const some = layers[round % 12]?.slice(0, 10).map(id) ?? []
                yield* store.cancel({ ids: some.toReversed() })
                yield* store.add(names(3, `late${round}`).map((each) => task(each, [`d${round % 12}-3`, "d0-0"])))
                yield* store.requeue({ ids: some })
              })
          )
        )
        yield* Effect.forEach(stores, (each, index) => work(each, `worker-${index}`, done), { concurrency: 4 })
        yield* Fiber.join(meddling)
        yield* Effect.forEach(stores, (each, index) => work(each, `again-${index}`, done), { concurrency: 4 })

        const counts = yield* store.counts
        assert.deepEqual({ ...counts }, { ...counts, pending: 0, in_progress: 0, failed: 0, cancelled: 0, waiting: 0 })
        assert.equal(counts.completed, tasks.length + 90)
        for (const [each, times] of done) assert.equal(times, 1, `${each} was completed once`)
        const sql = yield* client()
        assert.deepEqual(yield* sql.unsafe(`SELECT FROM "${name}".dependencies LIMIT 1`), [])
        assert.equal(yield* deadlocks(), before)
      })
  )

  it.live("become claimable even if their dependency completes while they are added", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const [store, other] = yield* Effect.all([open({ schema: name }), open({ schema: name })])
      for (let round = 0; round < 60; round++) {
        yield* add(store, [`parent-${round}`])
        const [parent] = yield* claim(store, { limit: 1 })
        assert.ok(parent)
        const [reply] = yield* Effect.all(
          [store.settle([complete(parent)]), other.add([task(`child-${round}`, [`parent-${round}`])])],
          { concurrency: 2 }
        )
        assert.deepEqual(reply.lost, [])
        const [child] = yield* claim(other, { limit: 1 })
        assert.ok(child, "the child does not wait any longer")
        assert.equal(child.task.id, `child-${round}`)
        yield* other.settle([complete(child)])
      }
    })
  )

  it.live("can be thousands that depend on one task, or one that depends on thousands", () =>
    Effect.gen(function* () {
      const store = yield* open({ schema: yield* schema() })
      const many = names(3_000)
      yield* store.add([task("first"), ...many.map((each) => task(each, ["first"])), task("last", many)])
      assert.equal((yield* store.counts).waiting, 3_001)
      yield* store.settle((yield* claim(store)).map((each) => complete(each)))
      assert.equal((yield* store.counts).waiting, 1)
      yield* store.settle((yield* claim(store, { limit: 5_000 })).map((each) => complete(each)))
      assert.deepEqual(
        (yield* claim(store)).map((each) => String(each.task.id)),
        ["last"]
      )
    })
  )
})
