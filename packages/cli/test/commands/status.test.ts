import { assert, describe } from "@effect/vitest"
import { TaskStore, Usage } from "@baton/core"
import { Deferred, Duration, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Snapshot } from "../../src/view/status.ts"
import { add, baton, complete, everyKind, fail, morning, test, text } from "./harness.ts"

describe("baton status", () => {
  test(
    "shows counts, the oldest running task, failures by cause, and commands to type next",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["status"], { columns: 80 }), {
        stdout: text(
          "6 tasks  █████▓▓▓▓▓░░░░░░░░░░░░░░░░░░░░  16% completed",
          "",
          "  pending      2  1 of them waits for other tasks",
          "  in progress  1  oldest: ship, 3m 00s",
          "  completed    1",
          "  failed       1  in the dead-letter queue",
          "  cancelled    1",
          "",
          "Used  1,234 tokens (1,200 in, 34 out), $0.0123",
          "",
          "Failures by cause",
          "  1  exit code 2: 3 links are dead…",
          "",
          "  baton dlq list           list failed tasks and the causes",
          "  baton dlq requeue --all  make failed tasks pending again",
          "  baton status --watch     watch the progress"
        ),
        stderr: "",
        exitCode: 0
      })
    })
  )

  test(
    "names the tasks that depend on one that failed or was cancelled",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* morning
      yield* add(
        { id: "grandchild", description: "D", dependsOn: ["child"] },
        { id: "child", description: "D", dependsOn: ["bad"] },
        { id: "bad", description: "D" }
      )
      yield* fail("no")
      const status = Effect.map(baton(["status"]), ({ stdout }) => stdout)
      assert.include(
        yield* status,
        "pending      2  2 of them wait for other tasks, 2 for one that failed or was cancelled"
      )
      yield* store.cancel({ status: "pending" })
      assert.include(yield* status, "cancelled    2  2 of them with a task that they depend on")
    })
  )

  test(
    "lists the most frequent failure first",
    Effect.gen(function* () {
      yield* morning
      yield* add(...["a", "b", "c", "d", "e"].map((id) => ({ id, description: id })))
      for (const feedback of ["rare", "often\nand more", "often\nbut not the same", "often\n!", "\u001B[2Jrare"])
        yield* fail(feedback)
      const { stdout } = yield* baton(["status"])
      assert.include(stdout, "Failures by cause\n  3  often…\n  2  rare\n")
    })
  )

  test(
    "examines a thousand failures and says so",
    Effect.gen(function* () {
      yield* morning
      yield* add(...Array.from({ length: 1001 }, (_, index) => ({ id: `t${index}`, description: "D" })))
      for (let index = 0; index < 1001; index++) yield* fail(index < 1000 ? "early" : "late")
      const { stdout } = yield* baton(["status"])
      assert.include(stdout, "Failures by cause (of the first 1,000)\n  1,000  early\n\n")
    })
  )

  test(
    "suggests a next command in every state",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const next = Effect.map(baton(["status"]), ({ stdout }) => stdout.split("\n\n").at(-1))
      yield* morning
      assert.strictEqual(
        yield* next,
        text("  baton add 'TEXT'       add a task", "  baton run tasks.jsonl  run a list")
      )
      yield* add({ id: "a", description: "A" })
      assert.strictEqual(yield* next, text("  baton run  run the pending tasks"))
      yield* store.request("pause")
      assert.include((yield* baton(["status"])).stdout, "  0% completed  paused\n")
      assert.strictEqual(yield* next, text("  baton resume  end the pause"))
      yield* store.request("resume")
      yield* complete("done")
      assert.strictEqual(yield* next, text("  baton export --format csv  export the results"))
    })
  )

  test(
    "shows how many dead letters only depend on another",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* morning
      yield* add(
        { id: "bad", description: "bad" },
        ...["x", "y"].map((id) => ({ id, description: id, dependsOn: ["bad"] }))
      )
      yield* fail("no")
      yield* store.failWaiting(["x", "y"], "A task that this one depends on failed.")
      const { stdout } = yield* baton(["status"])
      assert.include(
        stdout,
        "failed       3  in the dead-letter queue, 2 of them because of a task that they depend on\n"
      )
    })
  )

  test(
    "shows how many of the tasks in progress are only claimed",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* morning
      yield* add(...["a", "b", "c"].map((id) => ({ id, description: id })))
      yield* store.claim({ limit: 3, owner: "worker", lease: Duration.hours(1), started: 1 })
      yield* TestClock.adjust("5 seconds")
      const { stdout } = yield* baton(["status"])
      assert.include(stdout, "in progress  3  2 of them claimed and not started; oldest: a, 5.0s\n")
      const list = (yield* baton(["list"])).stdout
      assert.match(list, /^a +in progress .*\nb +claimed .*\nc +claimed /m)
      const show = (yield* baton(["show", "b"])).stdout
      assert.match(show, /^b {2}claimed$/m)
      assert.match(show, /#1 claimed/)
    })
  )

  test(
    "prints one JSON object with --json",
    Effect.gen(function* () {
      yield* everyKind
      const { stdout } = yield* baton(["status", "--json"])
      const usage = { ...Usage.zero, inputTokens: 1200, outputTokens: 34, costUsd: 0.0123 }
      const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toEncoded(Snapshot)))
      assert.deepStrictEqual(yield* decode(stdout), {
        total: 6,
        counts: { pending: 2, in_progress: 1, in_review: 0, completed: 1, failed: 1, cancelled: 1, waiting: 1 },
        queues: [
          {
            queue: "default",
            pending: 2,
            in_progress: 1,
            in_review: 0,
            completed: 1,
            failed: 1,
            cancelled: 1,
            waiting: 1,
            usage
          }
        ],
        paused: false,
        claimed: 0,
        oldestRunning: { id: "ship", startedAt: "2026-01-05T09:01:02.500Z", seconds: 180 },
        dependents: { blocked: 0, cancelled: 0, failed: 0, examined: 4 },
        deadLetters: { feedback: [{ text: "exit code 2: 3 links are dead…", count: 1 }], examined: 1 },
        usage,
        budgets: [],
        concurrency: [],
        pauses: [],
        batches: []
      })
    })
  )

  test(
    "watches on the alternate screen until q, then prints the last report",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: "A" })
      const { exitCode, stdout } = yield* baton(["status", "--watch"], { columns: 80, keys: ["x", "q"] })
      assert.strictEqual(exitCode, 0)
      assert.isTrue(stdout.startsWith("\u001B[?1049h\u001B[?25l"))
      assert.include(stdout, "\u001B[?25h\u001B[?1049l1 task  ")
    })
  )

  test(
    "updates every second",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a", description: "A" })
      const printed: Array<string> = []
      const [once, twice] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const fiber = yield* Effect.forkChild(
        baton(["status", "--watch", "--json"], {
          onStdout: (line) => {
            printed.push(line)
            Deferred.doneUnsafe(printed.length === 1 ? once : twice, Effect.void)
          }
        }),
        { startImmediately: true }
      )
      yield* Deferred.await(once)
      yield* complete("done")
      yield* TestClock.adjust("1 second")
      yield* Deferred.await(twice)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(
        printed.map((line) => /"completed":(\d)/.exec(line)?.[1]),
        ["0", "1"]
      )
    })
  )
})
