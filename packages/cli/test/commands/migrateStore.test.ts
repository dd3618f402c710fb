import { assert, describe } from "@effect/vitest"
import { Task, TaskRecord, TaskStore, TaskStoreError } from "@baton/core"
import { Context, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { add, baton, claim, complete, everyKind, test, text } from "./harness.ts"

type Store = TaskStore.TaskStore["Service"]

const plain = Schema.encodeSync(Schema.Array(TaskRecord.TaskRecord))

const contents = (store: Store) =>
  Effect.map(store.dump({ limit: 10_000 }), ({ records }) =>
    plain(records.map((record) => Object.assign({}, record, { leaseUntil: undefined })))
  )

/** An empty store, in addition to the one of the harness. */
const another = Effect.scoped(
  Effect.map(Layer.build(Layer.fresh(TaskStore.layerMemory)), Context.get(TaskStore.TaskStore))
)

const migrate = Effect.fnUntraced(function* (to: Store, ...flags: ReadonlyArray<string>) {
  return yield* baton(["migrate-store", "memory:", "to:", ...flags], { stores: { to } })
})

describe("baton migrate-store", () => {
  test(
    "copies tasks of every kind with all of their data and does not change the source",
    Effect.gen(function* () {
      const from = yield* TaskStore.TaskStore
      const to = yield* another
      yield* everyKind
      yield* TestClock.adjust("2 hours")
      const before = yield* contents(from)
      assert.deepStrictEqual(yield* migrate(to), {
        stdout: text(
          "6 tasks copied with their history: 1 completed, 1 failed, 1 cancelled, 1 in_progress, 2 pending."
        ),
        stderr: "",
        exitCode: 0
      })
      assert.deepStrictEqual(yield* contents(to), before)
      assert.deepStrictEqual(yield* contents(from), before)
      assert.strictEqual((yield* to.sweep({ maxAttempts: 3, onCrash: "retry" })).length, 1)
    })
  )

  test(
    "copies more than one page and reports whether runs are paused",
    Effect.gen(function* () {
      const from = yield* TaskStore.TaskStore
      const to = yield* another
      yield* from.add(Array.from({ length: 1_234 }, (_, index) => Task.makeNew({ id: `t${index}`, description: "x" })))
      yield* from.request("pause")
      const { exitCode, stderr, stdout } = yield* migrate(to)
      assert.strictEqual(stdout, text("1,234 tasks copied with their history: 1,234 pending."))
      assert.strictEqual(stderr, text("TO is paused because FROM is paused. Run `baton resume` to start tasks again."))
      assert.strictEqual(exitCode, 0)
      assert.deepStrictEqual(yield* contents(to), yield* contents(from))
      assert.isTrue((yield* to.control).paused)
    })
  )

  test(
    "prints JSON",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "A" }, { id: "b", description: "B", dependsOn: ["a"] })
      yield* complete("done")
      assert.strictEqual(
        (yield* migrate(yield* another, "--json")).stdout,
        text(
          '{"copied":2,"counts":{"pending":1,"in_progress":0,"in_review":0,"completed":1,"failed":0,"cancelled":0,"waiting":0},"paused":false}'
        )
      )
    })
  )

  test(
    "refuses a target that has any tasks",
    Effect.gen(function* () {
      const to = yield* another
      yield* add({ id: "a", description: "A" })
      yield* to.add([Task.makeNew({ id: "b", description: "B" })])
      assert.deepStrictEqual(yield* migrate(to, "--force"), {
        stdout: "",
        stderr: text("error: TO already has 1 task, and the task b is not as in FROM. Use an empty store."),
        exitCode: 1
      })
      assert.strictEqual((yield* to.counts).pending, 1)
    })
  )

  test(
    "refuses a source with running tasks, except with --force",
    Effect.gen(function* () {
      const to = yield* another
      yield* add({ id: "a", description: "A" }, { id: "b", description: "B" }, { id: "c", description: "C" })
      yield* claim()
      yield* claim()
      assert.deepStrictEqual(yield* migrate(to), {
        stdout: "",
        stderr: text(
          "error: 2 tasks of FROM are running. Stop the runs with `baton stop` first, or add --force; " +
            "results that are stored in FROM after the copy are then missing in TO."
        ),
        exitCode: 1
      })
      assert.deepStrictEqual(yield* contents(to), [])
      const forced = yield* migrate(to, "--force")
      assert.deepStrictEqual(
        [forced.stdout, forced.exitCode],
        [text("3 tasks copied with their history: 2 in_progress, 1 pending."), 0]
      )
    })
  )

  test(
    "reports if the source changed during the copy",
    Effect.gen(function* () {
      const from = yield* TaskStore.TaskStore
      yield* add({ id: "a", description: "A" }, { id: "b", description: "B" })
      for (const [flags, expected] of [
        [
          [],
          [
            "error: FROM changed during the copy (1 completed in FROM, 0 in TO; 1 pending in FROM, 2 in TO). " +
              "Stop all runs, empty TO, and try again.",
            1
          ]
        ],
        [["--force"], ["FROM changed during the copy (2 completed in FROM, 1 in TO; 0 pending in FROM, 1 in TO).", 0]]
      ] as const) {
        const inner = yield* another
        const completeOne = Effect.orDie(Effect.provideService(complete("done"), TaskStore.TaskStore, from))
        const to = {
          ...inner,
          restore: (records: Parameters<Store["restore"]>[0]) => Effect.tap(inner.restore(records), completeOne)
        }
        const { exitCode, stderr } = yield* migrate(to, ...flags)
        assert.deepStrictEqual([stderr, exitCode], [text(expected[0]), expected[1]])
      }
    })
  )

  test(
    "reports its progress if the target fails",
    Effect.gen(function* () {
      const from = yield* TaskStore.TaskStore
      const inner = yield* another
      yield* from.add(Array.from({ length: 700 }, (_, index) => Task.makeNew({ id: `t${index}`, description: "x" })))
      const full = new TaskStoreError({ reason: "Unavailable", message: "No space is left: free some." })
      const to: Store = {
        ...inner,
        restore: (records) =>
          Effect.flatMap(inner.counts, ({ pending }) => (pending > 0 ? Effect.fail(full) : inner.restore(records)))
      }
      assert.deepStrictEqual(yield* migrate(to), {
        stdout: "",
        stderr: text(
          "20 of 700 tasks were copied. Run the same command again to copy the rest.",
          "error: No space is left: free some."
        ),
        exitCode: 1
      })
    })
  )

  test(
    "continues a copy that was killed, whatever its last write was",
    Effect.gen(function* () {
      const from = yield* TaskStore.TaskStore
      yield* everyKind
      yield* from.add(Array.from({ length: 1_200 }, (_, index) => Task.makeNew({ id: `t${index}`, description: "x" })))
      yield* TestClock.adjust("2 hours")
      const { records } = yield* from.dump({ limit: 10_000 })
      for (const written of [5, 500, 777]) {
        const to = yield* another
        yield* to.restore(records.slice(0, written))
        const { exitCode, stderr, stdout } = yield* migrate(to)
        assert.deepStrictEqual([stderr, exitCode], ["", 0])
        assert.strictEqual(
          stdout,
          text(
            "1,206 tasks copied with their history: 1 completed, 1 failed, 1 cancelled, 1 in_progress, 1,202 pending."
          )
        )
        assert.deepStrictEqual(yield* contents(to), yield* contents(from))
      }
    })
  )

  test(
    "does not continue a copy whose tasks have changed in the target",
    Effect.gen(function* () {
      const from = yield* TaskStore.TaskStore
      yield* add({ id: "a", description: "A" }, { id: "b", description: "B" }, { id: "c", description: "C" })
      const { records } = yield* from.dump()
      const to = yield* another
      yield* to.restore(records.slice(0, 2))
      yield* to.cancel({ ids: ["b"] })
      assert.deepStrictEqual(yield* migrate(to), {
        stdout: "",
        stderr: text("error: TO already has 2 tasks, and the task b is not as in FROM. Use an empty store."),
        exitCode: 1
      })
      assert.strictEqual((yield* contents(to)).length, 2)
    })
  )

  test(
    "refuses to copy a store into itself or into memory",
    Effect.gen(function* () {
      const message = (from: string, to: string) =>
        Effect.map(baton(["migrate-store", from, to]), ({ stderr }) => stderr)
      assert.strictEqual(
        yield* message("sqlite:a.db", "sqlite:a.db"),
        text("error: FROM and TO are the same store. Use different stores.")
      )
      assert.strictEqual(
        yield* message("sqlite:a.db", "memory:"),
        text("error: TO is in memory and would be lost when this command exits. Use a persistent store.")
      )
    })
  )
})
