import { type MessageRequest, OpenAiClient, OpenAiExecutor, Pricing } from "@baton/adapters/openai"
import { Orchestrator, type OrchestratorConfig, RetryPolicy, Safety, Task, TaskStore, Verifier } from "@baton/core"
import { Context, Effect, Layer, Redacted, Schedule } from "effect"
import { about, request } from "../claude/requests.ts"
import * as Server from "./server.ts"

export const key = "sk-secret-secret-secret"

type ClientOptions = Parameters<typeof OpenAiClient.layer>[0]

/** Two dollars for a million tokens of input, ten for output; the local model is free. */
export const prices = Pricing.merge(Pricing.listed, {
  models: { "gpt-x": { input: 2, output: 10, cacheRead: 0.5 }, local: { input: 0, output: 0 } }
})

export const layer = (url: string, options: ClientOptions = {}) =>
  OpenAiClient.layer({ apiKey: Redacted.make(key), baseUrl: url, ...options }).pipe(
    Layer.provideMerge(Layer.succeed(Pricing.Prices, prices))
  )

/** A server and a client of it, until the scope closes. */
export const setup = Effect.fnUntraced(function* (options: ClientOptions = {}) {
  const server = yield* Server.make()
  const context = yield* Layer.build(layer(server.url, options))
  const client = Context.get(context, OpenAiClient.OpenAiClient)
  const send = (more: Partial<MessageRequest.MessageRequest> = {}, aboutIt: Parameters<typeof about>[0] = {}) =>
    // There is no budget.
    Effect.catchTag(
      client.send(request("Hello", { model: "gpt-x", ...more }), about(aboutIt)),
      "SafetyStop",
      Effect.die
    )
  return { client, send, server }
})

/** Runs a list of tasks to its end; failed attempts are tried again at once. */
export const runList = (options: {
  readonly client: Layer.Layer<OpenAiClient.OpenAiClient>
  readonly executor?: Partial<Parameters<typeof OpenAiExecutor.layer>[0]>
  readonly tasks: ReadonlyArray<Omit<Parameters<typeof Task.makeNew>[0], "id">>
  readonly config?: OrchestratorConfig.OrchestratorConfig
  readonly verifier?: Layer.Layer<Verifier.Verifier>
  readonly safety?: Layer.Layer<Safety.Safety>
}) => {
  const orchestrator = Orchestrator.layer({
    retryPolicy: RetryPolicy.immediate,
    transientRetry: Schedule.recurs(20),
    maxAttempts: 1,
    ...options.config
  }).pipe(
    Layer.provide([
      OpenAiExecutor.layer({ model: "gpt-x", ...options.executor }).pipe(
        Layer.provide(options.client),
        Layer.provide(Layer.succeed(Pricing.Prices, prices))
      ),
      options.verifier ?? Verifier.layerNone,
      options.safety ?? Safety.layerAllowAll
    ]),
    Layer.provideMerge(TaskStore.layerMemory)
  )
  return Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    yield* store.add(
      options.tasks.map((task, index) => Task.makeNew({ id: `task-${String(index).padStart(3, "0")}`, ...task }))
    )
    const { reason, stats } = yield* Orchestrator.Orchestrator.use((orchestrator) => orchestrator.run)
    const { tasks } = yield* store.list({ limit: 1000 })
    return { reason, stats, tasks }
  }).pipe(Effect.provide(orchestrator))
}
