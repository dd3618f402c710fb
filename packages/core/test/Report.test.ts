import { Execution, Report, Task, TaskStore, Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Histogram from "../src/internal/histogram.ts"

const bucketsOf = (...values: ReadonlyArray<number>) => {
  const histogram = Histogram.make(1)
  for (const value of values) histogram.add(value)
  return histogram.buckets()
}

describe("a histogram", () => {
  it("has steps of 1, 2 and 5 and contains every value", () => {
    const buckets = bucketsOf(0.5, 1, 1.9, 2, 4.99, 5, 9, 10, 120)
    assert.deepStrictEqual(
      buckets.filter(({ count }) => count > 0).map(({ count, from, to }) => [from, to, count]),
      [
        [0, 2, 3],
        [2, 5, 2],
        [5, 10, 2],
        [10, 20, 1],
        [100, 200, 1]
      ]
    )
    for (let value = 1; value < 100_000; value = value * 1.37 + 1) {
      const [bucket] = bucketsOf(value)
      assert.isTrue(bucket !== undefined && bucket.from <= value && value < bucket.to, `${value}`)
    }
    assert.deepStrictEqual(bucketsOf(), [])
  })
})

const used = (costUsd: number): Usage.Usage => ({ ...Usage.zero, inputTokens: 100, outputTokens: 10, costUsd })

/** Two queues: one task completes after a second, one fails, one is running, and one of the other queue completes. */
const worked = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  const add = (queue: string, ...ids: ReadonlyArray<string>) =>
    store.add(ids.map((id) => Task.makeNew({ id, queue, description: `Do ${id}.` })))
  yield* add("a", "1", "2", "3", "4")
  yield* add("b", "5")
  const claim = (queue: string, limit: number) =>
    store.claim({ queues: [queue], owner: `worker of ${queue}`, limit, lease: Duration.minutes(1) })
  const [first, second] = yield* claim("a", 2)
  const [fifth] = yield* claim("b", 1)
  assert(first !== undefined && second !== undefined && fifth !== undefined)
  yield* TestClock.adjust("1 second")
  const complete = ({ task, token }: TaskStore.Claim, model: string, usage: Usage.Usage) =>
    ({
      _tag: "Complete",
      taskId: task.id,
      token,
      execution: Execution.make({ output: "done", metadata: { model } }),
      verified: false,
      attemptUsage: usage,
      usage
    }) as const
  yield* store.settle([
    complete(first, "small", used(0.25)),
    complete(fifth, "large", used(1)),
    {
      _tag: "Fail",
      taskId: second.task.id,
      token: second.token,
      feedback: "The server answered 529 [req_011CSHoEeqs5C35K2]"
    }
  ])
  yield* claim("a", 1)
  yield* TestClock.adjust("2 seconds")
  return store
})

describe("a report", () => {
  it.effect("adds up the outcomes, the time, the usage and the causes of failures of all tasks", () =>
    Effect.gen(function* () {
      const report = yield* Report.make(yield* worked)
      assert.deepStrictEqual([report.tasks, report.attempts, report.unverified], [5, 4, 2])
      assert.deepStrictEqual(report.statuses, {
        pending: 1,
        in_progress: 1,
        in_review: 0,
        completed: 2,
        failed: 1,
        cancelled: 0
      })
      assert.deepStrictEqual(report.outcomes, { completed: 2, failed: 1, running: 1 })
      const { span } = report
      assert(span !== undefined)
      assert.deepStrictEqual(DateTime.distance(span.from, span.until), Duration.seconds(3))
      assert.closeTo(report.durations?.median ?? 0, 1_000, 20)
      assert.deepStrictEqual(report.durations?.buckets, [{ from: 1_000, to: 2_000, count: 3 }])
      assert.strictEqual(report.usage?.costUsd, 1.25)
      assert.deepStrictEqual(
        report.costs.flatMap(({ count }) => (count === 0 ? [] : [count])),
        [1, 1]
      )
      assert.deepStrictEqual(report.causes, [{ name: "The server answered 529 […]", tasks: 1, attempts: 1 }])
      assert.deepStrictEqual(
        report.models.map(({ attempts, name, usage }) => [name, attempts, usage?.costUsd]),
        [
          ["large", 1, 1],
          ["small", 1, 0.25]
        ]
      )
      assert.deepStrictEqual(
        report.workers.map(({ attempts, name }) => [name, attempts]),
        [
          ["worker of a", 3],
          ["worker of b", 1]
        ]
      )
      assert.deepStrictEqual(
        report.failed.map(({ attempts, error, id }) => [id, attempts, error]),
        [[Task.TaskId.make("2"), 1, "The server answered 529 [req_011CSHoEeqs5C35K2]"]]
      )
      const encoded = yield* Schema.encodeEffect(Report.Report)(report)
      assert.deepStrictEqual(yield* Schema.decodeEffect(Report.Report)(encoded), report)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("is about one queue if it is asked to", () =>
    Effect.gen(function* () {
      const store = yield* worked
      const { models, statuses, tasks } = yield* Report.make(store, { queue: "b" })
      assert.deepStrictEqual([tasks, statuses.completed, models.map(({ name }) => name)], [1, 1, ["large"]])
      const none = yield* Report.make(store, { queue: "none" })
      assert.deepStrictEqual([none.tasks, none.span, none.durations, none.usage], [0, undefined, undefined, undefined])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("has the most frequent groups and the failed tasks with the most attempts, and counts all", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add(
        Array.from({ length: 60 }, (_, index) => Task.makeNew({ id: `${index}`, description: "Do it." }))
      )
      for (let index = 0; index < 60; index++) {
        const [claimed] = yield* store.claim({ owner: `worker-${index}`, limit: 1, lease: Duration.minutes(1) })
        assert(claimed !== undefined)
        const { task, token } = claimed
        const feedback = `${"abcdefghij"[index % 10]}${"klmnopqrst"[Math.floor(index / 10)]}: it failed`
        yield* store.settle([{ _tag: "Fail", taskId: task.id, token, feedback }])
      }
      const { causes, failed, statuses, workers } = yield* Report.make(store)
      assert.deepStrictEqual([statuses.failed, causes.length, workers.length, failed.length], [60, 50, 50, 50])
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )
})
