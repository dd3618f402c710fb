import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ClaudeError } from "../../ClaudeError.ts"
import type { MessageRequest } from "../../../internal/chat/MessageRequest.ts"
import type { Sdk } from "../sdk.ts"
import * as ApiErrors from "../apiErrors.ts"
import * as BatchBody from "./batchBody.ts"

/** The batch endpoints. */
export interface BatchApi {
  /** `bytes` is the sum of `BatchBody.bytesOf` of the requests. */
  readonly create: (requests: ReadonlyArray<BatchRequest>, bytes: number) => Effect.Effect<Batch, ClaudeError>
  readonly retrieve: (id: string) => Effect.Effect<Batch, ClaudeError>
  readonly cancel: (id: string) => Effect.Effect<Batch, ClaudeError>
  /** All batches of the key's workspace, latest first. */
  readonly list: Stream.Stream<Batch, ClaudeError>
  /** One line per request, in any order. */
  readonly results: (id: string) => Stream.Stream<unknown, ClaudeError>
}

export interface BatchRequest {
  readonly custom_id: string
  readonly params: MessageRequest
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** The fields of a batch that are used here. */
export const Batch = Schema.Struct({
  id: Schema.NonEmptyString,
  processing_status: Schema.String,
  created_at: Schema.DateTimeUtcFromString,
  request_counts: Schema.Struct({
    processing: Count,
    succeeded: Count,
    errored: Count,
    canceled: Count,
    expired: Count
  }),
  /** Null until the batch has ended, and again when its results have been deleted. */
  results_url: Schema.NullOr(Schema.String)
})

export interface Batch extends Schema.Schema.Type<typeof Batch> {}

/** The number of requests in a batch. All of them count as processing until the whole batch has ended. */
export const sizeOf = ({ request_counts: counts }: Batch): number =>
  counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired

const decodeBatch = Schema.decodeUnknownEffect(Batch)
const decodePage = Schema.decodeUnknownEffect(
  Schema.Struct({ data: Schema.Array(Batch), has_more: Schema.Boolean, last_id: Schema.NullOr(Schema.String) })
)

const path = "/v1/messages/batches"

const pageSize = 100

/** In bytes per millisecond. A batch of 256 MB may take 43 minutes at this rate, besides the usual timeout. */
const slowestUpload = 100

/**
 * The index of the request that an error names, as in `requests.3.params.max_tokens: ...`. The API gives it only in the
 * text of the message.
 */
export const namedRequest = ({ message, status }: ClaudeError): number | undefined => {
  const index = status === 400 ? /\brequests(?:\.|\[)(\d+)\b/.exec(message)?.[1] : undefined
  return index === undefined ? undefined : Number(index)
}

/** The API offers answers of up to 300,000 tokens in batches only, and as a beta. */
const headersFor = (requests: ReadonlyArray<BatchRequest>): Record<string, string> =>
  requests.some(({ params }) => params.max_tokens > usualMaximum) ? { "anthropic-beta": longAnswers } : {}

const longAnswers = "output-300k-2026-03-24"

/** The most tokens of an answer without the beta. */
const usualMaximum = 128_000

export const fromSdk = (sdk: Sdk): BatchApi => {
  const batch = (answer: unknown) =>
    Effect.mapError(decodeBatch(answer), () => ApiErrors.malformed("The server's answer is not a batch", undefined))

  const page = (after: string | null) =>
    Effect.flatMap(
      sdk.call((client, signal) =>
        client.get(path, { query: { limit: pageSize, ...(after === null ? undefined : { after_id: after }) }, signal })
      ),
      (answer) =>
        Effect.mapError(decodePage(answer), () =>
          ApiErrors.malformed("The server's answer is not a list of batches", undefined)
        )
    )

  return {
    create: (requests, bytes) =>
      Effect.flatMap(
        sdk.call((client, signal) =>
          client.post(path, {
            body: BatchBody.parts(requests),
            headers: {
              "content-type": "application/json",
              "content-length": String(BatchBody.lengthOf(bytes)),
              ...headersFor(requests)
            },
            timeout: client.timeout + Math.ceil(bytes / slowestUpload),
            signal
          })
        ),
        batch
      ),
    retrieve: (id) =>
      Effect.flatMap(
        sdk.call((client, signal) => client.messages.batches.retrieve(id, undefined, { signal })),
        batch
      ),
    cancel: (id) =>
      Effect.flatMap(
        sdk.call((client, signal) => client.messages.batches.cancel(id, undefined, { signal })),
        batch
      ),
    list: Stream.paginate<string | null, Batch, ClaudeError>(null, (after) =>
      Effect.map(page(after), ({ data, has_more, last_id }) => [
        data,
        has_more && last_id !== null ? Option.some(last_id) : Option.none()
      ])
    ),
    results: (id) =>
      Stream.unwrap(
        Effect.map(
          Effect.acquireRelease(
            sdk.call((client, signal) => client.messages.batches.results(id, undefined, { signal })),
            (lines) => Effect.sync(() => lines.controller.abort()),
            { interruptible: true }
          ),
          (lines) => Stream.fromAsyncIterable(lines, (cause) => ApiErrors.connectionLost(cause, undefined))
        )
      )
  }
}
