/** The server's reaction to one request: a complete answer, or one of several failures. */
export type Answer =
  | ({ readonly _tag: "Reply" } & Reply)
  /** An HTTP error with the API's envelope. */
  | ({ readonly _tag: "Error" } & Failure)
  /** Streams `text`, then says `event: error`, after the 200 of the headers. Without a stream, the HTTP error. */
  | { readonly _tag: "ErrorEvent"; readonly text?: string; readonly type: string; readonly message?: string }
  /** Streams `text` and ends without an error, but without `message_delta` and `message_stop`. */
  | { readonly _tag: "CleanEof"; readonly text?: string }
  /** Destroys the connection: before any header, after the headers, or after some text. */
  | { readonly _tag: "Drop"; readonly after?: "nothing" | "headers" | "text"; readonly text?: string }
  /** Sends nothing more: no headers, nothing after them, or nothing after some text, except `ping` if configured. */
  | {
      readonly _tag: "Stall"
      readonly after?: "nothing" | "headers" | "text"
      readonly text?: string
      readonly pingEveryMillis?: number
    }
  /** A stream in these pieces. */
  | { readonly _tag: "Bytes"; readonly chunks: ReadonlyArray<Uint8Array> }
  /** Any response: a proxy's HTML page, invalid JSON. */
  | {
      readonly _tag: "Raw"
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body: string
    }

export interface Reply {
  readonly text?: string
  /** Blocks in place of `text`. */
  readonly content?: ReadonlyArray<Readonly<Record<string, unknown>>>
  /** The id of the sandbox in which code ran. */
  readonly container?: string
  /** Put in front as a thinking block. */
  readonly thinking?: string
  readonly stopReason?: string
  readonly stopDetails?: Readonly<Record<string, unknown>> | null
  /** Merged over the usage that the server computes; null is sent as null. */
  readonly usage?: Readonly<Record<string, unknown>>
  /** Merged over the usage in `message_start` alone. */
  readonly startUsage?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
  /** Sends events with an unknown name in between. */
  readonly unknownEvents?: boolean
  /** The number of `ping`s in between. Default 1. */
  readonly pings?: number
  /** The number of deltas of the text. Default 3. */
  readonly deltas?: number
  /** What happens to the connection after `message_stop`. Default: the response ends. */
  readonly afterwards?: "stays open" | "is reset"
  /** Waits for this before the headers are sent. */
  readonly before?: Promise<unknown>
  /** Waits for this after `message_start`. */
  readonly hold?: Promise<unknown>
}

export interface Failure {
  readonly status: number
  readonly type?: string
  readonly message?: string
  readonly errorCode?: string
  /** The header's value: seconds, or an HTTP date. */
  readonly retryAfter?: string | number
  readonly headers?: Readonly<Record<string, string>>
  readonly before?: Promise<unknown>
}

export const reply = (text: string, options: Omit<Reply, "text"> = {}): Answer => ({ _tag: "Reply", text, ...options })

export const error = (
  status: number,
  options: Omit<Failure, "status"> = {}
): Extract<Answer, { readonly _tag: "Error" }> => ({
  _tag: "Error",
  status,
  ...options
})

/** Decides the answer to each request; undefined leaves it to the server. `n` counts requests for messages, from 1. */
export type Script = (request: RequestSeen, n: number) => Answer | undefined | Promise<Answer | undefined>

/** One request in the server's journal. */
export interface RequestSeen {
  /** 1 for the first request of any kind. */
  readonly id: number
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown
  /** The status of the response; undefined before it is sent. */
  status?: number
  /** Whether the client disconnected before the end of the answer. */
  aborted?: boolean
}
