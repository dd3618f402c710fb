import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import {
  add,
  claim,
  client,
  complete,
  fail,
  id,
  isMissing,
  names,
  open,
  openWithoutPolls,
  patient,
  release,
  retry,
  schema,
  type Store
} from "./postgres.ts"

const idsOf = (claims: Effect.Success<ReturnType<typeof claim>>) => claims.map(({ task }) => String(task.id))

/** Works like a run until the store is drained, and returns the completed tasks. */
const drain = Effect.fnUntraced(function* (store: Store, limit: number, owner: string) {
  const done: Array<string> = []
  while (true) {
    const claims = yield* claim(store, { limit, owner })
    if (claims.length > 0) {
      assert.deepEqual((yield* store.settle(claims.map((each) => complete(each, owner)))).lost, [])
      done.push(...idsOf(claims))
    } else if ((yield* store.awaitWork({ untilDrained: true })) === "drained") {
      return done
    }
  }
})

/** The counts of the rows themselves. */
const counted = Effect.fnUntraced(function* (name: string) {
  const sql = yield* client()
  const [row] = yield* sql.unsafe<Record<string, number>>(`
    SELECT count(*) FILTER (WHERE status = 'pending')::integer AS pending,
      count(*) FILTER (WHERE status = 'in_progress')::integer AS in_progress,
      count(*) FILTER (WHERE status = 'in_review')::integer AS in_review,
      count(*) FILTER (WHERE status = 'completed')::integer AS completed,
      count(*) FILTER (WHERE status = 'failed')::integer AS failed,
      count(*) FILTER (WHERE status = 'cancelled')::integer AS cancelled,
      count(*) FILTER (WHERE status = 'pending' AND blockers > 0)::integer AS waiting
    FROM "${name}".tasks`)
  return row
})

describe.skipIf(isMissing)("several workers on one PostgreSQL store", () => {
  it.live("share the work: each task is completed once, by one of them", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const stores = yield* Effect.forEach(["a", "b", "c"], () => open({ schema: name }), { concurrency: 3 })
      const [store] = stores
      assert.ok(store)
      const ids = names(1_500)
      yield* add(store, ids)
      const shares = yield* Effect.forEach(stores, (each, index) => drain(each, 10, `worker-${index}`), {
        concurrency: 3
      })
      assert.deepEqual(shares.flat().toSorted(), ids.toSorted())
      for (const share of shares) assert.isAbove(share.length, 0)
      for (const each of ids.slice(0, 50)) assert.lengthOf(yield* store.attempts(id(each)), 1)
      assert.equal((yield* store.counts).completed, ids.length)
    })
  )

  it.live("never execute two tasks of a concurrency key at a time, while others add, retry and cancel tasks", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const stores = yield* Effect.forEach(["a", "b", "c"], () => open({ schema: name }), { concurrency: 3 })
      const running = new Set<string>()
      let added = 0
      const addKeyed = (store: Store) =>
        Effect.suspend(() => {
          const tasks = Array.from({ length: 12 }, () => {
            const number = added++
            const concurrencyKey = number % 7 === 0 ? undefined : `key-${number % 5}`
            return Task.makeNew({
              id: `t${number}`,
              description: "x",
              priority: number % 2,
              ...(concurrencyKey === undefined ? undefined : { concurrencyKey })
            })
          })
          return store.add(tasks)
        })
      const [first] = stores
      assert.ok(first)
      yield* addKeyed(first)
      const work = Effect.fnUntraced(function* (store: Store, owner: string) {
        let rounds = 0
        while (true) {
          const claims = yield* claim(store, { limit: 3, owner })
          const keys = claims.flatMap(({ task }) => task.concurrencyKey ?? [])
          for (const key of keys) {
            assert.isFalse(running.has(key), `${key} has one task in progress`)
            running.add(key)
          }
          if (rounds++ < 15) {
            yield* addKeyed(store)
            if (rounds % 5 === 0) yield* store.cancel({ ids: [`t${added - 1}`, `t${added - 4}`] })
          }
          for (const key of keys) running.delete(key)
          const settlements = claims.map((each, index) =>
            each.task.attempts === 1 && index === 0 ? retry(each) : complete(each, owner)
          )
          if (claims.length > 0) yield* store.settle(settlements)
          else if ((yield* store.awaitWork({ untilDrained: true })) === "drained") return
        }
      })
      yield* Effect.forEach(stores, (store, index) => work(store, `worker-${index}`), { concurrency: 3, discard: true })
      const { cancelled, completed, ...others } = yield* first.counts
      assert.equal(completed + cancelled, added)
      assert.deepEqual({ ...others }, { pending: 0, in_progress: 0, in_review: 0, failed: 0, waiting: 0 })
      const sql = yield* client()
      assert.deepEqual(yield* sql.unsafe(`SELECT * FROM "${name}".key_turns`), [])
    })
  )

  it.live("wake each other without a poll", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const [store, other] = yield* Effect.all([open({ schema: name }), openWithoutPolls({ schema: name })])
      yield* add(store, ["first"])
      assert.deepEqual(idsOf(yield* claim(other)), ["first"])
      const waiting = yield* Effect.forkChild(other.awaitWork({ untilDrained: false }), { startImmediately: true })
      const controlled = yield* Effect.forkChild(other.awaitControl((yield* other.control).revision))
      // Both wait after this notification arrived, which wakes them for another look.
      yield* store.request("resume")
      assert.isFalse((yield* Fiber.join(controlled)).paused)
      yield* add(store, ["second"])
      yield* Fiber.join(waiting)
      assert.deepEqual(idsOf(yield* claim(other)), ["second"])
    })
  )

  it.live("tell each other of tasks that end, without a poll", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const [store, other] = yield* Effect.all([open({ schema: name }), openWithoutPolls({ schema: name })])
      yield* add(store, ["a", "b", "c"])
      const [a] = yield* claim(store, { limit: 1 })
      assert.ok(a)
      const settled = (id: string) =>
        Effect.forkChild(other.awaitSettled(Task.TaskId.make(id)), { startImmediately: true })
      const [completed, cancelled] = [yield* settled("a"), yield* settled("b")]
      // The other store is notified from here on.
      yield* store.request("resume")
      yield* other.awaitControl(0)
      yield* store.settle([complete(a)])
      yield* Fiber.join(completed)
      yield* store.cancel({ ids: ["b"] })
      yield* Fiber.join(cancelled)
    })
  )

  it.live("are notified by a worker that ends right after it added a task", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* openWithoutPolls({ schema: name })
      yield* Effect.scoped(Effect.flatMap(open({ schema: name }), (gone) => add(gone, ["warm-up"])))
      yield* claim(store)
      const waiting = yield* Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
      yield* Effect.scoped(Effect.flatMap(open({ schema: name }), (gone) => add(gone, ["a"])))
      yield* Fiber.join(waiting)
    })
  )

  it.live("agree on the counts after concurrent changes of every kind", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const stores = yield* Effect.forEach([1, 2, 3, 4], () => open({ schema: name }), { concurrency: 4 })
      const [store] = stores
      assert.ok(store)
      const rounds = Array.from({ length: 60 }, (_, round) => round)
      yield* Effect.forEach(
        stores,
        (each, worker) =>
          Effect.forEach(rounds, (round) =>
            Effect.gen(function* () {
              yield* add(each, names(5, `${worker}-${round}`))
              const claims = yield* claim(each, { limit: 4 })
              const [first, second, third] = claims
              const ends = [first && complete(first), second && fail(second), third && retry(third)]
              yield* each.settle(ends.flatMap((end) => end ?? []))
              if (round % 5 === 0) yield* each.cancel({ ids: names(5, `${(worker + 1) % 4}-${round}`).map(id) })
              if (round % 7 === 0) yield* each.requeue({ status: "failed" })
              if (round % 11 === 0) yield* each.prune({ statuses: ["completed"] })
              yield* each.counts
            })
          ),
        { concurrency: 4 }
      )
      assert.deepEqual<Record<string, number>>({ ...(yield* store.counts) }, { ...(yield* counted(name)) })
      const sql = yield* client()
      const [rows] = yield* sql.unsafe<{ readonly count: number }>(
        `SELECT count(*)::integer AS count FROM "${name}".count_changes`
      )
      assert.isBelow(rows?.count ?? Infinity, 400, "the store adds up rows of changes")
    })
  )

  it.live("keep at most one row of counts for each of many queues, and none for a queue without tasks", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      const sql = yield* client()
      const rows = Effect.map(
        sql.unsafe<{ readonly queue: string; readonly version: string }>(
          `SELECT queue, ctid::text AS version FROM "${name}".count_changes ORDER BY queue`
        ),
        (found) => found.map(({ queue, version }) => `${queue} ${version}`)
      )
      const tasks = names(300).map((each) =>
        Task.makeNew({ id: each, description: "Do it.", queue: `queue of ${each}` })
      )
      yield* store.add(tasks)
      yield* store.cancel({ status: "pending" })
      assert.equal(yield* store.prune({ statuses: ["cancelled"], queue: "queue of task-7" }), 1)
      // Adds up the rows.
      assert.lengthOf(yield* store.queues, 299)
      const added = yield* rows
      assert.lengthOf(added, 299)
      assert.lengthOf(yield* store.queues, 299)
      assert.deepEqual(yield* rows, added, "nothing is left to add up")
    })
  )
})

/** The causes of lost and duplicated work that lie in a store. */
describe.skipIf(isMissing)("a PostgreSQL store withstands", () => {
  it.live("(a) a recovery on a stale view: a concurrent heartbeat wins", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      const sql = yield* client()
      yield* add(store, ["a", "b"])
      yield* claim(store, { lease: Duration.millis(1) })
      yield* sql.withTransaction(
        Effect.gen(function* () {
          // Like an `extend` that has not committed.
          yield* sql.unsafe(
            `UPDATE "${name}".tasks SET lease_until = now() + interval '1 hour' WHERE seq = (SELECT min(seq) FROM "${name}".tasks)`
          )
          assert.deepEqual(
            (yield* store.sweep(patient)).map(({ taskId }) => String(taskId)),
            ["b"]
          )
        })
      )
      assert.deepEqual(yield* store.sweep(patient), [])
      assert.equal((yield* store.counts).in_progress, 1)
    })
  )

  it.live("(d) a settlement by a worker that lost its lease", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const [frozen, other] = yield* Effect.all([open({ schema: name }), open({ schema: name })])
      yield* add(frozen, ["a"])
      const [stale] = yield* claim(frozen, { lease: Duration.millis(1) })
      assert.ok(stale)
      yield* other.awaitWork({ untilDrained: false })
      assert.lengthOf(yield* other.sweep(patient), 1)
      const [current] = yield* claim(other, { owner: "other" })
      assert.ok(current)
      assert.deepEqual((yield* frozen.settle([complete(stale, "late")])).lost, [
        { taskId: id("a"), token: stale.token, status: "in_progress" }
      ])
      assert.deepEqual((yield* other.settle([complete(current, "mine")])).lost, [])
      assert.equal(Option.getOrThrow(yield* frozen.get(id("a"))).result, "mine")
    })
  )

  it.live("(d) a settlement by a worker whose task was pruned and added again", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const [frozen, other] = yield* Effect.all([open({ schema: name }), open({ schema: name })])
      yield* add(frozen, ["a"])
      const [stale] = yield* claim(frozen)
      assert.ok(stale)
      yield* other.cancel({ ids: [id("a")] })
      yield* other.prune({ statuses: ["cancelled"] })
      yield* add(other, ["a"])
      const [current] = yield* claim(other, { owner: "other" })
      assert.isAbove(Number(current?.token), stale.token)
      assert.lengthOf((yield* frozen.settle([complete(stale, "of the first")])).lost, 1)
      assert.equal((yield* other.counts).in_progress, 1)
    })
  )

  it.live("(e) a worker that ends without releasing its tasks: others take them over when the lease ends", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      yield* add(store, names(3))
      yield* Effect.scoped(
        Effect.flatMap(open({ schema: name }), (gone) => claim(gone, { owner: "gone", lease: Duration.millis(300) }))
      )
      assert.deepEqual(yield* claim(store), [])
      yield* store.awaitWork({ untilDrained: false })
      assert.deepEqual(
        (yield* store.sweep(patient)).map(({ owner }) => owner),
        ["gone", "gone", "gone"]
      )
      assert.lengthOf(yield* claim(store), 3)
    })
  )

  it.live("(f) finished tasks: thousands are pruned in one call, with all their rows", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      yield* add(store, names(2_500))
      const claims = yield* claim(store, { limit: 2_500 })
      yield* store.settle(claims.map((each, index) => (index % 2 === 0 ? complete(each) : fail(each))))
      assert.equal(yield* store.prune({ statuses: ["completed", "failed"] }), 2_500)
      const sql = yield* client()
      for (const table of ["tasks", "task_inputs", "attempts", "dependencies"]) {
        assert.deepEqual(yield* sql.unsafe(`SELECT FROM "${name}".${table} LIMIT 1`), [], `${table} is empty`)
      }
      assert.equal((yield* store.counts).completed, 0)
    })
  )

  it.live(
    "(g) a result with characters that PostgreSQL does not support: it is stored, with the rest of its batch",
    () =>
      Effect.gen(function* () {
        const name = yield* schema()
        const store = yield* open({ schema: name })
        const outputs = ["plain", "NUL \0 and \u0001", "half a pair \ud83d", "x".repeat(20_000_000), "last"]
        yield* add(store, names(outputs.length))
        const claims = yield* claim(store)
        const ends = claims.map((each, index) => complete(each, outputs[index]))
        assert.deepEqual((yield* store.settle(ends)).lost, [])
        const { tasks } = yield* store.list({ status: "completed" })
        for (const [index, task] of tasks.entries()) assert.ok(task.result === outputs[index], `result ${index}`)
      })
  )

  it.live("(g) an id that is too long for an index: the call is refused, and adds nothing", () =>
    Effect.gen(function* () {
      const store = yield* open({ schema: yield* schema() })
      const error = yield* Effect.flip(add(store, ["a", "x".repeat(3_000)]))
      assert.match(
        error.message,
        /^The id that begins with "x{40}" is too long: The store in schema ".*" holds ids of up to 2000 bytes\.$/
      )
      assert.equal((yield* store.counts).pending, 0)
    })
  )

  it.live("(h) a worker that restarts under the same name: it is not mistaken for its predecessor", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const [before, after] = yield* Effect.all([open({ schema: name }), open({ schema: name })])
      yield* add(before, ["a"])
      const [stale] = yield* claim(before, { owner: "host-1", lease: Duration.millis(300) })
      assert.ok(stale)
      assert.deepEqual(yield* claim(after, { owner: "host-1" }), [])
      yield* after.awaitWork({ untilDrained: false })
      assert.lengthOf(yield* after.sweep(patient), 1)
      const [current] = yield* claim(after, { owner: "host-1" })
      assert.equal(current?.task.attempts, 2)
      assert.lengthOf((yield* before.settle([release(stale)])).lost, 1)
      assert.equal((yield* after.counts).in_progress, 1)
    })
  )
})
