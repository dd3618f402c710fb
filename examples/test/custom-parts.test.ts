import { Attempt, Execution, Orchestrator, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as HttpExecutor from "../custom-executor/HttpExecutor.ts"
import * as SchemaVerifier from "../custom-verifier/SchemaVerifier.ts"

const Request = Schema.Struct({ model: Schema.String, prompt: Schema.String })

/** A server that responds with `answer` and records the prompts. */
const serverOf = (answer: (prompt: string) => { readonly status?: number; readonly body: unknown }) => {
  const prompts: Array<string> = []
  const route = HttpRouter.add(
    "POST",
    "/api/generate",
    Effect.gen(function* () {
      const { prompt } = yield* HttpServerRequest.schemaBodyJson(Request)
      prompts.push(prompt)
      const { body, status = 200 } = answer(prompt)
      return HttpServerResponse.jsonUnsafe(body, { status })
    })
  )
  const server = HttpRouter.serve(route, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
  return { prompts, server }
}

const runWith = (server: ReturnType<typeof serverOf>["server"], verifier: Layer.Layer<Verifier.Verifier>) =>
  Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add([Task.makeNew({ id: "a", description: "Name a colour as JSON" })])
    const orchestrator = yield* Orchestrator.Orchestrator
    const summary = yield* Effect.result(orchestrator.run)
    return { summary, attempts: yield* store.attempts("a") }
  }).pipe(
    Effect.provide(
      Orchestrator.layer({ retryPolicy: RetryPolicy.immediate, transientRetry: RetryPolicy.transient }).pipe(
        Layer.provide([HttpExecutor.layer({ url: "", model: "small" }), verifier, Safety.layerAllowAll]),
        Layer.provideMerge(TaskStore.layerMemory),
        Layer.provide(server)
      )
    )
  )

describe("custom-executor", () => {
  it.live("calls a server, and passes the feedback to the next attempt", () =>
    Effect.gen(function* () {
      const { prompts, server } = serverOf((prompt) => ({
        body: { response: prompt.includes("was rejected") ? `{"colour":"teal"}` : "teal", eval_count: 3 }
      }))
      const { attempts } = yield* runWith(server, SchemaVerifier.layer(Schema.Struct({ colour: Schema.String })))
      assert.deepStrictEqual(
        attempts.map(({ outcome }) => outcome),
        ["retried", "completed"]
      )
      assert.include(prompts[1], "The output must be JSON")
      assert.strictEqual(attempts[1]?.usage?.outputTokens, 3)
    })
  )

  it.live("retries a busy server within the attempt, and stops the run for a missing model", () =>
    Effect.gen(function* () {
      let calls = 0
      const busy = serverOf(() => (++calls === 1 ? { status: 503, body: {} } : { body: { response: "teal" } }))
      const { attempts } = yield* runWith(busy.server, Verifier.layerAlwaysPass)
      assert.deepStrictEqual([attempts.length, calls], [1, 2])
      const missing = serverOf(() => ({ status: 404, body: {} }))
      const { summary } = yield* runWith(missing.server, Verifier.layerAlwaysPass)
      assert.isTrue(summary._tag === "Failure" && summary.failure.message.includes("does not have this model"))
    })
  )
})

describe("custom-verifier", () => {
  const verdict = (output: string) =>
    Verifier.Verifier.use((verifier) =>
      verifier.verify(task, Execution.make({ output }), {
        attempt: 1,
        leaseToken: Attempt.LeaseToken.make(1),
        idempotencyKey: "a/1",
        dependencies: Effect.succeed([]),
        progress: () => Effect.void,
        earlierAttempts: Effect.succeed([]),
        spend: ({ call }) => call
      })
    ).pipe(Effect.provide(SchemaVerifier.layer(Schema.Struct({ colour: Schema.String, shade: Schema.Int }))))

  const task: Task.Task = Schema.decodeUnknownSync(Task.Task)({
    id: "a",
    description: "",
    status: "in_progress",
    attempts: 1,
    metadata: {},
    priority: 0,
    availableAt: "2026-01-01T00:00:00Z",
    dependsOn: [],
    verified: false,
    requeues: 0,
    createdAt: "2026-01-01T00:00:00Z",
    updatedAt: "2026-01-01T00:00:00Z"
  })

  it.effect("accepts matching JSON, fenced or not, and names the field that does not match", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* verdict(`{"colour":"teal","shade":3}`)).passed)
      assert.isTrue((yield* verdict('```json\n{"colour":"teal","shade":3}\n```')).passed)
      const { feedback, passed } = yield* verdict(`{"colour":"teal","shade":"dark"}`)
      assert.isFalse(passed)
      assert.include(feedback, "shade")
    })
  )
})
