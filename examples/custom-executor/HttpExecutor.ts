/**
 * Your own executor: it calls a model over HTTP, in the format of Ollama's `/api/generate`.
 *
 * `toExecutionError` decides what a failure means: a busy server is asked again, and a missing model stops the run. An empty
 * answer uses up an attempt.
 */
import { Execution, ExecutionError, Executor } from "@baton/core"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, type HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"

const Answer = Schema.Struct({
  response: Schema.String,
  prompt_eval_count: Schema.optionalKey(Schema.Int),
  eval_count: Schema.optionalKey(Schema.Int)
})

export const layer = (options: { readonly url: string; readonly model: string }) =>
  Layer.effect(
    Executor.Executor,
    Effect.gen(function* () {
      const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
      return {
        execute: Effect.fnUntraced(function* (task, { previous }) {
          const prompt =
            previous === undefined
              ? task.description
              : `${task.description}\n\nYour last answer was rejected: ${previous.feedback}\nIt was:\n${previous.output ?? ""}`
          // Interruption aborts the request, so a task that is cancelled or times out stops.
          const answer = yield* HttpClientRequest.post(`${options.url}/api/generate`).pipe(
            HttpClientRequest.bodyJsonUnsafe({ model: options.model, prompt, stream: false }),
            client.execute,
            Effect.flatMap(HttpClientResponse.schemaBodyJson(Answer)),
            Effect.catchTag("HttpClientError", (error) => Effect.fail(toExecutionError(error))),
            Effect.catchTag("SchemaError", () =>
              Effect.fail(
                new ExecutionError({ reason: "Failed", message: "The server's answer has an unexpected format." })
              )
            )
          )
          if (answer.response.trim() === "") {
            return yield* new ExecutionError({ reason: "Failed", message: "The answer is empty." })
          }
          return Execution.make({
            output: answer.response,
            // A local model is free. An unknown price would be null.
            usage: {
              inputTokens: answer.prompt_eval_count ?? 0,
              outputTokens: answer.eval_count ?? 0,
              cacheReadTokens: 0,
              cacheWriteTokens: 0,
              costUsd: 0
            },
            metadata: { model: options.model }
          })
        })
      }
    })
  )

const toExecutionError = (error: HttpClientError.HttpClientError): ExecutionError => {
  const status = error.response?.status
  if (status === 404) return new ExecutionError({ reason: "Fatal", message: "The server does not have this model." })
  if (status !== undefined && status < 500 && status !== 429) {
    return new ExecutionError({ reason: "Permanent", message: `The server refused the request (${status}).` })
  }
  return new ExecutionError({ reason: "Transient", message: "The server is busy or unreachable.", cause: error })
}
