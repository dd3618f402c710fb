import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { reply as claudeReply } from "../../../adapters/test/claude/server/Answer.ts"
import * as Claude from "../../../adapters/test/claude/server/server.ts"
import { mock } from "../../../adapters/test/openai/aimock.ts"
import { error, make, reply } from "../../../adapters/test/openai/server.ts"
import { Plan } from "../../src/view/plan.ts"
import { RunSummary } from "../../src/view/summary.ts"
import { baton, file, test } from "./harness.ts"

const key = "sk-not-a-real-key"
const openai = ["--executor", "openai", "--no-verify"] as const

/** Runs a command line with an OpenAI-compatible server, whose URL replaces `URL` in it. */
const withServer = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: {
    readonly env?: Record<string, string>
    readonly models?: ReadonlyArray<string>
    readonly script?: Parameters<Effect.Success<ReturnType<typeof make>>["script"]>[0]
  } = {}
) {
  const server = yield* make(options.models === undefined ? {} : { models: options.models })
  if (options.script !== undefined) server.script(options.script)
  const env = { OPENAI_API_KEY: key, OPENAI_BASE_URL: server.url, BATON_NO_CACHE: "true", ...options.env }
  const ended = yield* baton(
    args.map((arg) => (arg === "URL" ? server.url : arg)),
    { env }
  )
  assert.notInclude(ended.stderr + ended.stdout, key)
  return { ...ended, server }
})

/** Fails with this message before anything is sent. */
const refused = (args: ReadonlyArray<string>, expected: string | RegExp, options?: Parameters<typeof withServer>[1]) =>
  Effect.gen(function* () {
    const tasks = yield* file("tasks.txt", "one", "two")
    const { exitCode, server, stderr } = yield* withServer(["run", tasks, ...args], options)
    assert.strictEqual(exitCode, 1, stderr)
    if (typeof expected === "string") assert.include(stderr, expected)
    else assert.match(stderr, expected)
    assert.lengthOf(server.seen, 0)
    assert.strictEqual((yield* TaskStore.TaskStore.use((store) => store.counts)).pending, 0)
  })

describe("before anything is sent to an OpenAI-compatible server", () => {
  test("no model", refused(openai, "--executor openai needs the name of a model of the server. Add --model MODEL."))
  test(
    "no model for the judge",
    refused(["--executor", "fake", "--verifier", "openai"], "--verifier openai needs the name of a model")
  )
  test(
    "no key for OpenAI's API",
    refused([...openai, "--model", "x"], "There is no key for OpenAI's API. Set OPENAI_API_KEY, or give the URL", {
      env: { OPENAI_API_KEY: " ", OPENAI_BASE_URL: "" }
    })
  )
  test(
    "a budget for a model without a price",
    refused(
      [...openai, "--model", "gpt-x", "--max-cost", "1"],
      "--max-cost needs the price of gpt-x, which is unknown. Set it in USD per million tokens with --price gpt-x=INPUT,OUTPUT"
    )
  )
  test(
    "a fallback model that the server does not have",
    refused(
      [...openai, "--model", "some", "--fallback-model", "none"],
      "The model none does not exist, or the key has no access to it. Choose another one with --fallback-model.",
      { models: ["some"] }
    )
  )
  test(
    "a model that the server does not have",
    refused([...openai, "--model", "none"], "The model none does not exist", { models: ["some"] })
  )
  test(
    "a limit per task below one request",
    refused(
      [...openai, "--model", "gpt-x", "--price", "gpt-x=2,10", "--max-cost-per-task", "0.01"],
      /one request to gpt-x can cost \$0\.0/
    )
  )
  test(
    "--base-url without openai",
    refused(["--exec", "cat", "--no-verify", "--base-url", "URL"], "--base-url only works with --executor openai")
  )
  test("--batch", refused([...openai, "--model", "x", "--batch"], "--batch only works with --executor claude"))

  test(
    "a server that is not running",
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(make())
      const tasks = yield* file("tasks.txt", "one")
      const args = ["run", tasks, ...openai, "--model", "x", "--base-url", url]
      const fiber = yield* Effect.forkChild(withServer(args))
      // The check is repeated a few times, because most failures of a network are short.
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      const { exitCode, stderr } = yield* Fiber.join(fiber)
      assert.strictEqual(exitCode, 1)
      assert.match(stderr, /is the server running at http:\/\/127\.0\.0\.1:\d+\/v1\? Check --base-url/)
    })
  )
})

describe("a record's own settings", () => {
  test(
    "are its model, its instructions and its conversation",
    Effect.gen(function* () {
      const messages = [{ role: "user", content: "Why?" }]
      const tasks = yield* file(
        "tasks.jsonl",
        JSON.stringify({ id: "a", messages, model: "other", system: "Be brief." }),
        JSON.stringify({ id: "b", description: "How?" })
      )
      const { exitCode, server, stderr } = yield* withServer(["run", tasks, ...openai, "--model", "gpt-x", "-j", "1"])
      assert.strictEqual(exitCode, 0, stderr)
      assert.deepStrictEqual(
        server.seen.map(({ body: { messages, model } }) => ({ messages, model })),
        [
          { model: "other", messages: [{ role: "system", content: "Be brief." }, ...messages] },
          { model: "gpt-x", messages: [{ role: "user", content: "How?" }] }
        ]
      )
    })
  )

  test(
    "are refused with the line of a file that is missing",
    Effect.gen(function* () {
      const image = (path: string) => ({ messages: [{ role: "user", content: [{ type: "image", path }] }] })
      const photo = yield* file("photo.png", "pixels")
      const tasks = yield* file("tasks.jsonl", JSON.stringify(image(photo)), JSON.stringify(image("nowhere.png")))
      const { exitCode, server, stderr } = yield* withServer(["run", tasks, ...openai, "--model", "gpt-x"])
      assert.strictEqual(exitCode, 1)
      assert.match(stderr, /tasks\.jsonl:2: the file "nowhere\.png" does not exist in /)
      assert.lengthOf(server.seen, 0)
    })
  )
})

describe("a run on an OpenAI-compatible server", () => {
  test(
    "asks the fallback model when the first one refuses",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const args = ["run", tasks, ...openai, "--model", "gpt-x", "--fallback-model", "gpt-y, gpt-z", "--json"]
      const { exitCode, stderr, stdout } = yield* withServer(args, {
        script: ({ model }) => (model === "gpt-z" ? reply("Yes.") : reply("", { finishReason: "content_filter" }))
      })
      assert.strictEqual(exitCode, 0, stderr)
      assert.deepStrictEqual(
        decodeSummary(stdout).models.map(({ model, requests }) => [model, requests]),
        [
          ["gpt-x", 1],
          ["gpt-y", 1],
          ["gpt-z", 1]
        ]
      )
    })
  )

  test(
    "works without a key, at no cost for a model that is free",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const args = ["run", tasks, ...openai, "--model", "qwen", "--price", "qwen=0,0", "--max-cost", "0.01", "--json"]
      const { exitCode, server, stderr, stdout } = yield* withServer([...args, "--base-url", "URL"], {
        env: { OPENAI_API_KEY: "", OPENAI_BASE_URL: "" }
      })
      assert.strictEqual(exitCode, 0, stderr)
      assert.strictEqual(decodeSummary(stdout).stats.usage?.costUsd, 0)
      assert.strictEqual(server.seen[0]?.authorization, "Bearer none")
    })
  )

  test(
    "is judged by another model of the server, and shows what each of them cost",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const verdict = { reasoning: "Fine.", passed: true, confidence: 0.9, feedback: "", issues: [] }
      const { exitCode, stderr, stdout } = yield* withServer(
        [
          ...[
            "run",
            tasks,
            "--executor",
            "openai",
            "--model",
            "gpt-x",
            "--verifier",
            "openai",
            "--judge-model",
            "gpt-y"
          ],
          ...["--price", "gpt-x=2,10", "--price", "gpt-y=1,1", "--json"]
        ],
        { script: ({ model }) => reply(model === "gpt-y" ? JSON.stringify(verdict) : "Done.") }
      )
      assert.strictEqual(exitCode, 0, stderr)
      const { models, stats } = decodeSummary(stdout)
      assert.deepStrictEqual(
        models.map(({ model, usage }) => [model, usage.costUsd?.toFixed(6)]),
        [
          ["gpt-x", "0.000700"],
          ["gpt-y", "0.000150"]
        ]
      )
      assert.closeTo(stats.usage?.costUsd ?? NaN, 0.00085, 1e-9)
    })
  )

  test(
    "stops without credit, with a sentence",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const { exitCode, stderr } = yield* withServer(["run", tasks, ...openai, "--model", "x"], {
        script: () => error(429, { code: "insufficient_quota", message: "You exceeded your current quota" })
      })
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, "The account has no credit left")
    })
  )

  test(
    "can be planned",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const args = ["plan", tasks, ...openai, "--model", "gpt-x", "--price", "gpt-x=2,10", "--json"]
      const { exitCode, stderr, stdout } = yield* withServer(args)
      assert.strictEqual(exitCode, 0, stderr)
      const { estimate } = decodePlan(stdout)
      assert.isAbove(estimate?.costUsd?.expected ?? 0, 0)
      assert.strictEqual(estimate?.inputBasis, "guessed")
      assert.isNull(estimate?.batchCostUsd)
    })
  )

  test(
    "can be checked by doctor",
    Effect.gen(function* () {
      const args = ["doctor", "--executor", "openai", "--model", "gpt-x"]
      const found = yield* withServer(args)
      assert.match(found.stdout, /There is a key for http:\/\/127\.0\.0\.1:\d+\/v1\./)
      assert.include(found.stdout, "gpt-x is available")
      const missing = yield* withServer(args, { models: ["other"] })
      assert.include(missing.stdout, "The model gpt-x does not exist")
    })
  )
})

describe("the same list of 80 rows", () => {
  const rows = Array.from(
    { length: 80 },
    (_, index) => `t${index},"Ticket ${index}: it ${"really ".repeat(index % 7)}broke"`
  )
  const schema =
    '{"type":"object","properties":{"topic":{"type":"string"},"urgent":{"type":"boolean"}},"required":["topic","urgent"]}'
  const answer = JSON.stringify({ topic: "bug", urgent: true })
  const list = Effect.gen(function* () {
    const tickets = yield* file("tickets.csv", "id,text", ...rows)
    const columns = yield* file("schema.json", schema)
    return [
      "run",
      tickets,
      "--template",
      "Sort {{text}}",
      "--no-verify",
      "--output-schema",
      columns,
      "-j",
      "16",
      "--json"
    ]
  })
  const checked = Effect.fnUntraced(function* (
    { exitCode, stderr, stdout }: Effect.Success<ReturnType<typeof baton>>,
    costUsd: number
  ) {
    assert.strictEqual(exitCode, 0, stderr)
    const { counts, stats } = decodeSummary(stdout)
    assert.strictEqual(counts.completed, 80)
    assert.closeTo(stats.usage?.costUsd ?? NaN, costUsd, 1e-6)
    const csv = yield* baton(["export", "--format", "csv"])
    assert.match(csv.stdout, /^[^\n]*topic[^\n]*urgent/)
    assert.lengthOf(csv.stdout.trimEnd().split("\n"), 81)
  })

  test(
    "costs what Claude's API bills, with a column for each field",
    Effect.gen(function* () {
      const server = yield* Claude.make({ script: () => claudeReply(answer) })
      const env = { ANTHROPIC_API_KEY: "sk-ant-x", ANTHROPIC_BASE_URL: server.url, BATON_NO_CACHE: "true" }
      const args = [...(yield* list), "--executor", "claude", "--model", "claude-haiku-5-5", "--max-cost", "2"]
      const ended = yield* baton(args, { env })
      yield* checked(ended, decodeSummary(ended.stdout).stats.usage?.costUsd ?? NaN)
      assert.isAbove(decodeSummary(ended.stdout).stats.usage?.costUsd ?? 0, 0)
    })
  )

  test(
    "costs what an OpenAI-compatible server bills",
    Effect.gen(function* () {
      const args = [
        ...(yield* list),
        "--executor",
        "openai",
        "--model",
        "gpt-x",
        "--price",
        "gpt-x=2,10",
        "--max-cost",
        "2"
      ]
      yield* checked(yield* withServer(args, { script: () => reply(answer) }), (80 * (100 * 2 + 50 * 10)) / 1e6)
    })
  )

  test(
    "costs what a server that others wrote reports, and stops at the budget of the queue",
    Effect.gen(function* () {
      const server = yield* mock
      server.onMessage(/^Sort/, { content: answer, usage: { prompt_tokens: 100, completion_tokens: 50 } })
      const env = { OPENAI_API_KEY: key, OPENAI_BASE_URL: `${server.url}/v1`, BATON_NO_CACHE: "true" }
      const args = [...(yield* list), "--executor", "openai", "--model", "gpt-x", "--price", "gpt-x=2,10"]
      const short = yield* baton([...args, "--max-cost", "0.04", "--max-output-tokens", "500"], { env })
      assert.strictEqual(short.exitCode, 3, short.stderr)
      const { costUsd } = decodeSummary(short.stdout).stats.usage ?? {}
      assert.isAtMost(costUsd ?? NaN, 0.04)
      assert.isAtLeast(costUsd ?? NaN, 0.038)
      const rest = yield* baton([...args, "--max-cost", "1"], { env })
      assert.strictEqual(rest.exitCode, 0, rest.stderr)
      assert.strictEqual(decodeSummary(rest.stdout).counts.completed, 80)
      assert.lengthOf(server.getRequests(), 80)
      const { tasks } = yield* TaskStore.TaskStore.use((store) => store.list({ limit: 80 }))
      const cost = tasks.reduce((sum, { usage }) => sum + (usage?.costUsd ?? NaN), 0)
      assert.closeTo(cost, (80 * (100 * 2 + 50 * 10)) / 1e6, 1e-9)
    })
  )

  test(
    "costs nothing on a stand-in for Ollama",
    Effect.gen(function* () {
      const args = [...(yield* list), "--executor", "openai", "--model", "qwen3:8b", "--price", "qwen3:8b=0,0"]
      const ended = yield* withServer([...args, "--max-cost", "0.01", "--base-url", "URL"], {
        env: { OPENAI_API_KEY: "", OPENAI_BASE_URL: "" },
        script: () => reply(answer)
      })
      yield* checked(ended, 0)
    })
  )
})

const decodeSummary = Schema.decodeUnknownSync(Schema.fromJsonString(RunSummary))
const decodePlan = Schema.decodeUnknownSync(Schema.fromJsonString(Plan))
