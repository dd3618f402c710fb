/**
 * An executor of one's own: it asks a model behind an HTTP API (the address and the shape are those of Ollama's
 * `/api/generate`). What matters is the last part: it says what each failure means, so that a busy server is asked again,
 * a missing model stops the run, and an empty answer costs the task an attempt.
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
            previous === null
              ? task.description
              : `${task.description}\n\nYour last answer was not accepted: ${previous.feedback}\nIt was:\n${previous.output ?? ""}`
          // Interrupting the fiber aborts the request, so a task that is cancelled or timed out stops for real.
          const answer = yield* HttpClientRequest.post(`${options.url}/api/generate`).pipe(
            HttpClientRequest.bodyJsonUnsafe({ model: options.model, prompt, stream: false }),
            client.execute,
            Effect.flatMap(HttpClientResponse.schemaBodyJson(Answer)),
            Effect.catchTag("HttpClientError", (error) => Effect.fail(failed(error))),
            Effect.catchTag("SchemaError", () =>
              Effect.fail(
                new ExecutionError({ reason: "Failed", message: "The server's answer is not what it should be." })
              )
            )
          )
          if (answer.response.trim() === "") {
            return yield* new ExecutionError({ reason: "Failed", message: "The model said nothing." })
          }
          return Execution.make({
            output: answer.response,
            // A model on one's own machine costs nothing, which is something else than an unknown price (null).
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

const failed = (error: HttpClientError.HttpClientError): ExecutionError => {
  const status = error.response?.status
  if (status === 404) return new ExecutionError({ reason: "Fatal", message: "The server does not have this model." })
  if (status !== undefined && status < 500 && status !== 429) {
    return new ExecutionError({ reason: "Permanent", message: `The server refused the request (${status}).` })
  }
  return new ExecutionError({ reason: "Transient", message: "The server is busy, or away.", cause: error })
}
