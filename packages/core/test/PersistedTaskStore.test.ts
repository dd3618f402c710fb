import { Execution, PersistedTaskStore, Task, TaskRecord, TaskStore, TaskStoreError } from "@baton/core"
import { TaskStoreSuite } from "@baton/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { soak } from "./soak.ts"
import { deepStrictEqual } from "node:assert/strict"

type Store = TaskStore.TaskStore["Service"]
type Write = (changes: PersistedTaskStore.Changes) => Effect.Effect<void, TaskStoreError>

const plain = Schema.encodeSync(Schema.Array(TaskRecord.TaskRecord))

const dumpAll = (store: Store) => Effect.map(store.dump({ limit: 1_000_000 }), ({ records }) => records)

const empty: PersistedTaskStore.Changes["budgets"] = []
const noPauses: PersistedTaskStore.Changes["pauses"] = []
const noBatches: PersistedTaskStore.Changes["batches"] = []

/** A place where changes are written to, as the documentation of `Changes` says. */
const makePlace = () => {
  const records = new Map<string, TaskRecord.TaskRecord>()
  const place = {
    records,
    paused: false,
    tokenFloor: 0,
    budgets: empty,
    pauses: noPauses,
    batches: noBatches,
    writes: 0,
    write: (changes: PersistedTaskStore.Changes) =>
      Effect.sync(() => {
        place.writes++
        for (const id of changes.removed) assert.isTrue(records.delete(id), `${id} exists before it is removed`)
        for (const record of changes.written) records.set(record.task.id, record)
        place.paused = changes.paused
        place.tokenFloor = changes.tokenFloor
        place.budgets = changes.budgets
        place.pauses = changes.pauses
        place.batches = changes.batches
      })
  }
  return place
}

const noSpace = new TaskStoreError({ reason: "Unavailable", message: "No space is left." })

const open = (place: ReturnType<typeof makePlace>, write: Write = place.write) =>
  PersistedTaskStore.make({
    records: Array.from(place.records.values()),
    paused: place.paused,
    tokenFloor: place.tokenFloor,
    budgets: place.budgets,
    pauses: place.pauses,
    batches: place.batches,
    write
  })

const expectKept = Effect.fnUntraced(function* (store: Store, place: ReturnType<typeof makePlace>) {
  // Heartbeats are not written.
  const timeless = (records: ReadonlyArray<TaskRecord.TaskRecord>) =>
    records.map((record) => Object.assign({}, record, { leaseUntil: undefined }))
  const [written, kept] = [timeless(Array.from(place.records.values())), timeless(yield* dumpAll(store))]
  // Encoding thousands of records takes many times as long as writing them as JSON.
  if (JSON.stringify(written) !== JSON.stringify(kept)) deepStrictEqual(plain(written), plain(kept))
})

/** A store of which `wrap` sees every operation that changes something. */
const around = (store: Store, wrap: <A, E>(operation: Effect.Effect<A, E>) => Effect.Effect<A, E>): Store => ({
  ...store,
  add: (tasks) => wrap(store.add(tasks)),
  claim: (options) => wrap(store.claim(options)),
  checkpoint: (checkpoints) => wrap(store.checkpoint(checkpoints)),
  start: (leases) => wrap(store.start(leases)),
  settle: (settlements) => wrap(store.settle(settlements)),
  sweep: (options) => wrap(store.sweep(options)),
  requeue: (selection) => wrap(store.requeue(selection)),
  failWaiting: (ids, reason) => wrap(store.failWaiting(ids, reason)),
  revise: (revisions, options) => wrap(store.revise(revisions, options)),
  cancel: (selection) => wrap(store.cancel(selection)),
  prune: (options) => wrap(store.prune(options)),
  request: (request) => wrap(store.request(request)),
  restore: (records) => wrap(store.restore(records)),
  budgets: store.budgets && {
    ...store.budgets,
    reserve: (spending) => wrap(store.budgets?.reserve(spending) ?? Effect.die("no budgets")),
    set: (queue, change) => wrap(store.budgets?.set(queue, change) ?? Effect.die("no budgets"))
  },
  reviews: store.reviews && {
    audit: (finding) => wrap(store.reviews?.audit(finding) ?? Effect.die("no reviews")),
    decide: (decisions) => wrap(store.reviews?.decide(decisions) ?? Effect.die("no reviews"))
  },
  batches: store.batches && {
    ...store.batches,
    begin: (batch, requests) => wrap(store.batches?.begin(batch, requests) ?? Effect.die("no batches")),
    created: (run, id) => wrap(store.batches?.created(run, id) ?? Effect.die("no batches")),
    take: (requests) => wrap(store.batches?.take(requests) ?? Effect.die("no batches")),
    record: (run, answers) => wrap(store.batches?.record(run, answers) ?? Effect.die("no batches")),
    drop: (run) => wrap(store.batches?.drop(run) ?? Effect.die("no batches")),
    end: (run) => wrap(store.batches?.end(run) ?? Effect.die("no batches")),
    prune: (age) => wrap(store.batches?.prune(age) ?? Effect.die("no batches"))
  },
  pauses: store.pauses && {
    ...store.pauses,
    pause: (queue, options) => wrap(store.pauses?.pause(queue, options) ?? Effect.die("no pauses")),
    resume: (queue, options) => wrap(store.pauses?.resume(queue, options) ?? Effect.die("no pauses"))
  }
})

/** Compares the written records with the store's, each time the store is closed. */
const layerAt = (place: ReturnType<typeof makePlace>) =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.gen(function* () {
      const opened = yield* Deferred.make<Store>()
      yield* Effect.addFinalizer(() =>
        Effect.orDie(Effect.flatMap(Deferred.await(opened), (store) => expectKept(store, place)))
      )
      const store = yield* open(place)
      yield* Deferred.succeed(opened, store)
      return store
    })
  )

TaskStoreSuite.suite(it, {
  name: "persisted",
  makePlace: Effect.sync(makePlace),
  open: layerAt,
  capabilities: { places: "exclusive" },
  sequences: soak * 25
})

/** Every write fails the first time, and every operation is tried again: as if nothing had happened. */
const layerFlaky = (place: ReturnType<typeof makePlace>) =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.gen(function* () {
      let fails = false
      const store = yield* open(place, (changes) => {
        fails = !fails
        return fails ? Effect.fail(noSpace) : place.write(changes)
      })
      return around(store, (operation) => Effect.retry(operation, { while: (error) => error === noSpace }))
    })
  )

TaskStoreSuite.suite(it, {
  name: "persisted, every first write fails",
  makePlace: Effect.sync(makePlace),
  open: layerFlaky,
  capabilities: { places: "exclusive" },
  sequences: soak * 25
})

const task = (id: string, options?: Omit<Parameters<typeof Task.makeNew>[0], "id" | "description">) =>
  Task.makeNew({ id, description: `Do ${id}.`, ...options })

const ids = (...names: ReadonlyArray<string>) => names.map((name) => Task.TaskId.make(name))

const claim = (store: Store, limit = 1) => store.claim({ limit, owner: "worker", lease: Duration.minutes(1) })

const complete = ({ task, token }: TaskStore.Claim): TaskStore.Settlement => ({
  _tag: "Complete",
  taskId: task.id,
  token,
  execution: Execution.make({ output: `${task.id} is done` }),
  verified: false
})

/** A place whose writes wait until they are let through, one by one, with an exit for each. */
const gated = () => {
  const place = makePlace()
  const started: Array<PersistedTaskStore.Changes> = []
  const gates: Array<Deferred.Deferred<void, TaskStoreError>> = []
  return {
    place,
    started,
    write: (changes: PersistedTaskStore.Changes) =>
      Effect.suspend(() => {
        const gate = Deferred.makeUnsafe<void, TaskStoreError>()
        started.push(changes)
        gates.push(gate)
        return Effect.andThen(Deferred.await(gate), place.write(changes))
      }),
    /** Completes the waiting write, or fails it. */
    next: (exit: Exit.Exit<void, TaskStoreError> = Exit.void) =>
      Effect.gen(function* () {
        const gate = gates.shift()
        assert.isDefined(gate, "a write is under way")
        yield* Deferred.done(gate, exit)
        yield* settled
      })
  }
}

/** Runs every fiber until it has to wait. */
const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

const fork = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.tap(Effect.forkChild(effect, { startImmediately: true }), settled)

const written = (changes: PersistedTaskStore.Changes | undefined) => changes?.written.map(({ task }) => task.id)

describe("PersistedTaskStore", () => {
  it.effect("an operation returns when its change is written, and not before", () =>
    Effect.gen(function* () {
      const { next, place, started, write } = gated()
      const store = yield* open(place, write)
      const adding = yield* fork(store.add([task("a")]))
      assert.deepStrictEqual(written(started[0]), ids("a"))
      assert.isUndefined(adding.pollUnsafe())
      yield* next()
      assert.deepStrictEqual(adding.pollUnsafe(), Exit.succeed({ added: ids("a"), existing: 0, different: [] }))
    })
  )

  it.effect("changes that come while a write is under way are written together", () =>
    Effect.gen(function* () {
      const { next, place, started, write } = gated()
      const store = yield* open(place, write)
      const adding = yield* fork(store.add([task("a")]))
      const others = yield* fork(
        Effect.forEach(["b", "c", "d"], (id) => store.add([task(id)]), { concurrency: "unbounded", discard: true })
      )
      yield* next()
      assert.isDefined(adding.pollUnsafe())
      assert.isUndefined(others.pollUnsafe())
      yield* next()
      assert.isDefined(others.pollUnsafe())
      assert.deepStrictEqual(started.map(written), [ids("a"), ids("b", "c", "d")])
    })
  )

  it.effect("what changes nothing is not written: reading, heartbeats, a claim of nothing, a stop", () =>
    Effect.gen(function* () {
      const place = makePlace()
      const store = yield* open(place)
      yield* store.add([task("a")])
      const [claimed] = yield* claim(store)
      assert.isDefined(claimed)
      assert.strictEqual(place.writes, 2)
      yield* store.extend([{ taskId: claimed.task.id, token: claimed.token }], Duration.minutes(2))
      yield* claim(store)
      yield* store.add([task("a")])
      yield* store.list()
      yield* store.request("stop")
      yield* settled
      assert.strictEqual(place.writes, 2)
    })
  )

  it.effect("a write that fails fails its operations and those built on it, and nothing has changed", () =>
    Effect.gen(function* () {
      const { next, place, write } = gated()
      const store = yield* open(place, write)
      const adding = yield* fork(store.add([task("a"), task("b", { dependsOn: ["a"] })]))
      yield* next()
      yield* Fiber.join(adding)
      const before = plain(yield* dumpAll(store))
      const claiming = yield* fork(claim(store))
      const more = yield* fork(store.add([task("c")]))
      const cancelling = yield* fork(store.cancel({ ids: ids("b") }))
      const pausing = yield* fork(store.request("pause"))
      yield* next(Exit.fail(noSpace))
      for (const fiber of [claiming, more, cancelling, pausing]) {
        assert.deepStrictEqual(fiber.pollUnsafe(), Exit.fail(noSpace))
      }
      assert.deepStrictEqual(plain(yield* dumpAll(store)), before)
      assert.isFalse((yield* store.control).paused)
      assert.strictEqual((yield* store.counts).waiting, 1)
      const again = yield* fork(claim(store))
      yield* next()
      const [claimed] = yield* Fiber.join(again)
      assert.strictEqual(claimed?.token, 1)
      yield* expectKept(store, place)
    })
  )

  it.effect("a completion whose write fails frees no dependant", () =>
    Effect.gen(function* () {
      const { next, place, write } = gated()
      const store = yield* open(place, write)
      const setting = yield* fork(Effect.andThen(store.add([task("a"), task("b", { dependsOn: ["a"] })]), claim(store)))
      yield* next()
      yield* next()
      const [claimed] = yield* Fiber.join(setting)
      assert.isDefined(claimed)
      const settling = yield* fork(store.settle([complete(claimed)]))
      yield* next(Exit.fail(noSpace))
      assert.deepStrictEqual(settling.pollUnsafe(), Exit.fail(noSpace))
      assert.strictEqual((yield* store.counts).waiting, 1)
      assert.deepStrictEqual(yield* claim(store), [])
      const again = yield* fork(store.settle([complete(claimed)]))
      yield* next()
      assert.deepStrictEqual(yield* Fiber.join(again), { lost: [] })
      assert.strictEqual((yield* store.counts).waiting, 0)
    })
  )

  it.effect("a lease that was extended keeps its end when a write fails", () =>
    Effect.gen(function* () {
      const { next, place, write } = gated()
      const store = yield* open(place, write)
      const setting = yield* fork(Effect.andThen(store.add([task("a")]), claim(store)))
      yield* next()
      yield* next()
      const [claimed] = yield* Fiber.join(setting)
      assert.isDefined(claimed)
      const lease = { taskId: claimed.task.id, token: claimed.token }
      const execution = Execution.make({ output: "saved" })
      yield* fork(Effect.exit(store.checkpoint([{ ...lease, execution }])))
      yield* store.extend([lease], Duration.hours(1))
      yield* next(Exit.fail(noSpace))
      const [record] = yield* dumpAll(store)
      assert.isUndefined(record?.checkpoint)
      assert.strictEqual(record?.leaseUntil?.epochMilliseconds, Duration.toMillis("1 hour"))
    })
  )

  it.effect("who waits for work or for a request looks again when a write fails", () =>
    Effect.gen(function* () {
      const { next, place, write } = gated()
      const store = yield* open(place, write)
      const adding = yield* fork(store.add([task("a")]))
      yield* next()
      yield* Fiber.join(adding)
      const claiming = yield* fork(claim(store))
      const waiting = yield* fork(store.awaitWork({ untilDrained: true }))
      assert.isUndefined(waiting.pollUnsafe())
      yield* next(Exit.fail(noSpace))
      assert.deepStrictEqual(claiming.pollUnsafe(), Exit.fail(noSpace))
      assert.deepStrictEqual(waiting.pollUnsafe(), Exit.succeed("claimable"))
    })
  )

  it.effect("a write that dies does not take the store with it", () =>
    Effect.gen(function* () {
      const place = makePlace()
      let dies = true
      const store = yield* open(place, (changes) => (dies ? Effect.die("a bug") : place.write(changes)))
      const exit = yield* Effect.exit(store.add([task("a")]))
      assert.isTrue(Exit.hasDies(exit))
      dies = false
      assert.deepStrictEqual((yield* store.add([task("a")])).added, ids("a"))
    })
  )

  it.effect("what an operation changed is written, though it was interrupted and the store closed", () =>
    Effect.gen(function* () {
      const { next, place, started, write } = gated()
      const scope = yield* Scope.make()
      const store = yield* Scope.provide(open(place, write), scope)
      const first = yield* fork(store.add([task("a")]))
      const second = yield* fork(store.add([task("b")]))
      yield* Fiber.interruptAll([first, second])
      const closing = yield* fork(Scope.close(scope, Exit.void))
      assert.isUndefined(closing.pollUnsafe())
      yield* next()
      yield* next()
      yield* Fiber.join(closing)
      assert.deepStrictEqual(started.map(written), [ids("a"), ids("b")])
      assert.deepStrictEqual(Array.from(place.records.keys()), ["a", "b"])
    })
  )

  it.effect("a store continues from the state of an earlier one: history, pause and everything else", () =>
    Effect.gen(function* () {
      const place = makePlace()
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* open(place)
          yield* store.add([task("a"), task("b", { dependsOn: ["a"] }), task("c")])
          const [a] = yield* claim(store, 2)
          assert.isDefined(a)
          yield* store.settle([complete(a)])
          yield* store.request("pause")
          return yield* dumpAll(store)
        })
      )
      const store = yield* open(place)
      const after = yield* dumpAll(store)
      assert.deepStrictEqual(
        after.map((record) => Object.assign({}, record, { leaseUntil: undefined })),
        before.map((record) => Object.assign({}, record, { leaseUntil: undefined }))
      )
      assert.isTrue((yield* store.control).paused)
      assert.deepStrictEqual(
        (yield* store.sweep({ maxAttempts: 3, onCrash: "retry" })).map(({ taskId }) => taskId),
        ids("c")
      )
      assert.strictEqual((yield* store.request("resume")).paused, false)
      assert.isFalse(place.paused)
    })
  )
})
