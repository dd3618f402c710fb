import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Redacted, Schema } from "effect"
import * as Mcp from "./mcpClient.ts"
import { request } from "./request.ts"
import * as Server from "./server.ts"

const Results = Schema.Struct({
  results: Schema.Array(
    Schema.Struct({ id: Schema.String, status: Schema.String, result: Schema.Struct({ text: Schema.String }) })
  )
})

const Causes = Schema.Struct({ causes: Schema.Array(Schema.Struct({ cause: Schema.String, tasks: Schema.Int })) })

const textOf = (content: object | undefined) =>
  content !== undefined && "text" in content ? String(content.text) : undefined

const texts = Array.from({ length: 50 }, (_, index) => `Summarise chapter ${index + 1}.`)
const fifty = { queue: "book", tasks: texts.map((description) => ({ description })) }

layer(Server.layer(), { excludeTestServices: true })("the MCP server, for the client of the official SDK", (it) => {
  it.effect("adds 50 tasks once, waits for them, and returns 50 results", () =>
    Effect.gen(function* () {
      const { store } = yield* Server.Served
      const { call } = yield* Mcp.connect()
      const first = yield* call("add_tasks", fifty)
      assert.deepInclude(first.structuredContent, { added: 50, existing: 0, different: [] })
      const again = yield* call("add_tasks", fifty)
      assert.deepStrictEqual(again.structuredContent, {
        ...first.structuredContent,
        added: 0,
        existing: 50,
        different: []
      })
      const { ids } = first.structuredContent ?? {}

      const isWaiting = Promise.withResolvers<number | undefined>()
      const waiting = yield* Effect.forkChild(
        call("wait_for_tasks", { ids, timeoutSeconds: 600 }, ({ total }) => isWaiting.resolve(total))
      )
      assert.strictEqual(yield* Effect.promise(() => isWaiting.promise), 50)
      yield* Server.complete(store, "book", { limit: 50, output: "A summary." })
      const { structuredContent } = yield* Fiber.join(waiting)
      assert.deepInclude(structuredContent, { done: true, completed: 50, pending: 0 })

      for (const selection of [{ queue: "book" }, { ids }]) {
        const { structuredContent } = yield* call("read_results", selection)
        const { results } = Schema.decodeUnknownSync(Results)(structuredContent)
        assert.lengthOf(results, 50)
        assert.deepStrictEqual(new Set(results.map(({ id }) => id)), new Set(ids as ReadonlyArray<string>))
        for (const { result } of results) assert.strictEqual(result.text, "A summary.")
      }
    })
  )

  it.effect("is refused when it approves or sets a budget, with a sentence, and does not see these tools", () =>
    Effect.gen(function* () {
      const { store } = yield* Server.Served
      const { call, client } = yield* Mcp.connect()
      yield* Server.add(store, "kept", ["kept/1"])
      yield* Server.sendToReview(store, "kept", { limit: 1, output: "a draft" })
      const approved = yield* Effect.flip(call("decide_review", { id: "kept/1", decision: "approve" }))
      assert.include(approved, "does not allow agents to use decide_review. A person decides about outputs")
      const raised = yield* Effect.flip(call("set_budget", { queue: "kept", maxCostUsd: 100 }))
      assert.include(raised, "start the server with --allow budget")
      assert.strictEqual((yield* store.counts).in_review, 1)
      assert.deepStrictEqual(yield* store.budgets?.list ?? Effect.succeed([]), [])
      const { tools } = yield* Effect.promise(() => client.listTools())
      assert.deepStrictEqual(tools.map(({ name }) => name).sort(), [
        "add_tasks",
        "get_progress",
        "get_task",
        "list_failures",
        "list_tasks",
        "read_results",
        "requeue_tasks",
        "wait_for_tasks"
      ])
    })
  )

  it.effect("requeues failures by cause, and reads what tasks, queues and failures are", () =>
    Effect.gen(function* () {
      const { store } = yield* Server.Served
      const { call, client } = yield* Mcp.connect()
      yield* Server.add(store, "causes", ["causes/1", "causes/2", "causes/3"])
      yield* Server.fail(store, "causes", { limit: 2, feedback: () => "The disk is full", output: "x".repeat(5_000) })
      const failures = yield* call("list_failures", { queue: "causes" })
      const { causes } = Schema.decodeUnknownSync(Causes)(failures.structuredContent)
      assert.deepStrictEqual(causes, [{ cause: "The disk is full", tasks: 2 }])

      const shown = yield* call("get_task", { id: "causes/1" })
      assert.include(shown.content[0]?.text, '"text":"' + "x".repeat(4_000) + '","length":5000,"cut":true')
      const listed = yield* call("list_tasks", { queue: "causes", status: "failed", limit: 1 })
      assert.deepInclude(listed.structuredContent, { total: 2 })
      const requeued = yield* call("requeue_tasks", { queue: "causes", cause: "The disk is full" })
      assert.deepInclude(requeued.structuredContent, { changed: 2 })
      yield* Server.complete(store, "causes", { limit: 1, output: "The whole result." })

      const read = (uri: string) => Effect.promise(() => client.readResource({ uri }))
      const [queue] = (yield* read("baton://queues/causes")).contents
      assert.deepInclude(JSON.parse(textOf(queue) ?? ""), { pending: 2, completed: 1 })
      const [queues] = (yield* read("baton://queues")).contents
      assert.include(textOf(queues), '"queue":"causes"')
      const { tasks } = yield* store.list({ queue: "causes", status: "completed" })
      const uri = `baton://tasks/${encodeURIComponent(tasks[0]?.id ?? "")}`
      assert.include(textOf((yield* read(uri)).contents[0]), '"status":"completed"')
      assert.strictEqual(textOf((yield* read(`${uri}/result`)).contents[0]), "The whole result.")
    })
  )

  it.effect("adds tasks that depend on each other, whatever their ids are called", () =>
    Effect.gen(function* () {
      const { store } = yield* Server.Served
      const { call } = yield* Mcp.connect()
      const tasks = [
        { id: "draft", description: "Draft" },
        { description: "Twice" },
        { description: "Twice" },
        { id: "final", description: "Finish", dependsOn: ["draft", "chain/draft"] }
      ]
      const added = yield* call("add_tasks", { queue: "chain", tasks })
      assert.deepInclude(added.structuredContent, { added: 3 })
      const next = yield* call("add_tasks", { tasks: [{ id: "later", description: "x", dependsOn: ["chain/final"] }] })
      assert.deepInclude(next.structuredContent, { ids: ["later"], added: 1 })
      const final = yield* Effect.flatMap(store.get("chain/final"), Effect.fromOption)
      assert.deepStrictEqual([...new Set(final.dependsOn)] as Array<string>, ["chain/draft"])
    })
  )

  it.effect("gets a sentence when a call makes no sense", () =>
    Effect.gen(function* () {
      const { call, client } = yield* Mcp.connect()
      const refusals = [
        ["wait_for_tasks", {}, "either by `ids` or by `queue`"],
        ["requeue_tasks", { ids: ["a"], status: "failed" }, "in one way"],
        ["list_tasks", { limit: 0 }, "Expected a value between 1 and 500"],
        ["get_task", { id: "missing" }, 'The task "missing" does not exist.'],
        ["add_tasks", { tasks: [{ description: "a", dependsOn: ["missing"] }] }, "missing"]
      ] as const
      for (const [name, args, message] of refusals) {
        const { content, isError } = yield* call(name, args)
        assert.isTrue(isError, name)
        assert.include(content[0]?.text, message)
      }
      const missing = yield* Effect.flip(Mcp.answered(() => client.readResource({ uri: "baton://queues/nowhere" })))
      assert.include(missing, 'There is no queue "nowhere".')
    })
  )

  it.effect("stops waiting when a person has to decide, or when the time is over", () =>
    Effect.gen(function* () {
      const { store } = yield* Server.Served
      const { call } = yield* Mcp.connect()
      yield* Server.add(store, "slow", ["slow/1", "slow/2"])
      yield* Server.sendToReview(store, "slow", { limit: 1, output: "a draft" })
      const late = yield* call("wait_for_tasks", { queue: "slow", timeoutSeconds: 1 })
      assert.deepInclude(late.structuredContent, { done: false, pending: 1, in_review: 1 })
      yield* Server.complete(store, "slow", { limit: 1, output: "done" })
      const ended = yield* call("wait_for_tasks", { queue: "slow" })
      assert.deepInclude(ended.structuredContent, { done: true, completed: 1, in_review: 1 })
    })
  )
})

const tokens = (["view", "review", "operate"] as const).map((role) => ({ role, token: Redacted.make(`the-${role}`) }))

layer(Server.layer({ tokens, allow: ["review", "budget"] }), { excludeTestServices: true })(
  "the MCP server with tokens and --allow",
  (it) => {
    it.effect("lists and runs the tools that the role of the token permits", () =>
      Effect.gen(function* () {
        const { store } = yield* Server.Served
        yield* Server.add(store, "team", ["team/1"])
        yield* Server.sendToReview(store, "team", { limit: 1, output: "a draft" })
        const clients = {
          view: yield* Mcp.connect("the-view"),
          review: yield* Mcp.connect("the-review"),
          operate: yield* Mcp.connect("the-operate")
        }
        const changing = ["add_tasks", "requeue_tasks", "decide_review", "set_budget"]
        const listed = (client: keyof typeof clients) =>
          Effect.map(
            Effect.promise(() => clients[client].client.listTools()),
            ({ tools }) => tools.map(({ name }) => name).filter((name) => changing.includes(name))
          )
        assert.deepStrictEqual(yield* listed("view"), [])
        assert.deepStrictEqual(yield* listed("review"), ["decide_review"])
        assert.deepStrictEqual(yield* listed("operate"), changing)

        const refused = yield* Effect.flip(clients.review.call("add_tasks", fifty))
        assert.include(refused, "This requires a token with the role operate. The role of yours is review.")
        yield* Effect.flip(clients.view.call("decide_review", { id: "team/1", decision: "approve" }))
        assert.strictEqual((yield* store.counts).in_review, 1)

        const decided = yield* clients.review.call("decide_review", { id: "team/1", decision: "edit", text: "better" })
        assert.deepInclude(decided.structuredContent, { status: "completed" })
        const [attempt] = yield* store.attempts("team/1")
        assert.strictEqual(attempt?.verification?.decision?.by, "agent (sdk)")
        const late = yield* clients.operate.call("decide_review", { id: "team/1", decision: "approve" })
        assert.deepStrictEqual(late.content[0]?.text, "agent (sdk) has already edited this output")
        const budget = yield* clients.operate.call("set_budget", { queue: "team", maxCostUsd: 2.5 })
        assert.deepInclude(budget.structuredContent, { limit: { nanoUsd: 2.5e9 } })
      })
    )

    it.effect("refuses requests without a known token and from other sites", () =>
      Effect.gen(function* () {
        const { url } = yield* Server.Served
        const accept = "application/json, text/event-stream"
        const body = { jsonrpc: "2.0", id: 1, method: "ping" }
        const post = (headers: Record<string, string>) =>
          request(`${url}/mcp`, { method: "POST", headers: { accept, ...headers }, body })
        for (const authorization of ["", "Bearer wrong", "Basic the-view"]) {
          const { body, status } = yield* post({ authorization })
          assert.strictEqual(status, 401)
          assert.match(JSON.parse(body).message, /token/)
        }
        const foreign = yield* post({ authorization: "Bearer the-view", origin: "https://evil.example" })
        assert.strictEqual(foreign.status, 403)
        assert.include(foreign.body, "evil.example")
      })
    )
  }
)
