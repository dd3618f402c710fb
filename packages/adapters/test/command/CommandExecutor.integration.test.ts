import { Command } from "@baton/adapters/command"
import { type ExecutionError, Executor, type ProgressReport, type SafetyStop, Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  attempt,
  directory,
  execute,
  isAlive,
  layer,
  node,
  sh,
  stubborn,
  task,
  until,
  untilGone,
  untilPids
} from "./fixtures.ts"

describe("CommandExecutor", () => {
  it.live("opens a span with the program's name, without its arguments and input", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const command = Command.make("/bin/cat", ["--", "-"])
      yield* Effect.withTracer(execute({ command }, { task: { description: "secret" } }), tracer)
      const span = spans.find(({ name }) => name === "execute_tool cat")
      assert.deepInclude(Object.fromEntries(span?.attributes ?? []), {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "cat",
        "process.exit.code": 0,
        "baton.ended_by": "itself"
      })
      assert.notMatch(JSON.stringify(spans.map(({ attributes }) => Array.from(attributes))), /secret|--/)
    })
  )

  describe("input", () => {
    it.live("has the outputs of dependencies in a file that is deleted with the attempt", () =>
      Effect.gen(function* () {
        const dependsOn = Array.from({ length: 100 }, (_, index) => Task.TaskId.make(`part-${index}`))
        const dependencies = dependsOn.map((id) => ({ id, output: `the output of ${id}\n"\u0000 😀`.repeat(100) }))
        const { output } = yield* execute(
          { command: sh('echo "$BATON_DEPENDENCIES"; cat "$BATON_DEPENDENCIES"') },
          { task: { dependsOn }, attempt: { dependencies: Effect.succeed(dependencies) } }
        )
        const [file = "", content = ""] = output.split("\n")
        assert.deepStrictEqual(JSON.parse(content), dependencies)
        assert.isFalse(existsSync(file))
        const env = { BATON_DEPENDENCIES: "outer" }
        const without = yield* execute({ command: sh('echo "${BATON_DEPENDENCIES-unset}"'), env })
        assert.strictEqual(without.output, "unset")
      })
    )

    it.live("has a file for its progress, of which the last complete line counts", () =>
      Effect.gen(function* () {
        const reports = yield* Queue.unbounded<ProgressReport>()
        const dir = yield* directory
        const next = join(dir, "next")
        const program = [
          'echo "reading it" >> "$BATON_PROGRESS"',
          `while [ ! -e ${next}1 ]; do sleep 0.05; done`,
          'printf "old\\n40%%\\nhal" >> "$BATON_PROGRESS"',
          `while [ ! -e ${next}2 ]; do sleep 0.05; done`,
          'echo 0.75 > "$BATON_PROGRESS"',
          `while [ ! -e ${next}3 ]; do sleep 0.05; done`,
          'rm "$BATON_PROGRESS"; echo "$BATON_PROGRESS"'
        ].join("\n")
        const running = yield* Effect.forkChild(
          execute(
            { command: sh(program) },
            { attempt: { progress: (progress) => Effect.asVoid(Queue.offer(reports, progress)) } }
          )
        )
        for (const [index, expected] of ["reading it", 0.4, 0.75].entries()) {
          assert.strictEqual(yield* Queue.take(reports), expected)
          writeFileSync(`${next}${index + 1}`, "")
        }
        assert.isFalse(existsSync((yield* Fiber.join(running)).output))
      })
    )

    it.live("reports what it has printed to standard output and standard error while it runs", () =>
      Effect.gen(function* () {
        const reports = yield* Queue.unbounded<ProgressReport>()
        const next = join(yield* directory, "next")
        const program = `echo one; while [ ! -e ${next} ]; do sleep 0.05; done; echo two >&2; while :; do sleep 0.05; done`
        const running = execute(
          { command: sh(program) },
          { attempt: { progress: (progress) => Effect.asVoid(Queue.offer(reports, progress)) } }
        )
        const seen = Effect.gen(function* () {
          assert.deepStrictEqual(yield* Queue.take(reports), { output: "one\n" })
          writeFileSync(next, "")
          assert.deepStrictEqual(yield* Queue.take(reports), { output: "one\ntwo\n" })
        })
        yield* Effect.raceFirst(Effect.asVoid(running), seen)
      })
    )

    it.live("leaves the timeout to a task that has its own", () =>
      Effect.gen(function* () {
        const overrides = { executionTimeoutMillis: 60_000 }
        const { output } = yield* execute({ command: sh("sleep 0.2; echo done"), timeout: 20 }, { task: { overrides } })
        assert.strictEqual(output, "done")
      })
    )

    it.live("gives the description to the program, byte for byte", () =>
      Effect.gen(function* () {
        const description = "NUL \0, emoji 😀, two lines\nand no last line break. ".repeat(110_000)
        assert.isAbove(Buffer.byteLength(description), 5_000_000)
        const { output } = yield* execute({ command: sh("cat") }, { task: { description } })
        assert.isTrue(output === description)
      })
    )

    it.live("does not mind a program that reads none of five megabytes", () =>
      Effect.gen(function* () {
        const task = { description: "x".repeat(5_000_000) }
        const { output } = yield* execute({ command: sh("exec <&-; echo done") }, { task })
        assert.strictEqual(output, "done")
      })
    )

    it.live("tells the program about its task in the environment", () =>
      Effect.gen(function* () {
        const { output } = yield* execute(
          {
            command: node("console.log(JSON.stringify(process.env))"),
            env: { EXTRA: "1", BATON_METADATA_FILE: "old" }
          },
          {
            task: { metadata: { title: "A 'b' \0 \"c\"\n", list: [1, null] } },
            attempt: { attempt: 2, idempotencyKey: "task-1/2", previous: { output: "a\0b", feedback: "too\0 short" } }
          }
        )
        const env = JSON.parse(output)
        assert.strictEqual(env.BATON_TASK_ID, "task-1")
        assert.strictEqual(env.BATON_ATTEMPT, "2")
        assert.strictEqual(env.BATON_IDEMPOTENCY_KEY, "task-1/2")
        assert.strictEqual(env.BATON_FEEDBACK, "too short")
        assert.strictEqual(env.BATON_PREVIOUS_OUTPUT, "ab")
        assert.deepStrictEqual(JSON.parse(env.BATON_METADATA), { title: "A 'b' \0 \"c\"\n", list: [1, null] })
        assert.notProperty(env, "BATON_METADATA_FILE")
        assert.strictEqual(env.EXTRA, "1")
        assert.strictEqual(env.PATH, process.env["PATH"])
      })
    )

    it.live("has no feedback and no previous output on the first attempt", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({ command: sh('echo "<$BATON_FEEDBACK> ${BATON_PREVIOUS_OUTPUT-unset}"') })
        assert.strictEqual(output, "<> unset")
      })
    )

    it.live("puts what no environment takes into a file, and shortens the feedback", () =>
      Effect.gen(function* () {
        const metadata = { text: "é".repeat(300_000) }
        const previous = { output: "y\0".repeat(300_000), feedback: `first ${"z".repeat(2_000_000)} last` }
        const { output } = yield* execute(
          {
            command: node(`
              const { readFileSync } = require("node:fs")
              const { BATON_FEEDBACK: feedback, ...env } = process.env
              console.log(JSON.stringify({
                feedback, env, metadata: JSON.parse(readFileSync(env.BATON_METADATA_FILE, "utf8")),
                output: readFileSync(env.BATON_PREVIOUS_OUTPUT_FILE, "utf8")
              }))`)
          },
          { task: { metadata }, attempt: { previous } }
        )
        const seen = JSON.parse(output)
        assert.deepStrictEqual(seen.metadata, metadata)
        assert.isTrue(seen.output === previous.output)
        assert.notProperty(seen.env, "BATON_METADATA")
        assert.match(seen.feedback, /^first z+\n\[\.\.\. 1\.8 MiB left out \.\.\.\]\nz+ last$/)
        assert.isFalse(existsSync(seen.env.BATON_METADATA_FILE))
        assert.isFalse(existsSync(seen.env.BATON_PREVIOUS_OUTPUT_FILE))
      })
    )
  })

  describe("output", () => {
    it.live("is standard output without its last line break, with the facts as metadata", () =>
      Effect.gen(function* () {
        const execution = yield* execute({ command: sh("printf ' a\\n\\n'; echo careful >&2") })
        assert.strictEqual(execution.output, " a\n")
        const { durationMillis, ...metadata } = execution.metadata
        assert.deepStrictEqual(metadata, { exitCode: 0, signal: null, stderrTail: "careful\n" })
        assert.isNumber(durationMillis)
        assert.isUndefined(execution.usage)
      })
    )

    it.live("keeps characters that arrive in pieces, and replaces invalid UTF-8", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({ command: sh("printf '\\360\\237'; sleep 0.1; printf '\\230\\200 \\377!'") })
        assert.strictEqual(output, "😀 \uFFFD!")
      })
    )

    it.live("may be as long as the limit", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({ command: sh("printf 12345"), maxOutputBytes: 5 })
        assert.strictEqual(output, "12345")
      })
    )

    it.live("fails the attempt when it is longer than the limit", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(execute({ command: sh("printf 123456"), maxOutputBytes: 5 }))
        assert.strictEqual(error._tag === "ExecutionError" && error.reason, "Failed")
        assert.match(error.message, /^The command printed more than the limit of 5 bytes and was stopped/)
      })
    )

    it.live("stops a program that never stops printing", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(execute({ command: sh("echo $$; exec yes") }))
        if (error._tag !== "ExecutionError") return assert.fail(error._tag)
        assert.strictEqual(error.reason, "Failed")
        assert.match(error.message, /^The command printed more than the limit of 10 MiB /)
        assert.isBelow(error.output?.length ?? 0, 66_000)
        assert.strictEqual(error.metadata?.["signal"], "SIGTERM")
        assert.isFalse(isAlive(Number.parseInt(error.output ?? "", 10)))
      })
    )
  })

  describe("failure", () => {
    it.live("with exit code 75 is temporary, and pauses the queue when the program says until when", () =>
      Effect.gen(function* () {
        const exit = (code: number, words: string) =>
          Effect.flip(execute({ command: sh(`echo partial; echo "${words}" >&2; exit ${code}`) }))
        const described = Effect.map((error: ExecutionError | SafetyStop) =>
          error._tag === "SafetyStop" ? [] : [error.reason, error.retryAt?.epochMilliseconds]
        )
        const at = "2030-01-01T00:00:00Z"
        assert.deepStrictEqual(yield* described(exit(75, "busy")), ["Transient", undefined])
        assert.deepStrictEqual(yield* described(exit(75, `limit reached, retry at ${at}`)), [
          "RateLimited",
          Date.parse(at)
        ])
        assert.deepStrictEqual(yield* described(exit(1, `retry at ${at}`)), ["Failed", undefined])
      })
    )

    it.live("by exit code says the code and the last lines of standard error", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          execute({ command: sh("echo partial; seq 1 2000 >&2; echo 'no such model' >&2; exit 3") })
        )
        if (error._tag !== "ExecutionError") return assert.fail(error._tag)
        assert.strictEqual(error.reason, "Failed")
        assert.match(error.message, /^The command exited with code 3: 1992\n[^]*\n2000\nno such model$/)
        assert.strictEqual(error.output, "partial\n")
        assert.strictEqual(error.metadata?.["exitCode"], 3)
        const tail = error.metadata?.["stderrTail"]
        if (typeof tail !== "string") return assert.fail("no stderrTail")
        assert.match(tail, /^\[\.\.\. [\d.]+ KiB left out \.\.\.\]\n/)
        assert.isBelow(tail.length, 4200)
      })
    )

    it.live("quotes standard output where standard error is empty", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(execute({ command: sh("echo 2 tests failed; exit 1") }))
        assert.strictEqual(error.message, "The command exited with code 1: 2 tests failed")
      })
    )

    it.live("by a signal names the signal", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(execute({ command: sh("kill -SEGV $$") }))
        if (error._tag !== "ExecutionError") return assert.fail(error._tag)
        assert.strictEqual(error.reason, "Failed")
        assert.strictEqual(error.message, "The command was killed by SIGSEGV")
        assert.deepInclude(error.metadata, { exitCode: null, signal: "SIGSEGV" })
      })
    )

    const fatal = (options: Parameters<typeof execute>[0], pattern: RegExp) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(execute(options))
        assert.strictEqual(error._tag === "ExecutionError" && error.reason, "Fatal")
        assert.match(error.message, pattern)
      })

    it.live("to find the program is fatal, and names it", () =>
      fatal({ command: Command.make("no-such-program-here") }, /^Not found: the program "no-such-program-here"\. Check/)
    )

    it.live("to execute the program is fatal, and names it", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "data")
        writeFileSync(file, "no program")
        yield* fatal({ command: Command.make(file) }, /^Not executable: the program ".*data"\. Give it/)
      })
    )

    it.live("to enter the working directory is fatal, and names it", () =>
      fatal({ command: sh("true"), cwd: "/no/such/place" }, /^The working directory "\/no\/such\/place" does not exist/)
    )

    it.live("of the system to start it fails this attempt only", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(execute({ command: sh("true"), env: { HUGE: "x".repeat(8_000_000) } }))
        assert.strictEqual(error._tag === "ExecutionError" && error.reason, "Failed")
        assert.strictEqual(error.message, "Could not start the shell: spawn E2BIG.")
      })
    )
  })

  describe("limits", () => {
    it.effect("stops a program and a child that both ignore SIGTERM when the time is over", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "pids")
        const options = { command: stubborn(file), timeout: "1 hour", killGrace: "100 millis" } as const
        const fiber = yield* Effect.forkChild(Effect.flip(execute(options)))
        const pids = yield* TestClock.withLive(untilPids(file, 2))
        yield* TestClock.adjust("59 minutes")
        assert.deepStrictEqual(pids.map(isAlive), [true, true])
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(fiber)
        if (error._tag !== "ExecutionError") return assert.fail(error._tag)
        assert.strictEqual(error.reason, "TimedOut")
        assert.strictEqual(error.message, "The command took longer than 1h and was stopped")
        assert.deepInclude(error.metadata, { exitCode: null, signal: "SIGKILL", durationMillis: 3_600_000 })
        yield* TestClock.withLive(Effect.forEach(pids, untilGone))
      })
    )

    it.effect("stops a program that has been silent for too long", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "pids")
        const command = sh(`echo begun; echo $$ > '${file}'; exec sleep 1000`)
        const fiber = yield* Effect.forkChild(Effect.flip(execute({ command, idleTimeout: "1 minute" })))
        const [pid = 0] = yield* TestClock.withLive(untilPids(file, 1))
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error._tag === "ExecutionError" && error.reason, "TimedOut")
        assert.strictEqual(error.message, "The command printed nothing for 1m and was stopped: begun")
        assert.isFalse(isAlive(pid))
      })
    )

    it.live("stops a program and a child that both ignore SIGTERM when interrupted", () =>
      Effect.gen(function* () {
        const file = join(yield* directory, "pids")
        const fiber = yield* Effect.forkChild(execute({ command: stubborn(file), killGrace: "100 millis" }))
        const pids = yield* untilPids(file, 2)
        yield* Fiber.interrupt(fiber)
        yield* Effect.forEach(pids, untilGone)
      })
    )
  })

  describe("children left in the background", () => {
    it.live("end with the program, and do not keep the attempt from ending", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({ command: sh("sleep 1000 & echo $!") })
        yield* untilGone(Number(output))
      })
    )

    it.live("end with the program also when they hold none of its output", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({ command: sh("sleep 1000 >/dev/null 2>&1 & echo $!") })
        yield* untilGone(Number(output))
      })
    )

    it.live("may finish their output", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({ command: sh("(sleep 0.1; echo late) & echo early") })
        assert.strictEqual(output, "early\nlate")
      })
    )

    it.live("do not keep the attempt from ending even when they have left its group", () =>
      Effect.gen(function* () {
        const { output } = yield* execute({
          command: node(`
            const options = { detached: true, stdio: ["ignore", "inherit", "inherit"] }
            const child = require("node:child_process").spawn("sleep", ["1000"], options)
            child.unref()
            console.log(child.pid)`)
        })
        const pid = Number(output)
        assert.isTrue(isAlive(pid))
        process.kill(pid, "SIGKILL")
      })
    )
  })

  it.live("keeps nothing open after many runs side by side", () =>
    Effect.gen(function* () {
      const warnings: Array<Error> = []
      const onWarning = (warning: Error) => warnings.push(warning)
      process.on("warning", onWarning)
      const open = () => process.getActiveResourcesInfo().filter((name) => /^(Pipe|Process)Wrap$/.test(name)).length
      const before = open()
      const executor = yield* Executor.Executor
      yield* Effect.forEach(
        // More at a time than listeners that Node allows on one emitter before it warns.
        Array.from({ length: 64 }, (_, index) => attempt({ attempt: index })),
        (attempt) =>
          Effect.map(executor.execute(task(), attempt), ({ output }) =>
            assert.strictEqual(output, `describe it${attempt.attempt}`)
          ),
        { concurrency: 32 }
      )
      yield* until(() => (open() <= before ? true : undefined))
      process.off("warning", onWarning)
      assert.deepStrictEqual(warnings, [])
    }).pipe(
      Effect.provide(layer({ command: sh("cat; echo $BATON_ATTEMPT"), timeout: "1 minute", idleTimeout: "1 minute" }))
    )
  )
})
