import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Option } from "effect"
import { TestClock } from "effect/testing"
import { Execution, Executor, Redactor, Task, Verification, Verifier } from "@baton/core"
import { make, tasks, yields } from "./harness.ts"

const done = Effect.succeed(Execution.make({ output: "x" }))

describe("the progress of an attempt", () => {
  it.effect("is published at once, then at most every half second, and never without the latest report", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer((_, { progress }) =>
          Effect.gen(function* () {
            yield* progress("reading")
            yield* gate.await
            for (let n = 1; n <= 1000; n++) yield* progress(n / 1000)
            yield* progress("writing")
            yield* Effect.sleep("1 minute")
            return Execution.make({ output: "x" })
          })
        )
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskProgress")
      yield* gate.open
      yield* yields()
      assert.lengthOf(journal.of("TaskProgress"), 1)
      yield* TestClock.adjust("500 millis")
      yield* yields()
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.deepStrictEqual(
        journal
          .of("TaskProgress")
          .map(({ attempt, fraction, taskId, text }) => [String(taskId), attempt, text, fraction]),
        [
          ["a", 1, "reading", undefined],
          ["a", 1, "writing", 1]
        ]
      )
    })
  )

  it.effect("contains the end of the output so far, and no part of a secret", () =>
    Effect.gen(function* () {
      const key = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz012345"
      const outputs = [
        "Reading page 1 of 10",
        `the key is ${key}\n`,
        // The word at the end may be the beginning of a secret; characters of other scripts are none.
        `the key is ${key.slice(0, 20)}`,
        "\u5168\u90e8",
        `${"x".repeat(10)} `.repeat(1000),
        // Cut in the middle of a secret.
        `${key} ${"y".repeat(3980)} ${"z ".repeat(300)}`,
        ""
      ]
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer((_, { progress }) =>
          Effect.as(
            Effect.forEach(outputs, (output) => Effect.andThen(progress({ output }), Effect.sleep("2 seconds"))),
            Execution.make({ output: "x" })
          )
        )
      }).pipe(Effect.provide(Redactor.layer({})))
      const saved: Array<string | undefined> = []
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      for (const _ of outputs) {
        yield* yields()
        const found = yield* store.progress?.of(Task.TaskId.make("a")) ?? Effect.die("the store keeps none")
        saved.push(Option.getOrUndefined(found)?.output)
        yield* TestClock.adjust("2 seconds")
      }
      yield* Fiber.join(run)
      const published = journal.of("TaskProgress").map(({ output }) => output)
      assert.deepStrictEqual(published.slice(0, 4), [
        "Reading page 1 of ",
        "the key is [redacted]\n",
        "the key is ",
        "\u5168\u90e8"
      ])
      assert.strictEqual(published[4], `${"x".repeat(10)} `.repeat(100).slice(-1000))
      assert.strictEqual(published[5], ` ${"z ".repeat(300)}`)
      assert.strictEqual(published[6], "")
      assert.deepStrictEqual(saved, published)
    })
  )

  it.effect("is in the store while the attempt lasts, for other processes to see", () =>
    Effect.gen(function* () {
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer((_, { progress }) =>
          Effect.gen(function* () {
            yield* progress("reading")
            yield* Effect.sleep("1 minute")
            yield* progress(0.5)
            yield* Effect.sleep("1 minute")
            return Execution.make({ output: "x" })
          })
        )
      })
      const reported = Effect.map(
        store.progress?.of(Task.TaskId.make("a")) ?? Effect.die("the store keeps none"),
        (found) => Option.getOrNull(Option.map(found, ({ fraction, text }) => [text, fraction]))
      )
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskProgress")
      yield* yields()
      assert.deepStrictEqual(yield* reported, ["reading", undefined])
      yield* TestClock.adjust("1 minute")
      yield* yields()
      assert.deepStrictEqual(yield* reported, ["reading", 0.5])
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(run)
      assert.isNull(yield* reported)
    })
  )

  it.effect("is not published after the attempt has ended, and comes from verifiers too", () =>
    Effect.gen(function* () {
      let late: Effect.Effect<void> = Effect.void
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer((_, { progress }) => {
          late = progress("late")
          return done
        }),
        verifier: Verifier.layer((_, __, { progress }) =>
          progress("judging").pipe(Effect.andThen(Effect.sleep("1 second")), Effect.as(Verification.pass()))
        ),
        hooks: [({ _tag }) => (_tag === "TaskCompleted" ? late : Effect.void)]
      })
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      yield* journal.next("TaskProgress")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(run)
      assert.deepStrictEqual(
        journal.of("TaskProgress").map(({ text }) => text),
        ["judging"]
      )
    })
  )

  it.effect("accepts any number and any text, and contains no secrets", () =>
    Effect.gen(function* () {
      const reports = [
        Number.NaN,
        -1,
        7,
        "x".repeat(10_000),
        "the key is sk-ant-api03-abcdefghijklmnopqrstuvwxyz012345"
      ]
      const { journal, orchestrator, store } = yield* make({
        executor: Executor.layer((_, { progress }) =>
          Effect.as(
            Effect.forEach(reports, (report) => Effect.andThen(progress(report), Effect.sleep("1 second"))),
            Execution.make({ output: "x" })
          )
        )
      }).pipe(Effect.provide(Redactor.layer({})))
      yield* store.add(tasks("a"))
      const run = yield* Effect.forkChild(orchestrator.run)
      for (const _ of reports) {
        yield* yields()
        yield* TestClock.adjust("1 second")
      }
      yield* Fiber.join(run)
      const published = journal.of("TaskProgress")
      assert.deepStrictEqual(published.map(({ fraction, text }) => [fraction, text?.length ?? 0]).slice(0, 3), [
        [0, 0],
        [1, 0],
        [1, 500]
      ])
      assert.match(published[3]?.text ?? "", /^the key is \[redacted\]$/)
    })
  )
})
