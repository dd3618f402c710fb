import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ClaudeError } from "../../ClaudeError.ts"
import type { MessageRequest } from "../../../internal/chat/MessageRequest.ts"
import type { PriceTable } from "../../../internal/chat/Pricing.ts"
import type { Reply } from "../../../internal/chat/Reply.ts"
import { type ApiMessage, toReply } from "../apiMessage.ts"
import { customId, type RequestIdentity } from "../requestIdentity.ts"
import { type BatchResult, toError } from "./batchResult.ts"
import type { Journal, RequestKey } from "./journal.ts"

/** A request that waits for its reply: it costs a fiber and no timer. */
export interface PendingRequest extends RequestKey {
  readonly request: MessageRequest
  readonly bytes: number
  readonly reply: Deferred.Deferred<Reply, ClaudeError>
  /** Called when the request becomes part of a batch. */
  readonly onSend: (() => void) | undefined
}

/** A reply that an earlier run received and never delivered. */
export interface UnclaimedReply {
  readonly key: string
  readonly unclaimed: Reply
}

/** The requests of this run that wait for a reply. No function waits or yields, except `awaitUnsent`. */
export interface PendingRequests {
  /**
   * Returns the reply from the journal, or a pending request: one of a batch that already exists, or one for the next
   * batch. A request that is repeated in one run is a new request, because its first reply was unusable; the first such
   * request of a later run resumes the one in the journal. The same rule distinguishes the votes of a quorum.
   */
  readonly register: (
    journal: Journal,
    options: {
      readonly identity: RequestIdentity
      readonly request: MessageRequest
      readonly rejected: string | null
      readonly onSend: (() => void) | undefined
    },
    now: number
  ) => PendingRequest | UnclaimedReply
  /** Removes a request that no fiber waits for. It stays in its batch, for a later request. */
  readonly remove: (request: PendingRequest, wasDelivered: boolean) => void
  readonly isWaiting: (key: string) => boolean
  /** Takes as many unsent requests as fit into one batch. */
  readonly take: (limits: BatchLimits) => ReadonlyArray<PendingRequest>
  /** Adds requests that are in no batch to the unsent ones again, as far as a fiber waits for them. */
  readonly putBack: (keys: Iterable<string>) => void
  readonly complete: (key: string, result: BatchResult) => void
  readonly fail: (keys: Iterable<string>, error: ClaudeError) => void
  readonly failAll: (error: ClaudeError) => void
  /** The requests that are in no batch and not in the journal yet. */
  readonly unsent: () => { readonly requests: number; readonly bytes: number; readonly latestAt: number }
  /** Returns when there are unsent requests. */
  readonly awaitUnsent: Effect.Effect<void>
}

export interface BatchLimits {
  readonly requests: number
  readonly bytes: number
}

/** What a batch adds to a request: its id and some punctuation. */
const overhead = 128

export const make = (journal: Journal, prices: PriceTable): PendingRequests => {
  const waiting = new Map<string, PendingRequest>()
  const unsent = new Map<string, PendingRequest>()
  /** Keys whose reply this run has received, and does not want a second time. */
  const delivered = new Set<string>()
  /** Keys that earlier runs left behind and no request has resumed yet, by digest. */
  const unclaimed = new Map<string, Set<string>>()
  const hasUnsent = Latch.makeUnsafe(false)
  let latestAt = 0
  let unsentBytes = 0

  for (const { digest, key } of journal.unclaimed()) {
    const keys = unclaimed.get(digest)
    if (keys === undefined) unclaimed.set(digest, new Set([key]))
    else keys.add(key)
  }

  const isTaken = (key: string) => waiting.has(key) || delivered.has(key)

  const noLongerUnclaimed = (digest: string, key: string) => {
    const keys = unclaimed.get(digest)
    if (keys?.delete(key) === true && keys.size === 0) unclaimed.delete(digest)
  }

  const addUnsent = (pending: PendingRequest, now: number) => {
    unsent.set(pending.key, pending)
    unsentBytes += pending.bytes
    latestAt = now
    hasUnsent.openUnsafe()
  }

  const removeUnsent = ({ bytes, key }: PendingRequest) => {
    if (unsent.delete(key)) unsentBytes -= bytes
    if (unsent.size === 0) hasUnsent.closeUnsafe()
  }

  const replyTo = ({ model }: MessageRequest, message: ApiMessage) =>
    toReply(message, { model, prices, billing: "batch", requestId: null })

  const failWith = (keys: Iterable<string>, error: ClaudeError) => {
    for (const key of keys) {
      const pending = waiting.get(key)
      if (pending !== undefined) Deferred.doneUnsafe(pending.reply, Effect.fail(error))
    }
  }

  return {
    register: (journal, { identity, onSend, rejected, request }, now) => {
      const wait = (key: string): PendingRequest => {
        const bytes = Buffer.byteLength(JSON.stringify(request)) + overhead
        const reply = Deferred.makeUnsafe<Reply, ClaudeError>()
        const pending = { key, digest: identity.digest, request, bytes, reply, onSend }
        waiting.set(key, pending)
        return pending
      }
      /** What the journal has for a key: its reply, or a request that waits for the batch it is in. */
      const resume = (key: string): PendingRequest | UnclaimedReply | "rejected" | undefined => {
        const entry = journal.find(key)
        noLongerUnclaimed(identity.digest, key)
        if (entry?.result === null) {
          onSend?.()
          return wait(key)
        }
        if (entry?.result._tag !== "Replied") return undefined
        const reply = replyTo(request, entry.result.message)
        if (reply.text === rejected) return "rejected"
        delivered.add(key)
        journal.markClaimed(key)
        return { key, unclaimed: reply }
      }

      for (let ordinal = 0; ; ordinal++) {
        const key = customId(identity, ordinal)
        if (isTaken(key)) continue
        const resumed = resume(key)
        if (resumed === "rejected") {
          delivered.add(key)
          continue
        }
        if (resumed !== undefined) return resumed
        // The response cache sends one request for several tasks, and after a crash for another of them than before.
        for (const other of unclaimed.get(identity.digest) ?? []) {
          if (isTaken(other)) {
            noLongerUnclaimed(identity.digest, other)
            continue
          }
          const resumed = resume(other)
          if (resumed !== undefined && resumed !== "rejected") return resumed
        }
        // New, or answered by an error for which no attempt waited: it is sent.
        const pending = wait(key)
        addUnsent(pending, now)
        return pending
      }
    },
    remove: (pending, wasDelivered) => {
      if (wasDelivered) delivered.add(pending.key)
      waiting.delete(pending.key)
      removeUnsent(pending)
    },
    isWaiting: (key) => waiting.has(key),
    take: (limits) => {
      const taken: Array<PendingRequest> = []
      let bytes = 0
      for (const pending of unsent.values()) {
        if (taken.length === limits.requests) break
        if (taken.length > 0 && bytes + pending.bytes > limits.bytes) break
        taken.push(pending)
        bytes += pending.bytes
      }
      for (const pending of taken) {
        removeUnsent(pending)
        pending.onSend?.()
      }
      return taken
    },
    putBack: (keys) => {
      for (const key of keys) {
        const pending = waiting.get(key)
        if (pending !== undefined) addUnsent(pending, latestAt)
      }
    },
    complete: (key, result) => {
      const pending = waiting.get(key)
      if (pending === undefined) return
      if (result._tag === "Unanswered") return failWith([key], toError(result))
      Deferred.doneUnsafe(pending.reply, Effect.succeed(replyTo(pending.request, result.message)))
    },
    fail: failWith,
    failAll: (error) => failWith(waiting.keys(), error),
    unsent: () => ({ requests: unsent.size, bytes: unsentBytes, latestAt }),
    awaitUnsent: hasUnsent.await
  }
}
