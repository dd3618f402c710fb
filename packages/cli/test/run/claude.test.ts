import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { error, reply } from "../../../adapters/test/claude/server/Answer.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { Plan } from "../../src/view/plan.ts"
import { RunSummary } from "../../src/view/summary.ts"
import { add } from "../commands/harness.ts"
import { baton, file, test } from "./harness.ts"

const key = "sk-ant-not-a-real-key"
const claude = ["--executor", "claude", "--no-verify"] as const

/** Runs a command line with a fake Claude API, and checks that it receives `requests` messages. */
const withServer = Effect.fnUntraced(function* (
  args: ReadonlyArray<string>,
  options: { readonly env?: Record<string, string>; readonly server?: Server.Options } = {}
) {
  const server = yield* Server.make({ apiKey: key, ...options.server })
  const env = { ANTHROPIC_API_KEY: key, ANTHROPIC_BASE_URL: server.url, BATON_NO_CACHE: "true", ...options.env }
  const ended = yield* baton(args, { env })
  assert.notInclude(ended.stderr + ended.stdout, key)
  return { ...ended, server }
})

/** Fails with this message before anything is sent or added. */
const refused = (
  args: ReadonlyArray<string>,
  expected: string | RegExp,
  options?: { readonly env?: Record<string, string> }
) =>
  Effect.gen(function* () {
    const tasks = yield* file("tasks.txt", "one", "two")
    const { exitCode, server, stderr } = yield* withServer(["run", tasks, ...args], options)
    assert.strictEqual(exitCode, 1, stderr)
    assert.strictEqual(stderr.trimEnd().split("\n").length, stderr.includes("Try `baton") ? 2 : 1)
    if (typeof expected === "string") assert.include(stderr, expected)
    else assert.match(stderr, expected)
    assert.strictEqual(server.messages().length, 0)
    assert.strictEqual((yield* TaskStore.TaskStore.use((store) => store.counts)).pending, 0)
  })

describe("before anything is spent", () => {
  test(
    "no key",
    refused(
      claude,
      "error: There is no key for Claude's API. Get one at console.anthropic.com and set ANTHROPIC_API_KEY",
      {
        env: { ANTHROPIC_API_KEY: " " }
      }
    )
  )
  test("a wrong key", refused(claude, /^error: .*key/i, { env: { ANTHROPIC_API_KEY: "sk-wrong" } }))
  test(
    "a model that does not exist",
    refused(
      [...claude, "--model", "claude-none"],
      "The model claude-none does not exist, or the key has no access to it. Choose another one with --model."
    )
  )
  test(
    "a judge that does not exist",
    refused(
      ["--executor", "fake", "--verifier", "claude", "--judge-model", "claude-none"],
      "The model claude-none does not exist, or the key has no access to it. Choose another one with --judge-model."
    )
  )
  test(
    "a model that was retired, with the day",
    refused(
      [...claude, "--model", "claude-sonnet-4"],
      "The model claude-sonnet-4 was retired on 2026-06-15. Choose another one with --model."
    )
  )
  test(
    "a search of the web by another API",
    refused(
      ["--executor", "openai", "--model", "m", "--no-verify", "--web-search", "3"],
      "--web-search only works with --executor claude, because Claude's API runs this tool."
    )
  )
  test("a budget of zero", refused([...claude, "--max-cost", "0"], '--max-cost is "0": it takes an amount'))
  test(
    "a budget for a model whose price is unknown, with the flag that gives it",
    refused(
      [...claude, "--model", "my-model", "--max-cost", "1"],
      "--max-cost needs the price of my-model, which is unknown. Set it in USD per million tokens with --price my-model=INPUT,OUTPUT"
    )
  )
  test(
    "a limit per task for a model whose price is unknown",
    refused([...claude, "--model", "my-model", "--max-cost-per-task", "1"], "--price my-model=INPUT,OUTPUT")
  )
  test(
    "a limit per task that is below the cost of one request",
    refused(
      [...claude, "--max-cost-per-task", "0.01"],
      /^error: --max-cost-per-task is \$0\.0100, but one request to claude-sonnet-5-5 can cost \$0\.09\d+\. Raise it, or lower --max-output-tokens\.$/m
    )
  )
  test(
    "a limit per task that is below the cost of a request of the judge",
    refused(
      ["--executor", "fake", "--verifier", "claude", "--max-cost-per-task", "0.0001"],
      /^error: --max-cost-per-task is \$0\.0001, but one request to claude-haiku-5-5 can cost \$0\.00\d+\. Raise it\.$/m
    )
  )
  test(
    "a limit per task in tokens that is below one request",
    refused(
      [...claude, "--max-tokens-per-task", "8000"],
      /^error: --max-tokens-per-task is 8,000, but one request to claude-sonnet-5-5 can use 8,\d+ tokens\. Raise it, or lower --max-output-tokens\.$/m
    )
  )
  test("an invalid price", refused([...claude, "--price", "my-model=2"], "such as claude-x=2,10"))
  test(
    "a missing file",
    refused([...claude, "--prices", "nowhere.json"], '--prices is "nowhere.json": the file does not exist.')
  )
  test(
    "more output than the model can write",
    refused([...claude, "--max-output-tokens", "200000"], "writes at most 128000 tokens. Lower --max-output-tokens.")
  )
  test(
    "two system prompts",
    refused([...claude, "--system", "a", "--system-file", "b"], "--system and --system-file are both given")
  )
  test(
    "flags for Claude without Claude",
    refused(["--exec", "cat", "--no-verify", "--model", "x"], "--model only works with --executor claude")
  )
  test(
    "criteria without a judge",
    refused(
      [...claude, "--criteria", "short"],
      "--criteria only works with --verifier claude or openai. Add --verifier claude, or remove --criteria."
    )
  )

  test(
    "a price file with an invalid line",
    Effect.gen(function* () {
      const prices = yield* file("prices.json", "{", '  "models": {', '    "my-model": { "input": 2 }', "  }", "}")
      const { exitCode, stderr } = yield* withServer(["run", ...claude, "--prices", prices])
      assert.strictEqual(exitCode, 1)
      assert.match(stderr, /prices\.json:3: models → my-model → output: /)
      const broken = yield* file("broken.json", '{"models": {', "  oops")
      assert.match((yield* withServer(["run", ...claude, "--prices", broken])).stderr, /broken\.json:2: not valid JSON/)
    })
  )

  test(
    "a schema that structured output cannot express",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const schema = yield* file("schema.json", '{"type": "array", "items": {"type": "string"}}')
      const { exitCode, server, stderr } = yield* withServer(["run", tasks, ...claude, "--output-schema", schema])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, "must be an object with named fields")
      assert.strictEqual(server.messages().length, 0)
    })
  )
})

describe("a run with Claude", () => {
  test(
    "warns about a model that will be retired, with the date, and continues",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const { exitCode, stderr } = yield* withServer(["run", tasks, ...claude, "--model", "claude-sonnet-4-5"])
      assert.strictEqual(exitCode, 0, stderr)
      assert.include(
        stderr,
        "warning: the model claude-sonnet-4-5 will be retired on 2026-11-30. Choose another one with --model."
      )
    })
  )

  test(
    "a prompt over the context window fails only its own task, at no cost",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "short", "long")
      const { exitCode, stderr } = yield* withServer(["run", tasks, ...claude], {
        server: {
          script: ({ body }) =>
            JSON.stringify(body).includes("long")
              ? { _tag: "Error", status: 400, message: "prompt is too long: 1200000 tokens > 1000000 maximum" }
              : reply("done")
        }
      })
      assert.strictEqual(exitCode, 2)
      assert.include(stderr, "prompt is too long")
      assert.include(stderr, "1 of 2 tasks completed")
    })
  )

  test(
    "searches the web and reads pages, and its cost and its budget include the searches",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const result = { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] }
      const citations = [{ type: "web_search_result_location", url: "https://example.org/" }]
      const script = () =>
        reply("", {
          content: [
            { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "capital" } },
            result,
            { type: "text", text: "Paris.", citations }
          ],
          usage: { server_tool_use: { web_search_requests: 3, web_fetch_requests: 0 } }
        })
      const args = ["run", tasks, ...claude, "--web-search", "4", "--web-fetch", "1", "--max-cost", "2", "--json"]
      const { exitCode, server, stderr, stdout } = yield* withServer(args, { server: { script } })
      assert.strictEqual(exitCode, 0, stderr)
      const cost = decodeSummary(stdout).stats.usage?.costUsd ?? NaN
      assert.isAtLeast(cost, 0.06)
      assert.isAtMost(cost, 0.07)
      const sent = JSON.stringify(server.messages()[0]?.body)
      assert.include(sent, '"name":"web_search","max_uses":4')
      assert.include(sent, '"name":"web_fetch","max_uses":1')
      const [task] = (yield* TaskStore.TaskStore.use((store) => store.list())).tasks
      assert.strictEqual(task?.result, "Paris.")
      // Four searches, a page, and their tokens.
      const refused = yield* withServer([...args, "--max-cost-per-task", "0.05"], { server: { script } })
      assert.match(
        refused.stderr,
        /--max-cost-per-task is \$0\.0500, but one request to claude-sonnet-5-5 can cost \$0\.[2-9]/
      )
    })
  )

  test(
    "is judged by the fallback model where the judge refuses or is overloaded",
    Effect.gen(function* () {
      const verdict = '{"reasoning": "r", "passed": true, "confidence": 1, "feedback": "", "issues": []}'
      for (const answer of [reply("", { stopReason: "refusal" }), error(529)]) {
        const tasks = yield* file("tasks.txt", "one")
        const args = ["--executor", "claude", "--verifier", "claude", "--fallback-model", "claude-opus-5-5", "--json"]
        const { exitCode, stderr, stdout } = yield* withServer(["run", tasks, ...args, "--queue", answer._tag], {
          server: {
            script: ({ body }) => {
              const { model } = decodeBody(body)
              return model === "claude-sonnet-5-5"
                ? reply("Done.")
                : model === "claude-opus-5-5"
                  ? reply(verdict)
                  : answer
            }
          }
        })
        assert.strictEqual(exitCode, 0, stderr)
        const { counts, models } = decodeSummary(stdout)
        assert.deepStrictEqual(
          models.map(({ model, requests }) => [model, requests]),
          [
            ["claude-sonnet-5-5", 1],
            ["claude-haiku-5-5", 1],
            ["claude-opus-5-5", 1]
          ]
        )
        assert.strictEqual(counts.completed, 1)
      }
    })
  )

  test(
    "sends the instructions given by flags",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      const system = yield* file("system.txt", "You answer in French.")
      const schema = yield* file(
        "schema.json",
        '{"type": "object", "properties": {"topic": {"type": "string"}, "properties": {"type": "object", "properties": {}}}, "required": ["topic"]}'
      )
      const { exitCode, server, stderr } = yield* withServer(
        [
          ...["run", tasks, "--executor", "claude", "--verifier", "claude", "--model", "claude-opus-5-5"],
          ...[
            "--judge-model",
            "claude-sonnet-5-5",
            "--system-file",
            system,
            "--criteria",
            "It is French.",
            "--effort",
            "low"
          ],
          ...["--max-output-tokens", "123", "--output-schema", schema]
        ],
        {
          server: {
            script: (_, n) =>
              n === 1
                ? reply('{"topic": "pain"}')
                : reply('{"reasoning": "r", "passed": true, "confidence": 1, "feedback": "", "issues": []}')
          }
        }
      )
      assert.strictEqual(exitCode, 0, stderr)
      const [asked, judged] = server.messages().map(({ body }) => JSON.stringify(body))
      for (const part of [
        '"claude-opus-5-5"',
        "You answer in French.",
        '"max_tokens":123',
        '"effort":"low"',
        '"topic"'
      ]) {
        assert.include(asked, part)
      }
      for (const part of ['"claude-sonnet-5-5"', "It is French."]) assert.include(judged, part)
      const { result } = (yield* TaskStore.TaskStore.use((store) => store.list())).tasks[0] ?? {}
      assert.strictEqual(result, '{"topic":"pain"}')
    })
  )
})

const decodeSummary = Schema.decodeUnknownSync(Schema.fromJsonString(RunSummary))

const decodeBody = Schema.decodeUnknownSync(Schema.Struct({ model: Schema.String }))

const decodePlan = Schema.decodeUnknownEffect(Schema.fromJsonString(Plan))

describe("baton plan", () => {
  test(
    "counts tasks and tokens, estimates three costs, and does not send or add anything",
    Effect.gen(function* () {
      yield* add({ id: "there", description: "was there" }, { id: "both", description: "in both" })
      const tasks = yield* file(
        "tasks.jsonl",
        '{"id": "both", "description": "in both"}',
        '{"id": "new", "description": "Summarise this"}',
        '{"id": "over", "description": "done", "status": "completed", "attempts": 1}'
      )
      const args = [
        "plan",
        tasks,
        "--queue",
        "default",
        "--executor",
        "claude",
        "--verifier",
        "claude",
        "--max-cost",
        "2"
      ]
      const { exitCode, server, stdout } = yield* withServer([...args, "--json"])
      assert.strictEqual(exitCode, 0)
      const plan = yield* decodePlan(stdout)
      assert.deepStrictEqual(plan.tasks, { new: 1, existing: 1, skipped: 1, pending: 2, total: 3 })
      assert.deepStrictEqual(plan.prompts, ["was there", "in both", "Summarise this"])
      assert.strictEqual(plan.estimate?.inputBasis, "counted")
      assert.strictEqual(plan.maxCostUsd, 2)
      assert.deepStrictEqual(
        plan.estimate?.parts.map(({ model, part, requests }) => [part, model, requests]),
        [
          ["work", "claude-sonnet-5-5", { low: 3, expected: 3, worst: 9 }],
          ["judging", "claude-haiku-5-5", { low: 3, expected: 3, worst: 9 }]
        ]
      )
      const { expected = 0, low = 0, worst = 0 } = plan.estimate?.costUsd ?? {}
      assert.isAbove(low, 0)
      assert.isAbove(expected, low)
      assert.isAbove(worst, expected)
      assert.strictEqual(plan.estimate?.batchCostUsd?.worst, worst / 2)
      // At worst, every request goes to each of the models: Opus costs twice as much as Sonnet.
      const withFallback = yield* withServer([...args, "--fallback-model", "claude-opus-5-5", "--json"])
      const [work, judging] = (yield* decodePlan(withFallback.stdout)).estimate?.parts ?? []
      assert.closeTo(work?.costUsd?.worst ?? 0, 3 * (plan.estimate?.parts[0]?.costUsd?.worst ?? NaN), 1e-9)
      assert.isAbove(judging?.costUsd?.worst ?? 0, 2 * (plan.estimate?.parts[1]?.costUsd?.worst ?? NaN))
      assert.strictEqual(work?.requests.worst, 18)
      assert.strictEqual(server.messages().length, 0)
      assert.strictEqual((yield* TaskStore.TaskStore.use((store) => store.counts)).pending, 2)
      const human = yield* withServer(args)
      assert.include(
        human.stdout,
        "3 tasks to run: 1 new, 2 pending in the store (in the sources: 1 already in the store, 1 skipped: already completed)\n"
      )
      assert.include(human.stdout, "\n  3  Summarise this\n")
      assert.include(human.stdout, "--max-cost stops the run before the queue costs more than $2.00.")
    })
  )

  test(
    "estimates tokens without a key and says so; an unknown price stays unknown",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const args = ["plan", tasks, ...claude, "--model", "my-model"]
      const { exitCode, stderr, stdout } = yield* baton(args)
      assert.strictEqual(exitCode, 0, stderr)
      assert.match(stdout, /work \(my-model\) +unknown +unknown +unknown\n/)
      assert.include(stdout, "estimated from their length")
      assert.include(stdout, "--price my-model=INPUT,OUTPUT")
      assert.notInclude(stdout, "$0")
      const priced = yield* baton([...args, "--price", "my-model=1,2"])
      assert.notInclude(priced.stdout, "unknown")
    })
  )

  test(
    "estimates from the usage of the store's completed tasks",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const script = () => reply("x".repeat(400))
      yield* withServer(["run", tasks, ...claude, "--max-iterations", "1"], { server: { script } })
      const { stdout } = yield* withServer(["plan", ...claude, "--json"])
      const { estimate, tasks: counts } = yield* decodePlan(stdout)
      assert.strictEqual(counts.total, 1)
      assert.strictEqual(estimate?.completedTasks, 1)
      assert.strictEqual(estimate?.answerTokens, 100)
    })
  )

  for (const [name, options, prompt] of [
    [
      "English under a long system prompt",
      ["--system", "You sort support tickets. ".repeat(831)],
      "Sort this ticket: "
    ],
    ["Japanese", [], "\u3053\u306e\u6587\u7ae0\u3092\u8981\u7d04\u3057\u3066\u304f\u3060\u3055\u3044\u3002".repeat(40)],
    ["short prompts", [], "Go "]
  ] as const) {
    test(
      `expects the cost of the rest of a list within 30 % after a few tasks: ${name}`,
      Effect.gen(function* () {
        const lines = Array.from({ length: 40 }, (_, n) => `${prompt}${n}`)
        const tasks = yield* file("tasks.txt", ...lines)
        const script = (_: unknown, n: number) => reply("x".repeat(400 + ((n * 7919) % 800)))
        const billed = TaskStore.TaskStore.use((store) =>
          Effect.map(store.list({ status: "completed" }), ({ tasks }) =>
            tasks.reduce((sum, { usage }) => sum + (usage?.costUsd ?? NaN), 0)
          )
        )
        yield* withServer(["run", tasks, ...claude, ...options, "--max-iterations", "8"], { server: { script } })
        const before = yield* billed
        const planned = yield* withServer(["plan", ...claude, ...options, "--json"])
        const { estimate, tasks: counts } = yield* decodePlan(planned.stdout)
        assert.strictEqual(counts.total, 32)
        yield* withServer(["run", ...claude, ...options], { server: { script } })
        const actual = (yield* billed) - before
        assert.closeTo((estimate?.costUsd?.expected ?? 0) / actual, 1, 0.3)
      })
    )
  }

  test(
    "counts the images and PDFs of records",
    Effect.gen(function* () {
      const header = Buffer.alloc(33)
      header.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1")
      header.writeUInt32BE(1000, 16)
      header.writeUInt32BE(1000, 20)
      const fs = yield* FileSystem.FileSystem
      const photo = yield* file("photo.png")
      yield* fs.writeFile(photo, header)
      const book = yield* file("book.pdf", "<< /Type /Page >>", "<< /Type /Page >>")
      const asking = (...blocks: ReadonlyArray<object>) => ({
        messages: [{ role: "user", content: [...blocks, { type: "text", text: "What is it?" }] }]
      })
      const records = (...blocks: ReadonlyArray<object>) =>
        file("tasks.jsonl", ...["a", "b"].map((id) => JSON.stringify({ id, ...asking(...blocks) })))
      const tokens = Effect.fnUntraced(function* (tasks: string) {
        const { exitCode, stderr, stdout } = yield* withServer(["plan", tasks, ...claude, "--json"])
        assert.strictEqual(exitCode, 0, stderr)
        const [work] = (yield* decodePlan(stdout)).estimate?.parts ?? []
        return work?.inputTokens ?? { low: NaN, expected: NaN, worst: NaN }
      })
      const without = yield* tokens(yield* records())
      const withFiles = yield* tokens(yield* records({ type: "image", path: photo }, { type: "document", path: book }))
      const files = 36 * 36 + 2 * 2350
      assert.approximately(withFiles.expected - without.expected, 2 * files, 40)
      assert.isAtLeast(withFiles.worst - without.worst, 6 * files)
    })
  )

  test(
    "prices tasks that name a model at its price",
    Effect.gen(function* () {
      const records = [{ model: "costly" }, {}, { model: "costly" }]
      const tasks = yield* file(
        "tasks.jsonl",
        ...records.map((record, id) => JSON.stringify({ id: `${id}`, description: "Count the words", ...record }))
      )
      const prices = ["--model", "cheap", "--price", "cheap=1,1", "--price", "costly=10,10"]
      const { exitCode, stderr, stdout } = yield* baton(["plan", tasks, ...claude, ...prices, "--json"])
      assert.strictEqual(exitCode, 0, stderr)
      const { estimate } = yield* decodePlan(stdout)
      const [costly, cheap] = [...(estimate?.parts ?? [])].sort((one, other) => other.model.localeCompare(one.model))
      assert.deepStrictEqual([costly?.requests.low, cheap?.requests.low], [2, 1])
      assert.closeTo(costly?.costUsd?.expected ?? 0, 20 * (cheap?.costUsd?.expected ?? NaN), 1e-9)
      assert.closeTo(estimate?.costUsd?.worst ?? 0, 21 * (cheap?.costUsd?.worst ?? NaN), 1e-9)
    })
  )

  test(
    "expects searches of the web, and has the price of all of them at worst",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one", "two")
      const unknown = { low: NaN, expected: NaN, worst: NaN }
      const costs = Effect.fnUntraced(function* (...more: ReadonlyArray<string>) {
        const { stdout } = yield* withServer(["plan", tasks, ...claude, "--json", ...more])
        const { estimate } = yield* decodePlan(stdout)
        return { one: estimate?.costUsd ?? unknown, batch: estimate?.batchCostUsd ?? unknown }
      })
      const { one: without } = yield* costs()
      const { batch, one: searching } = yield* costs("--web-search", "4")
      const searches = 2 * 2 * 0.01
      // Searches have no discount.
      assert.approximately(batch.expected, searches + (searching.expected - searches) / 2, 1e-9)
      assert.isAtLeast(searching.expected - without.expected, searches)
      assert.isAtLeast(searching.worst - without.worst, 2 * 3 * 4 * 0.01)
      assert.strictEqual(searching.low, without.low)
      const { stdout } = yield* withServer(["plan", tasks, ...claude, "--web-search", "4"])
      assert.include(stdout, "Web searches: 2 per request expected, an assumption")
    })
  )

  test(
    "reports that the cost of a command is unknown, and that no tasks cost nothing",
    Effect.gen(function* () {
      const tasks = yield* file("tasks.txt", "one")
      assert.include((yield* baton(["plan", tasks, "--exec", "cat"])).stdout, "The cost is unknown")
      assert.include((yield* baton(["plan", ...claude])).stdout, "There are no tasks to run, so the run costs nothing.")
    })
  )

  test(
    "reports problems of its sources like an import",
    Effect.gen(function* () {
      const tasks = yield* file("books.csv", "title", "One")
      const { exitCode, stderr } = yield* baton(["plan", tasks, "--template", "{{name}}", ...claude])
      assert.strictEqual(exitCode, 1)
      assert.match(
        stderr,
        /books\.csv:1: the template uses \{\{name\}\}, but this column does not exist; the columns are title/
      )
    })
  )
})
