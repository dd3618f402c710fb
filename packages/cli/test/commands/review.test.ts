import { assert, describe } from "@effect/vitest"
import { Execution, Task, TaskStore, Verification } from "@baton/core"
import { Effect } from "effect"
import { add, baton, claim, test, text } from "./harness.ts"

/** Adds a task whose output is in review. */
const inReview = Effect.fnUntraced(function* (id: string) {
  yield* add({ id, description: `Write ${id}.` })
  const { task, token } = yield* claim()
  yield* TaskStore.TaskStore.use((store) =>
    store.settle([
      {
        _tag: "Review",
        taskId: task.id,
        token,
        execution: Execution.make({ output: "a draft" }),
        verification: Verification.review("The judge was unsure.")
      }
    ])
  )
})

const statusOf = (id: string) =>
  TaskStore.TaskStore.use((store) =>
    Effect.map(store.list(), ({ tasks }) => tasks.find((task) => task.id === id)?.status)
  )

describe("decisions about outputs", () => {
  test(
    "with a comment of 10 MB are refused with a short sentence, and change nothing",
    Effect.gen(function* () {
      yield* inReview("a")
      const { exitCode, stderr, stdout } = yield* baton(["review", "reject", "a", "--comment", "x".repeat(10_000_000)])
      assert.strictEqual(exitCode, 1)
      assert.include(stdout + stderr, `x…": it takes a comment of at most ${Verification.maxComment} characters.`)
      assert.isBelow(stdout.length + stderr.length, 10_000)
      assert.strictEqual(yield* statusOf("a"), "in_review")
    })
  )

  test(
    "about a task that is not in review, or was deleted meanwhile, change nothing and say so",
    Effect.gen(function* () {
      yield* inReview("a")
      yield* add({ id: "b", description: "B" })
      const early = yield* baton(["review", "approve", "b", "--by", "bob"])
      assert.deepStrictEqual(early, { stdout: "", stderr: text("b is not in review: it is pending."), exitCode: 1 })
      yield* baton(["review", "approve", "a", "--by", "ann"])
      yield* TaskStore.TaskStore.use((store) => store.prune({ ids: [Task.TaskId.make("a")], statuses: ["completed"] }))
      const late = yield* baton(["review", "approve", "a", "--by", "bob"])
      assert.strictEqual(late.exitCode, 1)
      assert.include(late.stderr, "The task a does not exist.")
    })
  )
})
