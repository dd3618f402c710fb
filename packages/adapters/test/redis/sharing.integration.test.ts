import { Task, type TaskStore } from "@baton/core"
import { assert, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Option } from "effect"
import { describe } from "vitest"
import { mostVerifications } from "../../src/redis/internal/lua/settling.ts"
import * as Servers from "../servers/redis.ts"
import { add, cannotStart, claim, client, complete, id, isMissing, keys, open, prefix, type Store } from "./redis.ts"

const names = (count: number) => Array.from({ length: count }, (_, index) => `task-${index}`)

/** Claims and completes until nothing is left, and returns the completed ids. */
const drain = Effect.fnUntraced(function* (store: Store, limit: number) {
  const completed: Array<string> = []
  while (true) {
    const claims = yield* claim(store, { limit })
    if (claims.length === 0) return completed
    assert.deepStrictEqual((yield* store.settle(claims.map((claimed) => complete(claimed)))).lost, [])
    completed.push(...claims.map(({ task }) => task.id))
  }
})

describe.skipIf(isMissing)("several workers on one store in Redis", () => {
  it.live("share the work: every task is completed by one of them, once", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const stores = yield* Effect.forEach([1, 2, 3, 4], () => open({ prefix: name }))
      const [store] = stores
      assert.ok(store)
      yield* add(store, ...names(1000))
      const shares = yield* Effect.forEach(stores, (each) => drain(each, 7), { concurrency: "unbounded" })
      assert.sameMembers(shares.flat(), names(1000))
      for (const share of shares) assert.isNotEmpty(share)
    })
  )

  it.live("settle a lease once", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const stores = yield* Effect.forEach([1, 2, 3, 4], () => open({ prefix: name }))
      const [store] = stores
      assert.ok(store)
      yield* add(store, ...names(50))
      const claims = yield* claim(store)
      const replies = yield* Effect.forEach(
        stores,
        (each, index) => each.settle(claims.map((claimed) => complete(claimed, `by ${index}`))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(replies.flatMap(({ lost }) => lost).length, 3 * 50)
      for (const name of names(50)) assert.lengthOf(yield* store.attempts(id(name)), 1)
    })
  )

  it.live("never lose a lease that was extended in time to a sweep", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const worker = yield* open({ prefix: name })
      const sweeper = yield* open({ prefix: name })
      yield* add(worker, ...names(100))
      const lease = Duration.millis(150)
      const leases = (yield* claim(worker, { lease })).map(({ task, token }) => ({ taskId: task.id, token }))
      const lost: Array<TaskStore.LostLease> = []
      const swept: Array<TaskStore.SweptTask> = []
      for (let round = 0; round < 100; round++) {
        const held = leases.filter(({ taskId }) => !swept.some((task) => task.taskId === taskId))
        const [reply, taken] = yield* Effect.all(
          [worker.extend(held, lease), sweeper.sweep({ maxAttempts: 9, onCrash: "retry" })],
          { concurrency: 2 }
        )
        lost.push(...reply.lost)
        swept.push(...taken)
      }
      // On a machine that pauses, some leases expire; then worker and sweeper agree on which.
      const late = yield* worker.extend(leases, lease)
      assert.sameMembers(
        late.lost.map(({ taskId }) => taskId),
        swept.map(({ taskId }) => taskId)
      )
      for (const { taskId } of lost)
        assert.include(
          swept.map((task) => task.taskId),
          taskId
        )
    })
  )

  it.live("are not mistaken for their predecessors with the same name", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const before = yield* open({ prefix: name })
      yield* add(before, "a")
      const [old] = yield* claim(before, { owner: "worker", lease: Duration.zero })
      const after = yield* open({ prefix: name })
      assert.lengthOf(yield* after.sweep({ maxAttempts: 9, onCrash: "retry" }), 1)
      const [current] = yield* claim(after, { owner: "worker" })
      assert.ok(old && current)
      assert.lengthOf((yield* before.settle([complete(old, "late")])).lost, 1)
      assert.deepStrictEqual((yield* after.settle([complete(current)])).lost, [])
    })
  )

  it.live("add the same tasks concurrently, and each is added by one of them", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const stores = yield* Effect.forEach([1, 2, 3, 4], () => open({ prefix: name }))
      const replies = yield* Effect.forEach(stores, (store) => add(store, ...names(300)), { concurrency: "unbounded" })
      assert.sameMembers(
        replies.flatMap(({ added }) => added),
        names(300).map(id)
      )
    })
  )

  it.live.skipIf(cannotStart)("continue when the server forgets their scripts", () =>
    Effect.gen(function* () {
      const { url } = yield* Servers.temporary()
      const store = yield* open({ url })
      const redis = yield* client(url)
      yield* add(store, "a", "b")
      yield* Effect.promise(() => redis.scriptFlush())
      const claims = yield* claim(store)
      assert.lengthOf(claims, 2)
      yield* Effect.promise(() => redis.scriptFlush())
      assert.deepStrictEqual((yield* store.settle(claims.map((claimed) => complete(claimed)))).lost, [])
      assert.strictEqual((yield* store.counts).completed, 2)
    })
  )
})

describe.skipIf(isMissing)("the keys of a store in Redis", () => {
  it.live("do not exist until tasks are added", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      yield* store.counts
      yield* claim(store)
      yield* store.list()
      assert.deepStrictEqual(yield* keys(redis, name), [])
    })
  )

  it.live("are deleted once its tasks are pruned, dependencies included", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      yield* store.add([
        Task.makeNew({ id: "a", description: "A", dependsOn: [] }),
        Task.makeNew({ id: "b", description: "B", dependsOn: ["a"] }),
        Task.makeNew({ id: "c", description: "C", dependsOn: ["a", "b"] })
      ])
      const [a] = yield* claim(store)
      assert.ok(a)
      const execution = { output: "x", confidence: 1, metadata: {} }
      yield* store.checkpoint([{ taskId: a.task.id, token: a.token, execution }])
      yield* store.settle([{ ...complete(a), _tag: "Fail", feedback: "no", checkpoint: execution }])
      yield* store.cancel({ status: "pending" })
      assert.strictEqual(yield* store.prune({ statuses: ["completed", "failed", "cancelled"] }), 3)
      assert.deepStrictEqual(yield* keys(redis, name), [`{${name}}:meta`])
      yield* add(store, "c")
      yield* Effect.flatMap(claim(store), (claims) => store.settle(claims.map((claimed) => complete(claimed))))
      assert.strictEqual((yield* store.counts).completed, 1)
    })
  )

  it.live("do not expire", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      yield* add(store, ...names(5))
      yield* claim(store, { limit: 2 })
      const found = yield* keys(redis, name)
      assert.isNotEmpty(found)
      for (const key of found) assert.strictEqual(yield* Effect.promise(() => redis.ttl(key)), -1)
    })
  )

  it.live("let tasks be claimed in order, however many become due at once", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      // More tasks than one call moves; the urgent one is the last of them.
      const count = 9000
      const [seconds] = yield* Effect.promise(() => redis.sendCommand<[string, string]>(["TIME"]))
      const availableAt = DateTime.makeUnsafe((Number(seconds) + 2) * 1000)
      yield* store.add(
        [...names(count), "urgent"].map((name) =>
          Task.makeNew({ id: name, description: "Do it.", priority: name === "urgent" ? 1 : 0, availableAt })
        )
      )
      // On a slow machine, they are due once they are added.
      yield* store.awaitWork({ untilDrained: false })
      const [first, second] = yield* claim(store, { limit: 2 })
      assert.deepStrictEqual([first?.task.id, second?.task.id], [id("urgent"), id("task-0")])
    })
  )

  it.live("let a thousand tasks be claimed and settled at once", () =>
    Effect.gen(function* () {
      const store = yield* open({ prefix: yield* prefix() })
      yield* add(store, ...names(2500))
      const claims = yield* claim(store, { limit: 2500 })
      assert.deepStrictEqual(
        claims.map(({ task }) => task.id),
        names(2500).map(id)
      )
      const leases = claims.map(({ task, token }) => ({ taskId: task.id, token }))
      assert.deepStrictEqual((yield* store.extend(leases, Duration.minutes(1))).lost, [])
      yield* store.settle(claims.slice(0, 2000).map((claimed) => complete(claimed)))
      const { lost } = yield* store.settle(claims.map((claimed) => complete(claimed)))
      assert.deepStrictEqual(
        lost.map(({ taskId }) => taskId),
        names(2000).map(id)
      )
      assert.lengthOf((yield* store.list({ limit: 2400 })).tasks, 2400)
      assert.strictEqual(yield* store.prune({ statuses: ["completed"] }), 2500)
    })
  )

  it.live("hold results of any length, in the ledger and as the output that a revised task had", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      const outputs = [0, 1, 500, 700, 800, 900, 1_000, 100_000].map((length) => "\n".padEnd(length, "é"))
      yield* add(store, ...names(outputs.length))
      const verification = { passed: true, confidence: 1, feedback: "good\n", issues: [] }
      const settleAll = Effect.gen(function* () {
        const claims = yield* claim(store)
        yield* store.settle(
          claims.map((claimed, index) => ({ ...complete(claimed, outputs[index]), verification, verified: true }))
        )
        return claims
      })
      const claims = yield* settleAll
      assert.ok(store.reviews)
      for (const { task, token } of claims) {
        const { kept } = yield* store.reviews.audit({ taskId: task.id, token, by: "a person", agrees: true })
        assert.ok(kept)
      }
      assert.deepStrictEqual(
        (yield* store.list()).tasks.map(({ result }) => result),
        outputs
      )
      yield* store.revise(claims.map(({ task }) => ({ taskId: task.id, feedback: "Again." })))
      const again = yield* settleAll
      assert.deepStrictEqual(
        again.map(({ previousOutput }) => previousOutput ?? ""),
        outputs
      )
      for (const [index, { task }] of again.entries()) {
        const [first, second] = yield* store.attempts(task.id)
        assert.deepStrictEqual([first?.execution?.output, second?.execution?.output], [outputs[index], outputs[index]])
        assert.strictEqual(first?.verification?.audit?.by, "a person")
        assert.deepStrictEqual(second?.verification, verification)
      }
      const copy = yield* open({ prefix: yield* prefix() })
      yield* copy.restore((yield* store.dump()).records)
      assert.deepStrictEqual((yield* copy.dump()).records, (yield* store.dump()).records)
      assert.strictEqual(yield* store.prune({ statuses: ["completed"] }), outputs.length)
      assert.deepStrictEqual(yield* keys(redis, name), [`{${name}}:meta`])
    })
  )

  it.live("hold a verification that many tasks share once, and no more than a hundred of them", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      const count = () => Effect.promise(() => redis.hLen(`{${name}}:verifications`))
      const verification = (feedback: string) => ({ passed: true, confidence: 1, feedback, issues: [] })
      let added = 0
      const settleAll = Effect.fnUntraced(function* (size: number, feedback: (index: number) => string) {
        const ids = Array.from({ length: size }, (_, index) => `${feedback(index)}/${added++}`)
        yield* add(store, ...ids)
        const claims = yield* claim(store, { limit: size })
        yield* store.settle(
          claims.map((claimed, index) =>
            Object.assign(complete(claimed, `output ${index}`), {
              verification: verification(feedback(index)),
              verified: true
            })
          )
        )
      })
      yield* settleAll(8, (index) => `different ${index}`)
      yield* settleAll(7, () => "of few")
      assert.strictEqual(yield* count(), 0)
      yield* settleAll(8, () => "alike")
      yield* settleAll(10, () => "alike")
      const alike = yield* count()
      for (let group = 1; group < mostVerifications; group++) yield* settleAll(8, () => `group ${group}`)
      const most = yield* count()
      assert.strictEqual(most - 1, (alike - 1) * mostVerifications)
      yield* settleAll(8, () => "one too many")
      yield* settleAll(8, () => "alike")
      assert.strictEqual(yield* count(), most)

      const { records } = yield* store.dump({ limit: 2000 })
      assert.lengthOf(records, 8 + 7 + 8 + 10 + 8 * (mostVerifications - 1) + 8 + 8)
      for (const { attempts, task } of records) {
        const feedback = task.id.replace(/\/\d+$/, "")
        assert.deepStrictEqual(
          attempts.map((attempt) => attempt.verification),
          [verification(feedback)]
        )
      }
      const copy = yield* open({ prefix: yield* prefix() })
      yield* copy.restore(records)
      assert.deepStrictEqual((yield* copy.dump({ limit: 2000 })).records, records)

      const taskId = records.find(({ task }) => task.id.startsWith("alike"))?.task.id ?? id("none")
      const before = yield* store.attempts(taskId)
      yield* store.revise([{ taskId, feedback: "Again." }])
      assert.deepStrictEqual(yield* store.attempts(taskId), before)
    })
  )

  it.live("keep ids that are not valid UTF-8 apart, and return them unchanged", () =>
    Effect.gen(function* () {
      const store = yield* open({ prefix: yield* prefix() })
      const ids = ["\ud800", "\ufffd", "\0", '\0"\\ud800"', '\0"a"', "a\nb", "\ud800\udc00", " "]
      yield* add(store, ...ids)
      const claims = yield* claim(store, { owner: "a worker\nof two lines" })
      assert.deepStrictEqual(
        claims.map(({ task }) => task.id),
        ids.map(id)
      )
      for (const claimed of claims) {
        const failed = { ...complete(claimed), _tag: "Fail", feedback: "\n", checkpoint: undefined } as const
        assert.deepStrictEqual((yield* store.settle([failed])).lost, [])
      }
      for (const name of ids) {
        const [attempt] = yield* store.attempts(id(name))
        assert.deepStrictEqual([attempt?.owner, attempt?.error], ["a worker\nof two lines", "\n"])
      }
      assert.sameMembers(Array.from(yield* store.requeue({ ids: ids.map(id) })), ids.map(id))
    })
  )

  it.live("keep queues apart, however similar their names, without a key for each", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const redis = yield* client()
      const store = yield* open({ prefix: name })
      const queues = [
        "1",
        "1:a",
        "1:a:",
        "a  b",
        "a b",
        " ",
        "-",
        "- -",
        "{a}",
        "7:default:",
        "0",
        "\u{1f4da}"
      ].toSorted()
      yield* add(store, "usual")
      const before = yield* keys(redis, name)
      yield* store.add(queues.map((queue) => Task.makeNew({ id: `of ${queue}`, description: "Do it.", queue })))
      yield* store.add(
        queues.map((queue) =>
          Task.makeNew({ id: `after ${queue}`, description: "Do it.", queue, dependsOn: [`of ${queue}`] })
        )
      )
      for (const queue of queues) {
        const [first] = yield* claim(store, { queues: [queue], limit: 1 })
        assert.ok(first)
        assert.deepStrictEqual([first.task.id, first.task.queue], [id(`of ${queue}`), queue])
        const again = { ...complete(first), _tag: "Retry", feedback: "", checkpoint: undefined } as const
        yield* store.settle([{ ...again, delay: Duration.zero }])
        yield* claim(store, { queues: [queue], lease: Duration.zero })
        assert.lengthOf(yield* store.sweep({ maxAttempts: 9, onCrash: "retry", queues: [queue] }), 1)
        const [last] = yield* claim(store, { queues: [queue] })
        assert.ok(last)
        yield* store.settle([complete(last)])
        assert.deepStrictEqual(
          (yield* store.list({ queue })).tasks.map((task) => [task.id, task.status]),
          [
            [id(`of ${queue}`), "completed"],
            [id(`after ${queue}`), "pending"]
          ]
        )
      }
      assert.deepStrictEqual(
        (yield* store.queues).map(({ completed, pending, queue }) => [queue, pending, completed]),
        [...queues, "default"].toSorted().map((queue) => [queue, 1, queue === "default" ? 0 : 1])
      )
      const kinds = ["running", "leases", "attempts", "completed", "feedback", "dependants", "dependencies"]
      const known = new Set([...before, ...kinds.map((kind) => `{${name}}:${kind}`)])
      assert.deepStrictEqual(
        (yield* keys(redis, name)).filter((key) => !known.has(key)),
        []
      )
    })
  )

  it.live("return tasks in the order of adding, whatever their queues, in pages of any size", () =>
    Effect.gen(function* () {
      const store = yield* open({ prefix: yield* prefix() })
      // Most tasks are in one queue, at first; then they alternate.
      const added = Array.from({ length: 300 }, (_, index) =>
        Task.makeNew({
          id: `task-${index}`,
          description: "Do it.",
          queue: index < 100 ? "a" : index < 140 ? "b" : `queue-${index % 7}`
        })
      )
      yield* store.add(added)
      yield* store.cancel({ ids: added.flatMap(({ id }, index) => (index % 3 === 0 ? id : [])) })
      yield* claim(store, { queues: ["a"], limit: 20 })
      for (const limit of [1, 7, 100, 299, 300, 1000]) {
        const found: Array<string> = []
        for (let cursor: string | undefined = "0"; cursor !== undefined;) {
          const page: TaskStore.TaskPage = yield* store.list({ limit, cursor })
          found.push(...page.tasks.map((task) => task.id))
          cursor = page.next
        }
        assert.deepStrictEqual(
          found,
          added.map((task) => task.id)
        )
      }
      assert.lengthOf(yield* store.requeue({ status: "cancelled" }), 100)
    })
  )

  it.live("hold a delay without an end", () =>
    Effect.gen(function* () {
      const store = yield* open({ prefix: yield* prefix() })
      yield* add(store, "a")
      const [a] = yield* claim(store, { lease: Duration.infinity })
      assert.ok(a)
      yield* store.settle([
        { ...complete(a), _tag: "Retry", feedback: "never", checkpoint: undefined, delay: Duration.infinity }
      ])
      assert.lengthOf(yield* claim(store), 0)
      const { availableAt } = Option.getOrThrow(yield* store.get(id("a")))
      assert.strictEqual(availableAt.epochMilliseconds, 8.64e15)
    })
  )
})
