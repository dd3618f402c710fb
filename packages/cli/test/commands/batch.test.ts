import { assert, describe } from "@effect/vitest"
import { Budget, TaskStore } from "@baton/core"
import { Duration, Effect } from "effect"
import { add, baton, test, text } from "./harness.ts"

/** A batch with this many requests, as a run leaves it behind. */
const leave = Effect.fnUntraced(function* (queue: string, run: string, id: string | undefined, requests: number) {
  const store = yield* TaskStore.TaskStore
  const batches = yield* Effect.orDie(Effect.fromNullishOr(store.batches))
  yield* add(...Array.from({ length: requests }, (_, n) => ({ id: `${run}-${n}`, description: "x", queue })))
  const claims = yield* store.claim({ queues: [queue], limit: requests, owner: "w", lease: Duration.hours(1) })
  yield* batches.begin(
    { run, queue },
    claims.map(({ task, token }) => ({ key: `key-${task.id}`, taskId: task.id, token, held: Budget.zero }))
  )
  if (id !== undefined) yield* batches.created(run, id)
})

describe("baton batch", () => {
  test(
    "lists the batches of all queues, or of one",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "A" })
      const empty = yield* baton(["batch", "list"])
      assert.deepStrictEqual(empty, { stdout: "", stderr: text("No batch is in progress."), exitCode: 0 })
      yield* leave("prompts", "run-1", "msgbatch_1", 3)
      yield* leave("pages", "run-2", undefined, 1)
      const { stdout } = yield* baton(["batch", "list"])
      assert.match(stdout, /^BATCH +QUEUE +REQUESTS +AGE$/m)
      assert.match(stdout, /^msgbatch_1 +prompts +3 /m)
      assert.match(stdout, /^not confirmed +pages +1 /m)
      const [only, ...others] = JSON.parse((yield* baton(["batch", "list", "--queue", "prompts", "--json"])).stdout)
      assert.deepStrictEqual(others, [])
      assert.deepInclude(only, { id: "msgbatch_1", queue: "prompts", requests: 3 })
    })
  )

  test(
    "forgets a batch, whose requests are then sent again",
    Effect.gen(function* () {
      yield* leave("prompts", "run-1", "msgbatch_1", 2)
      const unknown = yield* baton(["batch", "cancel", "msgbatch_2", "--forget"])
      assert.strictEqual(unknown.exitCode, 1)
      assert.include(unknown.stderr, "No batch msgbatch_2 is in progress. `baton batch list` lists them.")
      const forgotten = yield* baton(["batch", "cancel", "msgbatch_1", "--forget", "--json"])
      assert.deepStrictEqual(JSON.parse(forgotten.stdout), { cancelled: [], forgotten: ["msgbatch_1"] })
      assert.deepStrictEqual(JSON.parse((yield* baton(["batch", "list", "--json"])).stdout), [])
    })
  )

  test(
    "needs to know which batches to cancel, and that they exist",
    Effect.gen(function* () {
      yield* leave("prompts", "run-1", undefined, 1)
      assert.include((yield* baton(["batch", "cancel"])).stderr, "Name batches to cancel, or add --all, but not both.")
      const unconfirmed = yield* baton(["batch", "cancel", "--all"])
      assert.strictEqual(unconfirmed.exitCode, 1)
      assert.include(unconfirmed.stderr, "It is not known whether the batch run-1 was created.")
    })
  )
})
