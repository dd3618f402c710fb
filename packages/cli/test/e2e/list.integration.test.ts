import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { baton, built, folder, list } from "./baton.ts"

const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({ id: `t${index + 1}`, description: `task number ${index + 1}` })
  ).join("\n")

/** Fails the first attempt of every 7th task, by the number in its id. */
const flaky = `n=\${BATON_TASK_ID#t}; [ $((n % 7)) -eq 0 ] && [ "$BATON_ATTEMPT" -eq 1 ] && { echo flaky >&2; exit 1; }; wc -w`

describe("a list of tasks", () => {
  it.live("completes with verified outputs; running it again executes nothing", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("books.csv", 'title,text\nOne,"a b c"\nTwo,"a quoted, comma\nand a second line"\nThree,plain\n')
      const args = [
        "run",
        "books.csv",
        "--template",
        "{{text}}",
        "--shell",
        "echo $BATON_TASK_ID >> executions; wc -w",
        "--verify",
        "grep -q [0-9]"
      ]
      const first = yield* baton(dir.path, args)
      assert.strictEqual(first.code, 0, first.stderr)
      assert.strictEqual(dir.lines("executions").length, 3)
      const again = yield* baton(dir.path, args)
      assert.strictEqual(again.code, 0, again.stderr)
      assert.strictEqual(dir.lines("executions").length, 3)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ result, verified }) => [result?.trim(), verified]),
        [
          ["3", true],
          ["7", true],
          ["1", true]
        ]
      )
      const exported = yield* baton(dir.path, ["export", "--format", "csv"])
      assert.strictEqual(exported.code, 0)
      assert.match(exported.stdout.split("\n")[0] ?? "", /^id,status,description,result/)
    })
  )

  it.live("completes if a command fails once on every 7th task, with two attempts on those", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.jsonl", numbered(28))
      const run = yield* baton(dir.path, [
        "run",
        "tasks.jsonl",
        "--shell",
        flaky,
        "--no-verify",
        "-j",
        "8",
        "--retry-delay",
        "10ms"
      ])
      assert.strictEqual(run.code, 0, run.stderr)
      for (const task of yield* list(dir.path)) {
        const seventh = Number(task.id.slice(1)) % 7 === 0
        assert.deepInclude(task, { status: "completed", attempts: seventh ? 2 : 1 })
      }
    })
  )

  it.live(
    "moves tasks that keep failing to the dead-letter queue with their feedback, and completes them after a requeue",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        dir.write("tasks.jsonl", numbered(14))
        const broken = `n=\${BATON_TASK_ID#t}; [ $((n % 7)) -eq 0 ] && { echo cannot do $n >&2; exit 3; }; wc -w`
        const limits = ["--no-verify", "-j", "4", "--max-attempts", "2", "--retry-delay", "10ms"]
        const run = yield* baton(dir.path, ["run", "tasks.jsonl", "--shell", broken, ...limits])
        assert.strictEqual(run.code, 2, run.stderr)
        const dead = yield* baton(dir.path, ["dlq", "list"])
        assert.include(dead.stdout, "cannot do 7")
        assert.include(dead.stdout, "cannot do 14")
        assert.strictEqual((yield* baton(dir.path, ["dlq", "requeue", "--all"])).code, 0)
        const fixed = yield* baton(dir.path, ["run", "--exec", "wc -w", ...limits])
        assert.strictEqual(fixed.code, 0, fixed.stderr)
        assert.isTrue((yield* list(dir.path)).every(({ status }) => status === "completed"))
      })
  )

  it.live("passes a verifier's feedback to the next attempt", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "say hello\n")
      const run = yield* baton(dir.path, [
        ...["run", "tasks.txt", "--shell", 'echo "attempt $BATON_ATTEMPT: $BATON_FEEDBACK"'],
        ...["--verify", 'sh -c "grep -q please || { echo say please; exit 1; }"', "--retry-delay", "10ms"]
      ])
      assert.strictEqual(run.code, 0, run.stderr)
      assert.deepInclude((yield* list(dir.path))[0], { attempts: 2, result: "attempt 2: say please" })
    })
  )

  it.live("is shared by two runs on one store without executing a task twice", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.jsonl", numbered(60))
      const args = [
        "run",
        "tasks.jsonl",
        "--shell",
        "echo $BATON_TASK_ID >> executions; sleep 0.05",
        "--no-verify",
        "-j",
        "4",
        "--json"
      ]
      const runs = yield* Effect.all([built(dir.path, args), built(dir.path, args)], { concurrency: 2 })
      for (const { code, stderr } of runs) assert.strictEqual(code, 0, stderr)
      const executions = dir.lines("executions")
      assert.strictEqual(executions.length, 60)
      assert.strictEqual(new Set(executions).size, 60)
    })
  )
})

describe("limits", () => {
  it.live("stop a run with exit code 3 and the reason, and leave the other tasks pending", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.jsonl", numbered(30))
      const failing = yield* baton(dir.path, [
        ...["run", "tasks.jsonl", "--exec", "false", "--no-verify", "-j", "1"],
        ...["--max-consecutive-failures", "3"]
      ])
      assert.strictEqual(failing.code, 3)
      assert.include(failing.stderr, "3 failures in a row")
      const few = yield* baton(dir.path, ["run", "--exec", "wc -w", "--no-verify", "-j", "8", "--max-iterations", "10"])
      assert.strictEqual(few.code, 3)
      assert.include(few.stderr, "limit of 10 attempts")
      const stored = yield* list(dir.path)
      assert.strictEqual(stored.filter(({ status }) => status === "completed").length, 10)
      assert.isTrue(stored.every(({ status }) => status !== "in_progress"))
    })
  )
})
