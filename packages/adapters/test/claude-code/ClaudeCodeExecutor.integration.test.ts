import { ClaudeCodeExecutor } from "@baton/adapters/claude-code"
import { Attempt, Executor, Orchestrator, type ProgressReport, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { attempt, isAlive, task, until, untilGone, untilPids } from "../command/fixtures.ts"
import { sessionId } from "../../src/claude-code/internal/sessions.ts"
import { execute, failure, ledger, type Options, standIn } from "./fixtures.ts"

const half = { output: "half of it" }

/** The end of a session, and its error. */
const table: ReadonlyArray<{
  readonly situation: string
  readonly options?: Options
  readonly reason: string
  readonly message: RegExp
  /** Null when it is unknown. */
  readonly costUsd: number | null
  readonly output?: string
}> = [
  {
    situation: "max-turns",
    options: { maxTurns: 2 },
    reason: "Failed",
    message: /^Claude Code did not finish within its limit of 2 turns\. These tools were denied: Bash\.$/,
    costUsd: 0.05253,
    ...half
  },
  {
    situation: "max-budget",
    options: { maxBudgetUsd: 0.15 },
    reason: "Failed",
    message: /^Claude Code did not finish within its limit of \$0\.15: it has spent \$0\.22\.$/,
    costUsd: 0.22,
    ...half
  },
  { situation: "401", reason: "Fatal", message: /log in with `claude`.*401 bad key$/, costUsd: 0 },
  {
    situation: "401-again",
    reason: "Fatal",
    message: /ANTHROPIC_API_KEY to a valid key: the API answers 401$/,
    costUsd: 0
  },
  { situation: "not-logged-in", reason: "Fatal", message: /Not logged in · Please run \/login$/, costUsd: 0 },
  { situation: "400", reason: "Permanent", message: /API Error: 400 prompt is wrong$/, costUsd: 0 },
  { situation: "400-later", reason: "Failed", message: /400 image is wrong$/, costUsd: 0.05, output: "looking" },
  { situation: "400-spent", reason: "Fatal", message: /no credit left.*Credit balance is too low$/, costUsd: 0 },
  { situation: "402", reason: "Fatal", message: /no credit left/, costUsd: 0 },
  { situation: "404", reason: "Fatal", message: /cannot use this model/, costUsd: 0 },
  { situation: "429", reason: "Transient", message: /Request rejected \(429\)$/, costUsd: 0 },
  { situation: "529", reason: "Transient", message: /529 Overloaded$/, costUsd: 0 },
  {
    situation: "unreachable",
    reason: "Transient",
    message: /could not be reached: API Error: Connection refused$/,
    costUsd: 0
  },
  { situation: "refusal", reason: "Permanent", message: /^Claude refused: .*flagged/, costUsd: 0.105, output: "I" },
  { situation: "max-output", reason: "Failed", message: /128000 output token maximum$/, costUsd: 0.21, output: "a" },
  { situation: "prompt-too-long", reason: "Permanent", message: /Prompt is too long$/, costUsd: 0 },
  {
    situation: "interrupted",
    reason: "Failed",
    message: /did not finish \(aborted_tools, exit code 0\)/,
    costUsd: 0.05253
  },
  { situation: "terminated", reason: "Failed", message: /was killed by SIGTERM without a result\.$/, costUsd: null },
  { situation: "exit-143", reason: "Failed", message: /exited with code 143 without a result\.$/, costUsd: null },
  { situation: "silent", reason: "Failed", message: /exited with code 0 without a result\.$/, costUsd: null },
  { situation: "garbled", reason: "Failed", message: /exited with code 0 without a result\.$/, costUsd: null },
  { situation: "empty", reason: "Failed", message: /its answer is empty\.$/, costUsd: 0.05253 },
  { situation: "success-but-1", reason: "Failed", message: /\(completed, exit code 1\)/, costUsd: 0.05253 },
  { situation: "success-but-is-error", reason: "Failed", message: /\(completed, exit code 0\)/, costUsd: 0.05253 },
  { situation: "success-but-subtype", reason: "Failed", message: /\(completed, exit code 0\)/, costUsd: 0.05253 },
  { situation: "success-but-model-error", reason: "Failed", message: /\(model_error, exit code 0\)/, costUsd: 0.05253 },
  {
    situation: "ok",
    options: { jsonSchema: { type: "object" } },
    reason: "Failed",
    message: /^Claude Code answered with text instead of JSON that matches the schema/,
    costUsd: 0.05253,
    output: "hello world"
  },
  {
    situation: "bad-option",
    reason: "Fatal",
    message: /rejected its options: error: unknown option '--nonsense'$/,
    costUsd: null
  },
  { situation: "no-input", reason: "Failed", message: /Input must be provided/, costUsd: null }
]

describe("ClaudeCodeExecutor", () => {
  describe("an answer", () => {
    it.live("is the output, with the cost and the session", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const execution = yield* execute(claude.in("ok"))
        assert.strictEqual(execution.output, "hello world")
        assert.deepStrictEqual(execution.usage, {
          inputTokens: 1000,
          outputTokens: 5000,
          cacheReadTokens: 300,
          cacheWriteTokens: 200,
          costUsd: 0.05253
        })
        const { durationMillis, ...metadata } = execution.metadata
        assert.isNumber(durationMillis)
        assert.deepStrictEqual(metadata, {
          sessionId: sessionId(task(), 1),
          model: "claude-sonnet-5-5",
          turns: 1,
          stopReason: "end_turn",
          terminalReason: "completed",
          exitCode: 0,
          signal: null
        })
      })
    )

    it.live("counts all models that took part", () =>
      Effect.gen(function* () {
        const { metadata, usage } = yield* execute((yield* standIn).in("fallback"))
        assert.deepInclude(usage, { inputTokens: 1010, outputTokens: 5001, costUsd: 0.05253 })
        assert.deepStrictEqual(metadata["costUsdByModel"], { "claude-sonnet-5-5": 0.05, "claude-haiku-5-5": 0.00253 })
      })
    )

    it.live("has an unknown cost where a price was guessed or is missing", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const guessed = yield* execute(claude.in("unknown-price"))
        assert.deepInclude(guessed.usage, { outputTokens: 5000, costUsd: null })
        const missing = yield* execute(claude.in("no-prices"))
        assert.deepInclude(missing.usage, { outputTokens: 0, costUsd: null })
      })
    )

    it.live("is the JSON that was asked for", () =>
      Effect.gen(function* () {
        const jsonSchema = { type: "object", properties: { a: { type: "number" } } }
        const { output } = yield* execute((yield* standIn).in("structured", { jsonSchema }))
        assert.strictEqual(output, '{"a":1}')
      })
    )

    it.live("counts after a login that had run out, and after a warning about a limit", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        assert.strictEqual((yield* execute(claude.in("401-once"))).output, "hello world")
        assert.strictEqual((yield* execute(claude.in("limit-warning"))).output, "hello world")
      })
    )
  })

  describe("an ending", () => {
    for (const { costUsd, message, options, output, reason, situation } of table) {
      it.live(`"${situation}" is ${reason}`, () =>
        Effect.gen(function* () {
          const error = yield* failure((yield* standIn).in(situation, options))
          assert.strictEqual(error.reason, reason)
          assert.match(error.message, message)
          assert.strictEqual(error.usage?.costUsd ?? null, costUsd)
          assert.strictEqual(error.usage === undefined, costUsd === null)
          assert.strictEqual(error.output, output)
          assert.property(error.metadata, "exitCode")
        })
      )
    }

    it.live("at a usage limit is waited for when it is short, and pauses the queue when it is long", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const at = (seconds: number) => ({
          env: { STAND_IN_RESETS_AT: String(Math.floor(Date.now() / 1000) + seconds) }
        })
        const short = yield* failure(claude.in("limit", at(120)))
        assert.strictEqual(short.reason, "Transient")
        const seconds = Duration.toSeconds(short.retryAfter ?? 0)
        assert.isTrue(seconds > 60 && seconds <= 120, String(seconds))
        const { env } = at(3600)
        const long = yield* failure(claude.in("limit", { env }))
        assert.strictEqual(long.reason, "RateLimited")
        assert.strictEqual(long.retryAt?.epochMilliseconds, Number(env.STAND_IN_RESETS_AT) * 1000)
        assert.match(long.message, /^The five-hour limit of Claude Code is reached until \d{4}-.*Z\.$/)
      })
    )

    it.live("without the program is Fatal and says how to get it", () =>
      Effect.gen(function* () {
        const error = yield* failure({ program: "/nowhere/claude" })
        assert.strictEqual(error.reason, "Fatal")
        assert.match(
          error.message,
          /the program "\/nowhere\/claude" does not exist\. Install it \(npm install -g @anthropic-ai\/claude-code\)/
        )
      })
    )
  })

  describe("the program", () => {
    it.live("names the model and the system prompt of its task", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const overrides = { model: "haiku", system: "Rhyme." }
        yield* execute(claude.in("ok", { model: "opus", appendSystemPrompt: "Be brief." }), { task: { overrides } })
        const [call] = claude.lines()
        assert.deepInclude(call, {
          args: [
            ...["--model", "haiku", "--append-system-prompt", "Rhyme."],
            ...["--session-id", sessionId(task(), 1), "-p", "--output-format", "stream-json", "--verbose"]
          ]
        })
        const error = yield* failure(claude.in("404"), { task: { overrides } })
        assert.strictEqual(error.reason, "Permanent")
      })
    )

    it.live("gets the prompt on standard input and the options as arguments", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const options: Options = {
          cwd: claude.path,
          model: "opus",
          permissionMode: "acceptEdits",
          allowedTools: ["Edit", "Bash(npm test *)"],
          disallowedTools: ["WebFetch"],
          maxTurns: 7,
          maxBudgetUsd: 0.000001,
          appendSystemPrompt: "--be brief\n",
          bare: true,
          args: ["--effort", "low"]
        }
        const description = "$(touch pwned); `id` --model haiku\n-- \0"
        yield* execute(claude.in("ok", options), { task: { description }, attempt: { attempt: 3 } })
        const [call] = claude.lines()
        assert.deepInclude(call, {
          args: [
            ...["--effort", "low", "--allowedTools", "Edit", "Bash(npm test *)", "--disallowedTools", "WebFetch"],
            ...["--model", "opus", "--permission-mode", "acceptEdits", "--append-system-prompt", "--be brief\n"],
            ...["--max-turns", "7", "--max-budget-usd", "0.000001", "--bare"],
            ...["--session-id", sessionId(task(), 1), "-p", "--output-format", "stream-json", "--verbose"]
          ],
          prompt: description,
          cwd: claude.path,
          BATON_TASK_ID: "task-1",
          BATON_ATTEMPT: "3"
        })
      })
    )

    it.live("gets the previous attempt's output and the reason it was rejected", () =>
      Effect.gen(function* () {
        const previous = { output: "cheap", feedback: "how much?" }
        const { output } = yield* execute((yield* standIn).in("as-asked"), { attempt: { previous } })
        assert.match(output, /^describe it\n[^]*cheap[^]*how much\?/)
      })
    )
  })

  describe("the session of an attempt whose worker died", () => {
    /** The context of the attempt after it. */
    const afterCrash = (outcome: Attempt.AttemptOutcome = "lease_expired") => {
      const crashed: Attempt.Attempt = {
        taskId: task().id,
        number: 1,
        token: Attempt.LeaseToken.make(3),
        owner: "dead",
        startedAt: task().createdAt,
        endedAt: task().createdAt,
        outcome
      }
      return { attempt: 2, leaseToken: Attempt.LeaseToken.make(4), earlierAttempts: Effect.succeed([crashed]) }
    }

    const calls = Schema.decodeUnknownSync(
      Schema.Array(Schema.Struct({ args: Schema.Array(Schema.String), prompt: Schema.String }))
    )
    const sessionFlags = (args: ReadonlyArray<string>) => args.slice(0, args.indexOf("-p"))

    it.live("is continued under a separate id", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const { metadata } = yield* execute(claude.in("ok"), { attempt: afterCrash() })
        assert.deepInclude(metadata, { sessionId: sessionId(task(), 4), resumedFrom: sessionId(task(), 3) })
        const [call] = calls(claude.lines())
        assert.deepStrictEqual(sessionFlags(call?.args ?? []), [
          ...["--resume", sessionId(task(), 3), "--fork-session", "--session-id", sessionId(task(), 4)]
        ])
        assert.match(call?.prompt ?? "", /^This session was interrupted[^]*describe it$/)
      })
    )

    it.live("is replaced by a new one where this machine does not have it", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const options = claude.in("ok", { env: { STAND_IN_FORGETS: "1" } })
        const { metadata, output } = yield* execute(options, { attempt: afterCrash() })
        assert.strictEqual(output, "hello world")
        assert.isUndefined(metadata["resumedFrom"])
        const [, second] = calls(claude.lines())
        assert.deepStrictEqual(sessionFlags(second?.args ?? []), ["--session-id", sessionId(task(), 4)])
        assert.strictEqual(second?.prompt, "describe it")
      })
    )

    it.live("is not continued after an attempt that ended by itself, or where the arguments choose a session", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        yield* execute(claude.in("ok"), { attempt: afterCrash("retried") })
        yield* execute(claude.in("ok", { args: ["--no-session-persistence"] }), { attempt: afterCrash() })
        const [first, second] = calls(claude.lines())
        assert.deepStrictEqual(sessionFlags(first?.args ?? []), ["--session-id", sessionId(task(), 4)])
        assert.deepStrictEqual(sessionFlags(second?.args ?? []), ["--no-session-persistence"])
      })
    )

    it.live("has its id once: a call that is repeated within the attempt gets another", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const twice = Effect.gen(function* () {
          const executor = yield* Executor.Executor
          const call = executor.execute(task(), attempt())
          yield* Effect.flip(call)
          yield* Effect.flip(call)
        })
        const options = claude.in("529")
        yield* twice.pipe(Effect.provide(Layer.provide(ClaudeCodeExecutor.layer(options), NodeServices.layer)))
        const [first, second] = calls(claude.lines())
        assert.deepStrictEqual(sessionFlags(first?.args ?? []), ["--session-id", sessionId(task(), 1)])
        assert.deepStrictEqual(sessionFlags(second?.args ?? []), [])
      })
    )
  })

  describe("its output", () => {
    it.live("is not taken from what an agent or another program prints in the form of a result", () =>
      Effect.gen(function* () {
        const error = yield* failure((yield* standIn).in("lying"))
        assert.match(error.message, /did not finish \(model_error, exit code 1\): the truth\.$/)
        assert.strictEqual(error.usage?.costUsd, 0.05253)
        assert.deepInclude(error.metadata, { unreadableLines: 4 })
      })
    )

    it.live("may be a flood, with lines longer than any that is read", () =>
      Effect.gen(function* () {
        const { metadata, output } = yield* execute((yield* standIn).in("flood"))
        assert.strictEqual(output, "hello world")
        assert.strictEqual(metadata["unreadableLines"], 32 * 1024 + 1)
      })
    )
  })

  it.live("shows Claude's latest text while the session runs", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<ProgressReport>()
      const running = execute((yield* standIn).in("hang"), {
        attempt: { progress: (report) => Effect.asVoid(Deferred.succeed(seen, report)) }
      })
      const report = yield* Effect.raceFirst(Deferred.await(seen), Effect.andThen(running, Effect.die("it has ended")))
      assert.deepStrictEqual(report, { output: "I am at it" })
    })
  )

  describe("stopping", () => {
    it.effect("stops it at the timeout, and knows its cost", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const isRead = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          failure(claude.in("hang", { timeout: "1 hour" }), {
            attempt: { progress: () => Effect.asVoid(Deferred.succeed(isRead, undefined)) }
          })
        )
        yield* TestClock.withLive(until(() => (claude.lines().includes("ready") ? true : undefined)))
        // It may be ready before its output is read and its time runs.
        yield* TestClock.adjust("1 second").pipe(
          Effect.andThen(TestClock.withLive(Effect.sleep("20 millis"))),
          Effect.andThen(Deferred.isDone(isRead)),
          Effect.repeat({ until: (is) => is })
        )
        yield* TestClock.adjust("1 hour")
        const error = yield* Fiber.join(fiber)
        assert.strictEqual(error.reason, "TimedOut")
        assert.strictEqual(error.message, "Claude Code took longer than 1h and was stopped.")
        assert.strictEqual(error.usage?.costUsd, 0.00255)
        assert.strictEqual(error.output, "I am at it")
        assert.deepInclude(error.metadata, { terminalReason: "aborted_streaming", exitCode: 0 })
      })
    )

    it.live("commits what an interrupted session cost", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const { context, spent } = ledger()
        const fiber = yield* Effect.forkChild(execute(claude.in("hang"), { attempt: context }))
        yield* until(() => (claude.lines().includes("ready") ? true : undefined))
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(spent[0]?.costUsd, 0.00255)
      })
    )

    it.effect("sends SIGINT, and five seconds later SIGTERM", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const { context, spent } = ledger()
        const saw = (line: string) =>
          TestClock.withLive(until(() => (claude.lines().includes(line) ? true : undefined)))
        const fiber = yield* Effect.forkChild(
          failure(claude.in("hang-deaf", { idleTimeout: "1 minute" }), { attempt: context })
        )
        yield* saw("ready")
        yield* TestClock.adjust("1 minute")
        yield* saw("SIGINT")
        yield* TestClock.adjust("4999 millis")
        assert.notInclude(claude.lines(), "SIGTERM")
        yield* TestClock.adjust("1 millis")
        yield* saw("SIGTERM")
        const error = yield* Fiber.join(fiber)
        assert.match(error.message, /printed nothing for 1m and was stopped/)
        assert.deepInclude(error.metadata, { exitCode: 143 })
        assert.deepStrictEqual(spent, [undefined])
      })
    )

    it.effect("kills one that ignores both, and the child that it has", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const saw = (line: string) =>
          TestClock.withLive(until(() => (claude.lines().includes(line) ? true : undefined)))
        const fiber = yield* Effect.forkChild(failure(claude.in("hang-for-good", { timeout: "1 hour" })))
        const pids = yield* TestClock.withLive(untilPids(claude.pids, 2))
        yield* TestClock.adjust("1 hour")
        yield* saw("SIGINT")
        yield* TestClock.adjust("5 seconds")
        yield* saw("SIGTERM")
        assert.deepStrictEqual(pids.map(isAlive), [true, true])
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(fiber)
        assert.deepInclude(error.metadata, { signal: "SIGKILL" })
        yield* TestClock.withLive(Effect.forEach(pids, untilGone))
      })
    )
  })

  describe("a budget", () => {
    it.live("has half as much again set aside, and then the most that a session went over", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const { context, reserved } = ledger()
        const layer = ClaudeCodeExecutor.layer(claude.in("max-budget", { maxBudgetUsd: 0.1 }))
        yield* Effect.gen(function* () {
          const executor = yield* Executor.Executor
          yield* Effect.flip(executor.execute(task(), attempt(context)))
          yield* Effect.flip(executor.execute(task(), attempt(context)))
        }).pipe(Effect.provide(Layer.provide(layer, NodeServices.layer)))
        assert.deepStrictEqual(
          reserved.map(({ costUsd }) => costUsd?.toFixed(6)),
          ["0.150000", "0.220000"]
        )
      })
    )

    it.live("refuses a session without its own limit, and names the option", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const { reason } = yield* run(claude.in("ok"), 1)
        assert.strictEqual(
          reason,
          'The price of Claude Code without "maxBudgetUsd" is unknown, so a budget in USD cannot hold. Give its price, or drop the budget.'
        )
        assert.deepStrictEqual(claude.lines(), [])
      })
    )

    it.live("holds while several sessions run", () =>
      Effect.gen(function* () {
        const claude = yield* standIn
        const { completed, costUsd, reason } = yield* run(claude.in("ok", { maxBudgetUsd: 0.06 }), 0.3)
        assert.isAtMost(costUsd ?? Infinity, 0.3)
        assert.isAbove(completed, 2)
        assert.match(reason, /the next call \(Claude Code\) can cost up to \$0\.09/)
      })
    )
  })
})

/** Ten tasks, four at a time, under a budget. */
const run = (options: Options, maxCostUsd: number) =>
  Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add(Array.from({ length: 10 }, (_, n) => Task.makeNew({ id: `t${n}`, description: "do it" })))
    const { reason, stats } = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
    return {
      completed: stats.tasksCompleted,
      costUsd: stats.usage?.costUsd,
      reason: "message" in reason ? reason.message : reason._tag
    }
  }).pipe(
    Effect.provide(
      Orchestrator.layer({ concurrency: 4 }).pipe(
        Layer.provide([ClaudeCodeExecutor.layer(options), Verifier.layerNone, Safety.layerBudget({ maxCostUsd })]),
        Layer.provideMerge(TaskStore.layerMemory),
        Layer.provide(NodeServices.layer)
      )
    )
  )
