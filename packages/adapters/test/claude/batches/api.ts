import { ClaudeError } from "@baton/adapters/claude"
import { Usage } from "@baton/core"
import { Clock, DateTime, Effect, Stream } from "effect"
import type { Batch, BatchApi, BatchRequest } from "../../../src/claude/internal/batches/batchApi.ts"

/** The result of one request of a batch: a text, the type of a result without one, or no result. */
export type Ending =
  | string
  | undefined
  | { readonly type: "errored"; readonly error: string }
  | { readonly type: string }
  /** An answer of this many tokens, cut off at the request's maximum. */
  | { readonly text: string; readonly outputTokens: number }

/** The result of a request to create a batch. */
export type Fate = "ok" | "lose" | "hang" | "vanish" | ClaudeError

export interface Seen {
  readonly id: string
  readonly requests: ReadonlyArray<BatchRequest>
}

export const failure = (options: Partial<ConstructorParameters<typeof ClaudeError>[0]> = {}) =>
  new ClaudeError({ reason: "Transient", type: "network", message: "It failed.", usage: Usage.zero, ...options })

interface Stored extends Seen {
  readonly createdAt: number
  ended: boolean
}

/** The text of a request's only turn. */
export const promptOf = ({ params }: BatchRequest): string => {
  const content = params.messages[0]?.content
  return typeof content === "string" ? content : ""
}

/** The API's batches in memory. They end when the test says so, and their results are in reverse order. */
export const make = Effect.fnUntraced(function* (
  answer: (prompt: string, request: BatchRequest) => Ending = (prompt) => `Echo: ${prompt}`
) {
  const clock = yield* Clock.Clock
  const stored: Array<Stored> = []
  const fates: Array<Fate> = []
  const cuts: Array<number> = []
  let endAtOnce = false
  let tries = 0
  let looks = 0
  let unknown = false

  const show = ({ createdAt, ended, id, requests }: Stored): Batch => ({
    id,
    processing_status: ended ? "ended" : "in_progress",
    created_at: DateTime.makeUnsafe(createdAt),
    request_counts: {
      processing: ended ? 0 : requests.length,
      succeeded: ended ? requests.length : 0,
      errored: 0,
      canceled: 0,
      expired: 0
    },
    results_url: ended ? `https://localhost/${id}` : null
  })

  const lines = (request: BatchRequest): ReadonlyArray<unknown> => {
    const ending = answer(promptOf(request), request)
    if (ending === undefined) return []
    if (typeof ending === "string" || "text" in ending) {
      const { outputTokens, text } = typeof ending === "string" ? { text: ending, outputTokens: 5 } : ending
      const most = request.params.max_tokens
      const message = {
        id: "msg_1",
        model: request.params.model,
        content: [{ type: "text", text }],
        stop_reason: outputTokens > most ? "max_tokens" : "end_turn",
        usage: { input_tokens: 10, output_tokens: Math.min(outputTokens, most) }
      }
      return [{ custom_id: request.custom_id, result: { type: "succeeded", message } }]
    }
    const error =
      "error" in ending ? { error: { type: "error", error: { type: ending.error, message: "It went wrong" } } } : {}
    return [{ custom_id: request.custom_id, result: { type: ending.type, ...error } }]
  }

  const add = (requests: ReadonlyArray<BatchRequest>) => {
    const batch = {
      id: `batch_${stored.length + 1}`,
      requests,
      createdAt: clock.currentTimeMillisUnsafe(),
      ended: endAtOnce
    }
    stored.push(batch)
    return batch
  }

  const find = (id: string) =>
    Effect.suspend(() => {
      const batch = unknown ? undefined : stored.find((batch) => batch.id === id)
      return batch === undefined
        ? Effect.fail(failure({ reason: "Permanent", status: 404, type: "not_found_error" }))
        : Effect.succeed(batch)
    })

  const api: BatchApi = {
    create: (requests) =>
      Effect.suspend((): Effect.Effect<Batch, ClaudeError> => {
        tries++
        const fate = fates.shift() ?? "ok"
        if (typeof fate !== "string") return Effect.fail(fate)
        if (fate === "vanish") return Effect.fail(failure())
        const batch = add(requests)
        if (fate === "lose") return Effect.fail(failure())
        return fate === "hang" ? Effect.never : Effect.succeed(show(batch))
      }),
    retrieve: (id) =>
      Effect.suspend(() => {
        looks++
        return Effect.map(find(id), show)
      }),
    cancel: (id) => Effect.map(find(id), show),
    list: Stream.suspend(() => Stream.fromIterable(stored.toReversed().map(show))),
    results: (id) =>
      Stream.unwrap(
        Effect.map(find(id), ({ requests }) => {
          const all = requests.toReversed().flatMap(lines)
          const cut = cuts.shift()
          return cut === undefined
            ? Stream.fromIterable(all)
            : Stream.concat(Stream.fromIterable(all.slice(0, cut)), Stream.fail(failure()))
        })
      )
  }

  return {
    api,
    /** All batches. */
    batches: (): ReadonlyArray<Seen> => stored,
    /** The number of requests to create a batch. */
    tries: () => tries,
    /** The number of requests to check a batch. */
    looks: () => looks,
    /** The results of the next requests to create a batch. */
    next: (...list: ReadonlyArray<Fate>) => void fates.push(...list),
    /** The next results are cut off after this number. */
    cut: (...list: ReadonlyArray<number>) => void cuts.push(...list),
    /** A batch of another program. */
    add: (requests: ReadonlyArray<BatchRequest>) => void add(requests),
    end: () => {
      for (const batch of stored) batch.ended = true
    },
    /** From now on, batches end when they are created. */
    endAtOnce: () => {
      endAtOnce = true
    },
    /** From now on, no batch is known. */
    forget: () => {
      unknown = true
    }
  }
})

/** A clock that counts the timers that are set. */
export const countingClock = (clock: Clock.Clock) => {
  let running = 0
  let most = 0
  const counting: Clock.Clock = {
    ...clock,
    sleep: (duration) =>
      Effect.suspend(() => {
        most = Math.max(most, ++running)
        return Effect.ensuring(
          clock.sleep(duration),
          Effect.sync(() => running--)
        )
      })
  }
  return { counting, most: () => most }
}
