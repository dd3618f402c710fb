/**
 * The requests of a run for a task. The executor and the judge of the run build them, but they are not sent.
 */
import { ClaudeClient, ClaudeExecutor, ClaudeVerifier, type MessageRequest, type Reply } from "@baton/adapters/claude"
import { OpenAiClient, OpenAiExecutor, OpenAiVerifier } from "@baton/adapters/openai"
import { LeaseToken } from "@baton/core/Attempt"
import type { AttemptContext } from "@baton/core/AttemptContext"
import * as Execution from "@baton/core/Execution"
import { Executor } from "@baton/core/Executor"
import * as Task from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import { Verifier } from "@baton/core/Verifier"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { CommandFailed } from "../../system/CommandFailed.ts"
import type { TokenBasis } from "../../view/plan.ts"
import type { Settings } from "./options.ts"
import type { Api } from "./preflight.ts"

/** The requests for a description. */
export interface Requests {
  readonly execute: (description: string) => Effect.Effect<MessageRequest.MessageRequest>
  /** The request of a task with its own settings; none if one of its files cannot be read. */
  readonly executeTask: (task: TaskInput) => Effect.Effect<Option.Option<MessageRequest.MessageRequest>>
  readonly judge: (description: string, output: string) => Effect.Effect<MessageRequest.MessageRequest>
}

/** The fields of a task that its request depends on. */
export type TaskInput = Pick<Task.Task, "description" | "overrides">

/** Builds the requests. Fails with a message for the user if the settings are invalid. */
export const make = Effect.fnUntraced(function* (
  settings: Settings,
  apis: { readonly executor: Api; readonly verifier: Api }
): Effect.fn.Return<Requests, CommandFailed, Scope.Scope> {
  let sent: MessageRequest.MessageRequest | undefined
  const client: ClaudeClient.ClaudeClientService = {
    billing: "standard",
    send: (request, { onStart, spend = ClaudeClient.withoutBudget }) =>
      spend(() =>
        Effect.sync(() => {
          sent = request
          onStart?.()
          return answer
        })
      ),
    countTokens: () => Effect.die("unused"),
    model: () => Effect.die("unused")
  }
  const layers = Layer.mergeAll(
    apis.executor === "claude" ? ClaudeExecutor.layer(settings.executor) : OpenAiExecutor.layer(settings.executor),
    apis.verifier === "claude" ? ClaudeVerifier.layer(settings.verifier) : OpenAiVerifier.layer(settings.verifier)
  )
  const clients = Layer.merge(
    Layer.succeed(ClaudeClient.ClaudeClient, client),
    Layer.succeed(OpenAiClient.OpenAiClient, client)
  )
  const context = yield* Effect.mapError(
    Layer.build(Layer.provide(layers, clients)),
    ({ message }) => new CommandFailed({ message })
  )
  const executor = yield* Effect.provide(Executor, context)
  const verifier = yield* Effect.provide(Verifier, context)

  // The result for the fake answer is ignored.
  const capture = <A, E>(call: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      sent = undefined
      return Effect.map(Effect.exit(call), () => Option.fromUndefinedOr(sent))
    })
  const expected = Effect.flatMap(
    Option.match({
      onNone: () => Effect.die(new Error("nothing was sent")),
      onSome: (request: MessageRequest.MessageRequest) => Effect.succeed(request)
    })
  )
  return {
    execute: (description) => expected(capture(executor.execute(task({ description, overrides: {} }), attempt))),
    executeTask: (input) => capture(executor.execute(task(input), attempt)),
    judge: (description, output) =>
      expected(capture(verifier.verify(task({ description, overrides: {} }), Execution.make({ output }), attempt)))
  }
})

const answer: Reply.Reply = {
  id: "",
  model: "",
  text: "{}",
  content: [],
  stopReason: "end_turn",
  refusal: null,
  usage: Usage.zero,
  billing: "standard",
  requestId: null,
  cached: false
}

const attempt: AttemptContext = {
  attempt: 1,
  leaseToken: LeaseToken.make(1),
  idempotencyKey: "",
  dependencies: Effect.succeed([]),
  progress: () => Effect.void,
  earlierAttempts: Effect.succeed([]),
  spend: ({ call }) => call
}

const epoch = DateTime.makeUnsafe(0)

const task = ({ description, overrides }: TaskInput): Task.Task => ({
  id: Task.TaskId.make("plan"),
  queue: Task.defaultQueue,
  description,
  overrides,
  status: "in_progress",
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: epoch,
  dependsOn: [],
  verified: false,
  requeues: 0,
  createdAt: epoch,
  updatedAt: epoch
})

/** Tokens per byte of a description, and the fixed number of tokens of every request. */
export interface Rate {
  readonly perByte: number
  readonly fixed: number
  readonly basis: TokenBasis
}

/** For English text; other languages and code have more tokens. */
const bytesPerToken = 3

const encoder = new TextEncoder()

const bytes = (text: string): number => encoder.encode(text).length

/** Estimates tokens from the length of a request with an empty description. */
export const guessTokens = (empty: MessageRequest.MessageRequest): Rate => {
  const { messages, output_config, system } = empty
  return {
    perByte: 1 / bytesPerToken,
    fixed: Math.ceil(bytes(JSON.stringify([messages, output_config?.format, system])) / bytesPerToken),
    basis: "guessed"
  }
}

/** Counts the tokens of a sample, which is free. Falls back to an estimate if the server cannot count. */
export const countTokens = Effect.fnUntraced(function* (
  client: ClaudeClient.ClaudeClientService,
  sample: ReadonlyArray<string>,
  requestFor: (description: string) => Effect.Effect<MessageRequest.MessageRequest>
): Effect.fn.Return<Rate> {
  // A message must not be empty.
  const empty = yield* requestFor(".")
  const counting = (description: string) => Effect.flatMap(requestFor(description), client.countTokens)
  return yield* Effect.gen(function* () {
    const fixed = yield* client.countTokens(empty)
    const filled = sample.filter((description) => description.trim() !== "")
    const counted = yield* Effect.forEach(filled, counting, { concurrency: 4 })
    const tokens = counted.reduce((sum, tokens) => sum + Math.max(0, tokens - fixed), 0)
    const length = filled.reduce((sum, description) => sum + bytes(description), 0)
    return { perByte: length === 0 ? 1 / bytesPerToken : tokens / length, fixed, basis: "counted" as const }
  }).pipe(Effect.orElseSucceed(() => guessTokens(empty)))
})
