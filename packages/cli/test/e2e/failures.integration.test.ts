import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { baton, type Folder, list, live } from "./baton.ts"

const once = ["--no-verify", "--max-attempts", "1"]

describe("a failed command", () => {
  live("fails its task from any place in a pipe of --shell", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--shell", "sh -c 'exit 7' | tee -a log", ...once])
      assert.strictEqual(run.code, 2, run.stderr)
      assert.include(run.stderr, "exited with code 7")
    })
  )

  live("is hidden by a pipe if the script of --shell says so", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const script = "set +o pipefail; sh -c 'exit 7' | cat"
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--shell", script, ...once])
      assert.strictEqual(run.code, 0, run.stderr)
    })
  )
})

describe("a run with --quiet", () => {
  live("prints one line on standard error when a limit stops it", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\nb\nc\n")
      // The first task is still running when the second one meets the limit.
      const limit = ["--max-iterations", "1", "-j", "2"]
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat", ...once, "--quiet", ...limit])
      assert.strictEqual(run.code, 3)
      assert.strictEqual(run.stdout, "")
      assert.match(run.stderr, /^✗ Stopped: [^\n]+\n$/)
    })
  )

  live("prints nothing when every task completes", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat", ...once, "--quiet"])
      assert.deepInclude(run, { code: 0, stdout: "", stderr: "" })
    })
  )
})

describe("the exit code of a program", () => {
  const run = (dir: Folder, ...args: ReadonlyArray<string>) =>
    baton(dir.path, ["run", "tasks.txt", ...args, "--retry-delay", "10ms"])

  live("ends the attempts of a task if --permanent-exit-codes contains it", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "65\n1\n")
      const fails = ["--shell", "exit $(cat)", "--no-verify", "--permanent-exit-codes", "65,78"]
      assert.strictEqual((yield* run(dir, ...fails)).code, 2)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ attempts, description }) => [description, attempts]),
        [
          ["65", 1],
          ["1", 3]
        ]
      )
    })
  )

  live("75 repeats the call within the attempt, for an executor and a verifier", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const secondTime = (file: string) => `if [ -e ${file} ]; then exit 0; fi; : > ${file}; exit 75`
      dir.write("check.sh", secondTime("checked"))
      const script = `echo run >> executions; ${secondTime("tried")}`
      const { code, stderr } = yield* run(dir, "--shell", script, "--verify", "sh check.sh")
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual((yield* list(dir.path))[0]?.attempts, 1)
      assert.strictEqual(dir.lines("executions").length, 2)
    })
  )

  live("is refused by --permanent-exit-codes if no program can end with it, or 0", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      for (const codes of ["0", "256", "65,", "x"]) {
        const { code, stderr } = yield* run(dir, "--exec", "cat", "--no-verify", "--permanent-exit-codes", codes)
        assert.strictEqual(code, 1)
        assert.include(stderr, `--permanent-exit-codes is "${codes}": it takes exit codes from 1 to 255`)
      }
      const other = yield* run(dir, "--executor", "fake", "--no-verify", "--permanent-exit-codes", "65")
      assert.include(other.stderr, "--permanent-exit-codes only works with --exec or --shell")
    })
  )
})

describe("failures with the same cause", () => {
  live("are one line of the summary, and are requeued together", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", Array.from({ length: 8 }, (_, n) => `${n}\n`).join(""))
      const overloaded = `echo "529 overloaded, request req_0a1b$n in /tmp/$n/log" >&2; exit 3`
      const script = `n=$(cat); case $n in 1|2) echo "no price in row $n" >&2; exit 4;; 3) exit 5;; *) ${overloaded};; esac`
      const { stderr } = yield* baton(dir.path, ["run", "tasks.txt", "--shell", script, ...once, "-j", "1"])
      const reasons = stderr.split("\n").filter((line) => /^ {4}\d/.test(line))
      assert.deepStrictEqual(reasons, [
        "    5  The command exited with code 3: 529 overloaded, request … in …",
        "    2  The command exited with code 4: no price in row …",
        "    1  The command exited with code 5"
      ])
      const requeue = yield* baton(dir.path, ["dlq", "requeue", "--cause", reasons[0]?.slice(7) ?? ""])
      assert.include(requeue.stdout, "5 tasks requeued")
      const listed = yield* baton(dir.path, ["dlq", "list", "--json", "--cause", "code 4"])
      assert.strictEqual(listed.stdout.match(/"id"/g)?.length, 2)
      assert.include((yield* baton(dir.path, ["dlq", "requeue", "--cause", "no price in row 7"])).stdout, "2 tasks")
      const none = yield* baton(dir.path, ["dlq", "requeue", "--cause", "code 9"])
      assert.include(none.stderr, 'No failed task has the cause "code 9"')
    })
  )

  live("are named by the error of a Python traceback", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\nb\n")
      const frames = Array.from({ length: 8 }, (_, n) => `  File "x.py", line ${n}, in f\n    f()`)
      dir.write("trace", `Traceback (most recent call last):\n${frames.join("\n")}\nKeyError: 'price'\n`)
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--shell", "cat trace >&2; exit 1", ...once])
      assert.include(run.stderr, "    2  The command exited with code 1: KeyError: 'price'\n")
    })
  )
})

describe("a list whose first ten attempts fail", () => {
  const twelve = Array.from({ length: 12 }, (_, n) => `${n}\n`).join("")

  live("is stopped with exit code 3 and a sentence", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", twelve)
      const fails = ["--shell", "echo no key >&2; exit 1", ...once, "-j", "1"]
      const { code, stderr } = yield* baton(dir.path, ["run", "tasks.txt", ...fails])
      assert.strictEqual(code, 3)
      assert.include(
        stderr,
        "✗ Stopped: 10 failures in a row before the first success (last: The command exited with code 1: no key). 0 of 12 tasks completed"
      )
      assert.include(stderr, "--no-breaker")
      assert.strictEqual((yield* list(dir.path, ["--status", "failed"])).length, 10)
    })
  )

  live("runs to its end with --no-breaker, with another limit, or after one success", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", twelve)
      const fails = ["--no-verify", "--max-attempts", "1", "-j", "1"]
      const all = ["run", "tasks.txt", "--shell", "exit 1", ...fails]
      assert.strictEqual((yield* baton(dir.path, [...all, "--no-breaker"])).code, 2)
      yield* baton(dir.path, ["dlq", "requeue", "--all"])
      assert.strictEqual((yield* baton(dir.path, [...all, "--max-consecutive-failures", "50"])).code, 2)
      yield* baton(dir.path, ["dlq", "requeue", "--all"])
      const but = ["run", "--shell", 'test "$(cat)" = 0', ...fails]
      assert.strictEqual((yield* baton(dir.path, but)).code, 2)
    })
  )
})
