import { OptionalKey, StopReason, Usage } from "@baton/core"
import { createServer } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type Answer, reply } from "../../../adapters/test/claude/server/Answer.ts"
import { chaos } from "../../../adapters/test/claude/server/chaos.ts"
import { lastText } from "../../../adapters/test/claude/server/message.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { Plan } from "../../src/view/plan.ts"
import { RunSummary } from "../../src/view/summary.ts"
import { baton, folder, start } from "./baton.ts"

/** Rows with quoted fields, commas and line breaks; each prompt contains the row's id. */
const csv = (rows: number): string =>
  [
    "id,summary,description",
    ...Array.from(
      { length: rows },
      (_, index) =>
        `p${index},"Package ${index}, in short","Number ${index} is a ""package"",\nwhich does one thing${" and another".repeat(index % 9)}."`
    )
  ].join("\n")

const template = ["--template", "Summarise {{id}}: {{description}}"]
const both = ["--executor", "claude", "--verifier", "claude", "--retry-delay", "10ms"]

const verdict = (passed: boolean, feedback = ""): Answer =>
  reply(JSON.stringify({ reasoning: "Looked at it.", passed, confidence: 0.9, feedback, issues: [] }))

const isJudge = (body: unknown): boolean => JSON.stringify(body).includes("json_schema")

/** Answers each task with a summary and accepts every summary. */
const summaries = ({ body }: { readonly body: unknown }): Answer =>
  isJudge(body) ? verdict(true) : reply("The package does exactly what its description says.")

const idOf = (body: unknown): string => /Summarise (p\d+):/.exec(lastText(body))?.[1] ?? ""

const setUp = Effect.fnUntraced(function* (rows: number, options?: Server.Options) {
  const dir = yield* folder
  dir.write("packages.csv", csv(rows))
  const server = yield* Server.make({ script: summaries, ...options })
  const env = { ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_BASE_URL: server.url }
  return {
    server,
    env,
    path: dir.path,
    baton: (...args: ReadonlyArray<string>) => baton(dir.path, args, env),
    start: (...args: ReadonlyArray<string>) => start(dir.path, args, env)
  }
})

const decodeSummary = Schema.decodeUnknownSync(Schema.fromJsonString(RunSummary))
const decodeVerdicts = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      passed: Schema.Int,
      rejected: Schema.Array(Schema.Struct({ id: Schema.String, feedback: Schema.String })),
      reason: StopReason.StopReason,
      usage: OptionalKey.optionalNullOr(Usage.Usage)
    })
  )
)
const decodePlan = Schema.decodeUnknownSync(Schema.fromJsonString(Plan))

describe("a list on Claude", () => {
  it.live(
    "completes and is judged within its budget, with cost, tokens and model of each task, at the planned cost",
    () =>
      Effect.gen(function* () {
        const { baton } = yield* setUp(30)
        const args = ["packages.csv", ...template, ...both, "--max-cost", "1", "-j", "32", "--json"]
        const planned = yield* baton("plan", ...args)
        const { estimate, tasks } = decodePlan(planned.stdout)
        assert.strictEqual(tasks.new, 30)
        const run = yield* baton("run", ...args)
        assert.strictEqual(run.code, 0, run.stderr)
        const { counts, models, stats } = decodeSummary(run.stdout)
        assert.strictEqual(counts.completed, 30)
        const cost = stats.usage?.costUsd ?? NaN
        assert.isAtMost(cost, 1)
        assert.isAtLeast(cost, estimate?.costUsd?.low ?? NaN)
        assert.isAtMost(cost, estimate?.costUsd?.worst ?? NaN)
        assert.deepStrictEqual(
          models.map(({ model, requests }) => [model, requests]),
          [
            ["claude-sonnet-5-5", 30],
            ["claude-haiku-5-5", 30]
          ]
        )
        const { stdout } = yield* baton("export", "--format", "csv")
        const [header = "", ...rows] = stdout.trimEnd().split("\r\n")
        // The columns of results and of the source follow.
        assert.match(header, /,models,summary,source\.description$/)
        assert.strictEqual(rows.length, 30)
        for (const row of rows) assert.match(row, /,(0\.\d+),\1,claude-sonnet-5-5 claude-haiku-5-5,/)
        assert.include((yield* baton("list")).stdout.split("\n")[0], "COST")
        assert.match((yield* baton("status")).stdout, /\nUsed {2}[\d,]+ tokens \(.*\), \$\d/)
      })
  )

  it.live("completes although one in five requests fails or is cut off, and reports the uncertain cost", () =>
    Effect.gen(function* () {
      const { baton } = yield* setUp(60, {
        script: chaos({ rateLimited: 0.07, failing: 0.07, dropped: 0.06, seed: 7 }, summaries)
      })
      const run = yield* baton("run", "packages.csv", ...template, ...both, "--max-cost", "20", "-j", "32", "--json")
      assert.strictEqual(run.code, 0, run.stderr)
      const { counts, stats } = decodeSummary(run.stdout)
      assert.strictEqual(counts.completed, 60)
      // Some responses were cut off, so only bounds of their cost are known.
      assert.isNull(stats.usage?.costUsd)
      assert.isAbove(stats.usage?.bounds?.minUsd ?? 0, 0)
      assert.isAtMost(stats.usage?.bounds?.maxUsd ?? Infinity, 20)
      assert.match(run.stderr, /used +[\d,]+ tokens \(.*\), \$[\d.]+ to \$[\d.]+\n/)
    })
  )

  it.live("is judged again by baton verify, within a budget, and without executing anything", () =>
    Effect.gen(function* () {
      const { baton } = yield* setUp(20, {
        script: ({ body }) =>
          isJudge(body) ? verdict(!/Number 7 is/.test(JSON.stringify(body)), "names no price") : reply("A summary.")
      })
      yield* baton("run", "packages.csv", ...template, "--executor", "claude", "--no-verify")
      const verify = ["verify", "--verifier", "claude", "--json", "-j", "1"]
      const { code, stderr, stdout } = yield* baton(...verify, "--max-cost-per-run", "1")
      assert.strictEqual(code, 2, stderr)
      const { passed, reason, rejected, usage } = decodeVerdicts(stdout)
      assert.strictEqual(reason._tag, "Drained")
      assert.strictEqual(passed, 19)
      assert.deepStrictEqual(rejected, [{ id: "p7", feedback: "names no price" }])
      assert.isAbove(usage?.costUsd ?? 0, 0)
      const limited = yield* baton(...verify, "--max-cost-per-run", "0.000001", "--no-cache")
      assert.strictEqual(limited.code, 3, limited.stderr)
      assert.include(limited.stderr, "Stopped: ")
    })
  )

  it.live("after a kill and a restart, repeats no request that was answered", () =>
    Effect.gen(function* () {
      const gate = Promise.withResolvers<void>()
      let executions = 0
      const { server, start, baton } = yield* setUp(60, {
        script: (request) => {
          if (isJudge(request.body)) return summaries(request)
          // The other requests are unanswered when the process is killed.
          return ++executions <= 30 ? summaries(request) : { ...reply("Late."), before: gate.promise }
        }
      })
      const work = () => server.messages().filter(({ body }) => !isJudge(body))
      // Longer than a process waits for a busy machine: when a lease ends, its task is executed again.
      const args = ["run", "packages.csv", ...template, ...both, "-j", "16", "--lease", "10s"]
      const completed = yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* start(...args, "--output", "ndjson")
          const ids: Array<string> = []
          while (ids.length < 30) ids.push((yield* first.event("TaskCompleted")).taskId ?? "")
          yield* Effect.promise(() => server.until(() => work().length === 46))
          yield* first.kill("SIGKILL")
          yield* first.ended
          return ids
        })
      )
      gate.resolve()
      const second = yield* baton(...args, "--json")
      assert.strictEqual(second.code, 0, second.stderr)
      assert.strictEqual(decodeSummary(second.stdout).counts.completed, 60)
      const asked = work()
      for (const id of completed) {
        assert.strictEqual(asked.filter(({ body }) => idOf(body) === id).length, 1, id)
      }
      // Only the requests that were cut off are repeated.
      assert.isAtMost(asked.length, 60 + 16)
    })
  )

  it.live("stops before its budget is exceeded with exit code 3, and resumes with a larger one", () =>
    Effect.gen(function* () {
      const { baton, server } = yield* setUp(60)
      const args = ["run", "packages.csv", ...template, ...both, "-j", "32", "--max-output-tokens", "300", "--json"]
      const stopped = yield* baton(...args, "--max-cost", "0.01")
      assert.strictEqual(stopped.code, 3, stopped.stderr)
      assert.include(stopped.stderr, "is used up")
      const first = decodeSummary(stopped.stdout)
      assert.isAbove(first.stats.usage?.costUsd ?? 0, 0)
      assert.isAtMost(first.stats.usage?.costUsd ?? Infinity, 0.01)
      assert.isAbove(first.counts.completed, 0)
      assert.strictEqual(first.counts.completed + first.counts.pending, 60)
      const answered = server.messages().length
      const raised = yield* baton(...args, "--max-cost", "5")
      assert.strictEqual(raised.code, 0, raised.stderr)
      assert.strictEqual(decodeSummary(raised.stdout).counts.completed, 60)
      // No paid request is repeated.
      assert.strictEqual(server.messages().length, 120)
      assert.isBelow(answered, 120)
    })
  )

  it.live("fails a task whose attempts would exceed their budget, and names the flag", () =>
    Effect.gen(function* () {
      const { baton } = yield* setUp(3, {
        script: (request) =>
          isJudge(request.body) ? verdict(!lastText(request.body).includes("p1:"), "Say more.") : summaries(request)
      })
      const limit = ["--max-cost-per-task", "0.003", "--max-output-tokens", "100", "--max-attempts", "20"]
      const run = yield* baton("run", "packages.csv", ...template, ...both, ...limit, "--no-cache")
      assert.strictEqual(run.code, 2, run.stderr)
      assert.include(run.stderr, "2 of 3 tasks completed")
      const { stdout } = yield* baton("show", "p1")
      assert.match(stdout, /The task may cost \$0\.0030?, earlier attempts have cost \$0\.00\d+, and the next call/)
      assert.include(stdout, "--max-cost-per-task")
    })
  )

  it.live("passes the judge's feedback to the next attempt and shows both", () =>
    Effect.gen(function* () {
      let verdicts = 0
      const { baton, server } = yield* setUp(1, {
        script: ({ body }) =>
          isJudge(body)
            ? verdict(++verdicts > 1, "Name the package.")
            : reply(verdicts === 0 ? "It is nice." : "p0 is.")
      })
      const run = yield* baton("run", "packages.csv", ...template, ...both)
      assert.strictEqual(run.code, 0, run.stderr)
      const [first, second] = server.messages().filter(({ body }) => !isJudge(body))
      assert.notInclude(lastText(first?.body), "Name the package.")
      assert.include(lastText(second?.body), "It is nice.")
      assert.include(lastText(second?.body), "Name the package.")
      const { stdout } = yield* baton("show", "p0")
      assert.match(stdout, /#1 retried/)
      assert.match(stdout, /#2 completed/)
      assert.match(stdout, /Judge: claude-haiku-5-5, \d+ tokens .* of the total/)
    })
  )

  it.live("fails before anything is added if the API cannot be reached", () =>
    Effect.gen(function* () {
      const { path } = yield* setUp(2)
      const env = { ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_BASE_URL: "http://127.0.0.1:9" }
      const run = yield* baton(path, ["run", "packages.csv", ...template, ...both], env)
      assert.strictEqual(run.code, 1)
      assert.match(run.stderr, /^error: The connection to 127\.0\.0\.1:9 failed.* Check ANTHROPIC_BASE_URL/)
    })
  )
})

describe("with a third-party server", () => {
  const usage = { input_tokens: 100, output_tokens: 20 }
  const verdict = { reasoning: "r", passed: true, confidence: 1, feedback: "", issues: [] }
  const answers: Parameters<typeof createServer>[0] = [
    { match: { userMessage: /key of this request/ }, response: { content: JSON.stringify(verdict), usage } },
    { match: { userMessage: /Summarise/ }, response: { content: "A package.", usage } }
  ]
  const aimock = Effect.acquireRelease(
    Effect.promise(async () => {
      const mock = await createServer(answers, { port: 0 })
      // A request on a connection that the server ends in this moment may have been answered, so its cost is unknown. A client that
      // waits for a busy machine does not end the connection first.
      mock.server.keepAliveTimeout = 60_000
      return mock
    }),
    ({ server }) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )

  it.live("a list completes, even if the server does not support models and prices", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("packages.csv", csv(20))
      const mock = yield* aimock
      const env = { ANTHROPIC_API_KEY: "any", ANTHROPIC_BASE_URL: mock.url }
      const args = ["run", "packages.csv", ...template, ...both, "--model", "my-model", "--price", "my-model=2,10"]
      const run = yield* baton(dir.path, [...args, "--max-cost", "5", "-j", "8", "--json"], env)
      assert.strictEqual(run.code, 0, run.stderr)
      const { counts, stats } = decodeSummary(run.stdout)
      assert.strictEqual(counts.completed, 20)
      assert.strictEqual(mock.journal.getAll().length, 40, run.stderr)
      const cost = (20 * (100 * 2 + 20 * 10 + 100 * 0.1 + 20 * 0.5)) / 1e6
      assert.closeTo(stats.usage?.costUsd ?? 0, cost, 1e-9, run.stderr)
    })
  )
})
