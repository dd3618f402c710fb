import type { LeaseToken } from "@baton/core/Attempt"
import type { TaskId } from "@baton/core/Task"
import type { Lease } from "@baton/core/TaskStore"
import * as Budget from "@baton/core/Budget"
import * as Usage from "@baton/core/Usage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { ClaudeError } from "../../ClaudeError.ts"
import type { About } from "../../ClaudeClient.ts"
import { type Grant, granted } from "../../../internal/chat/Client.ts"
import type { MessageRequest } from "../../../internal/chat/MessageRequest.ts"
import type { PriceTable } from "../../../internal/chat/Pricing.ts"
import type { Reply } from "../../../internal/chat/Reply.ts"
import { type ApiMessage, toReply } from "../apiMessage.ts"
import { customId, identify } from "../requestIdentity.ts"
import * as BatchBody from "./batchBody.ts"
import { type BatchResult, toError } from "./batchResult.ts"
import type { Entry, Journal } from "./journal.ts"

/** A request that waits for its reply: it costs a fiber and no timer. */
export interface PendingRequest {
  /** Its custom id. */
  readonly key: string
  readonly request: MessageRequest
  readonly taskId: TaskId
  readonly queue: string
  readonly token: LeaseToken
  readonly hold: Grant["hold"]
  /** Nothing is reserved for it, because an earlier attempt sent it. */
  readonly isResumed: boolean
  /** The bytes that it adds to a batch. */
  readonly bytes: number
  readonly reply: Deferred.Deferred<Reply, ClaudeError>
  /** Called when the request becomes part of a batch. */
  readonly onSend: (() => void) | undefined
  /** The batch that it is in. */
  run: string | undefined
}

/** The requests of this process that wait for a reply. */
export interface PendingRequests {
  /** Whether a request is in a batch already, or has a reply that no task has taken. */
  readonly isKnown: (request: MessageRequest, about: About) => Effect.Effect<boolean, ClaudeError>
  /**
   * Waits for the reply to a request: from the journal, from the batch that it is in, or from the next batch. A request that is repeated in
   * one process is a new request, because its first reply was unusable; the first such request of a later process resumes the
   * one in the journal, and so does that of an attempt that follows one which lost its lease. The same rule distinguishes the votes of
   * a quorum.
   */
  readonly send: (request: MessageRequest, about: About, grant: Grant) => Effect.Effect<Reply, ClaudeError>
  readonly waitingFor: (key: string) => PendingRequest | undefined
  /** The batches in which requests wait. */
  readonly runs: () => ReadonlySet<string>
  readonly inRun: (run: string) => ReadonlyArray<PendingRequest>
  /** Takes as many unsent requests of one queue as fit into one batch. */
  readonly take: (limits: BatchLimits) => ReadonlyArray<PendingRequest>
  /** Adds requests that are in no batch to the unsent ones again, as far as a fiber waits for them. */
  readonly putBack: (requests: Iterable<PendingRequest>) => void
  /** The requests are in a batch, which a poller follows. */
  readonly joined: (requests: Iterable<PendingRequest>, run: string) => void
  /**
   * Delivers what the journal has for requests that are in batches of other workers, or lets them wait there. Those that it does
   * not have fail, and are sent again.
   */
  readonly follow: (requests: ReadonlyArray<PendingRequest>) => Effect.Effect<void, ClaudeError>
  readonly complete: (key: string, result: BatchResult) => void
  readonly fail: (requests: Iterable<PendingRequest>, error: ClaudeError) => void
  readonly failAll: (error: ClaudeError) => void
  /** What a result cost; null if that is unknown. */
  readonly spentOn: (key: string, result: BatchResult) => Budget.Amount | undefined
  /** The requests that are in no batch and not in the journal yet. */
  readonly unsent: () => { readonly requests: number; readonly bytes: number; readonly latestAt: number }
  /** Returns when there are unsent requests. */
  readonly awaitUnsent: Effect.Effect<void>
}

export interface BatchLimits {
  readonly requests: number
  /** Of the whole body. */
  readonly bytes: number
}

interface Options {
  readonly journal: Journal
  /** Whether the attempt that had this lease ended without a result, so that its replies are not known to be unusable. */
  readonly endedWithoutResult: (lease: Lease) => Effect.Effect<boolean, ClaudeError>
  readonly prices: PriceTable
  readonly now: () => number
  /** Called when there is a new batch to follow. */
  readonly onJoined: () => void
}

/** The attempt makes the request again, and reserves its worst case. */
export const sentAgain = () =>
  new ClaudeError({
    reason: "Transient",
    type: "batch_lost",
    message: "The batch of the request does not exist; the request is sent again.",
    usage: Usage.zero
  })

/** The attempt is cut off, and another one makes the request. */
export const leaseLost = () =>
  new ClaudeError({
    reason: "Failed",
    type: "lease_lost",
    message: "The lease of the task ended before its request was answered.",
    usage: Usage.zero
  })

export const make = ({ endedWithoutResult, journal, now, onJoined, prices }: Options): PendingRequests => {
  const waiting = new Map<string, PendingRequest>()
  const unsent = new Map<string, PendingRequest>()
  /** Keys whose reply this process has received, and does not want a second time, with the lease of the attempt that has it. */
  const delivered = new Map<string, Lease>()
  const hasUnsent = Latch.makeUnsafe(false)
  let latestAt = 0
  let unsentBytes = 0

  /** Whether a fiber waits for a key or has its reply. One of an attempt whose lease has passed to this one does not count. */
  const isTaken = (key: string, lease: Lease) => {
    const other = waiting.get(key)
    return (other !== undefined && !hasPassed(other, lease)) || delivered.has(key)
  }

  /** Forgets that a key was delivered, to an attempt that may not have used the reply. */
  const forgetUnused = Effect.fnUntraced(function* (key: string, lease: Lease): Effect.fn.Return<void, ClaudeError> {
    const earlier = delivered.get(key)
    if (earlier === undefined || !hasPassed(earlier, lease) || !(yield* endedWithoutResult(earlier))) return
    if (delivered.get(key) === earlier) delivered.delete(key)
  })

  const addUnsent = (pending: PendingRequest, at: number) => {
    unsent.set(pending.key, pending)
    unsentBytes += pending.bytes
    latestAt = at
  }

  const removeUnsent = (pending: PendingRequest) => {
    if (unsent.get(pending.key) === pending) {
      unsent.delete(pending.key)
      unsentBytes -= pending.bytes
    }
    if (unsent.size === 0) hasUnsent.closeUnsafe()
  }

  const replyTo = (model: string, message: ApiMessage) =>
    toReply(message, { model, prices, billing: "batch", requestId: null })

  const failWith = (requests: Iterable<PendingRequest>, error: ClaudeError) => {
    for (const { reply } of requests) Deferred.doneUnsafe(reply, Effect.fail(error))
  }

  /** What the journal has for a request. `other`: nothing that it can have. */
  const read = (
    { request, taskId }: Pick<PendingRequest, "request" | "taskId">,
    { isShared, rejected }: Pick<About, "isShared" | "rejected">,
    entry: Entry | undefined
  ): Reply | "none" | "other" | "waits" => {
    if (entry === undefined) return "none"
    if (entry.result === undefined) return "waits"
    // It was answered by an error for which no attempt waited: it is sent.
    if (entry.result._tag !== "Replied") return "none"
    const reply = replyTo(request.model, entry.result.message)
    if (reply.text === rejected) return "other"
    if (entry.takenBy === undefined || entry.takenBy === taskId) return reply
    return isShared === true ? "other" : reply
  }

  const isKnown = Effect.fnUntraced(function* (request: MessageRequest, about: About) {
    const identity = identify(request, about)
    const lease = leaseOf(about)
    for (let ordinal = 0; ; ordinal++) {
      const key = customId(identity, ordinal)
      yield* forgetUnused(key, lease)
      if (isTaken(key, lease)) continue
      const found = read({ request, taskId: about.taskId }, about, yield* journal.find({ key, taskId: about.taskId }))
      if (found !== "other") return found !== "none"
    }
  })

  /** Registers a request under a key that no other fiber waits for. Returns its reply if there is one. */
  const register = Effect.fnUntraced(function* (
    asked: MessageRequest,
    about: About,
    grant: Grant,
    started: { pending: PendingRequest | undefined }
  ): Effect.fn.Return<Reply | PendingRequest, ClaudeError> {
    const { isResumed = false, leaseToken: token, onSend, queue, taskId } = about
    const { hold } = grant
    // It is recognised without a lower maximum, which depends on the rest of a budget.
    const identity = identify(asked, about)
    const request = granted(asked, grant)
    const lease = leaseOf(about)
    for (let ordinal = 0; ; ordinal++) {
      const key = customId(identity, ordinal)
      yield* forgetUnused(key, lease)
      if (isTaken(key, lease)) continue
      const reply = Deferred.makeUnsafe<Reply, ClaudeError>()
      const pending: PendingRequest = {
        ...{ key, request, taskId, queue, token, hold, isResumed, reply, onSend },
        bytes: BatchBody.bytesOf({ custom_id: key, params: request }),
        run: undefined
      }
      started.pending = pending
      const outdated = waiting.get(key)
      waiting.set(key, pending)
      if (outdated !== undefined) {
        removeUnsent(outdated)
        failWith([outdated], leaseLost())
      }
      const entry = yield* journal.take({ key, taskId })
      // Another attempt has taken its place meanwhile, so its reply has failed.
      if (waiting.get(key) !== pending) return pending
      const found = read(pending, about, entry)
      if (found === "other") {
        waiting.delete(key)
        delivered.set(key, lease)
      } else if (found === "none") {
        if (isResumed) return yield* Effect.fail(sentAgain())
        addUnsent(pending, now())
        hasUnsent.openUnsafe()
        return pending
      } else {
        hold?.moveTo("none")
        if (found !== "waits") return found
        joined([pending], entry?.run ?? "")
        return pending
      }
    }
  })

  const joined = (requests: Iterable<PendingRequest>, run: string) => {
    for (const pending of requests) {
      pending.run = run
      pending.onSend?.()
    }
    onJoined()
  }

  const send = (request: MessageRequest, about: About, grant: Grant): Effect.Effect<Reply, ClaudeError> =>
    Effect.suspend(() => {
      const started: { pending: PendingRequest | undefined } = { pending: undefined }
      return Effect.onExit(
        Effect.flatMap(register(request, about, grant, started), (found) =>
          "text" in found ? Effect.succeed(found) : Deferred.await(found.reply)
        ),
        (exit) =>
          Effect.sync(() => {
            const { pending } = started
            if (pending === undefined) return
            if (exit._tag === "Success") delivered.set(pending.key, leaseOf(about))
            if (waiting.get(pending.key) === pending) waiting.delete(pending.key)
            removeUnsent(pending)
          })
      )
    })

  const complete = (key: string, result: BatchResult) => {
    const pending = waiting.get(key)
    if (pending === undefined) return
    if (result._tag === "Unanswered") return failWith([pending], toError(result))
    Deferred.doneUnsafe(pending.reply, Effect.succeed(replyTo(pending.request.model, result.message)))
  }

  /** Another task has the reply, and its cost. */
  const completeFor = (pending: PendingRequest, { result, takenBy }: Entry) => {
    if (result === undefined) return
    if (result._tag === "Unanswered" || takenBy === undefined || takenBy === pending.taskId)
      return complete(pending.key, result)
    const reply = replyTo(pending.request.model, result.message)
    Deferred.doneUnsafe(pending.reply, Effect.succeed({ ...reply, usage: Usage.zero, cached: true }))
  }

  return {
    isKnown,
    send,
    waitingFor: (key) => waiting.get(key),
    runs: () => new Set(Array.from(waiting.values()).flatMap(({ run }) => run ?? [])),
    inRun: (run) => Array.from(waiting.values()).filter((pending) => pending.run === run),
    take: (limits) => {
      const taken: Array<PendingRequest> = []
      let bytes = 0
      for (const pending of unsent.values()) {
        if (taken.length === limits.requests) break
        if (taken[0] !== undefined && taken[0].queue !== pending.queue) continue
        if (taken.length > 0 && BatchBody.lengthOf(bytes + pending.bytes) > limits.bytes) break
        taken.push(pending)
        bytes += pending.bytes
      }
      for (const pending of taken) removeUnsent(pending)
      return taken
    },
    putBack: (requests) => {
      for (const pending of requests) {
        pending.run = undefined
        if (waiting.get(pending.key) === pending) addUnsent(pending, latestAt)
      }
      // The fiber that waits for it runs at once, and takes all of them.
      if (unsent.size > 0) hasUnsent.openUnsafe()
    },
    joined,
    follow: Effect.fnUntraced(function* (requests) {
      if (requests.length === 0) return
      const entries = yield* journal.takeAll(requests)
      for (const pending of requests) {
        const entry = entries.get(pending.key)
        if (entry === undefined) failWith([pending], sentAgain())
        else if (entry.result === undefined) joined([pending], entry.run)
        else completeFor(pending, entry)
      }
    }),
    complete,
    fail: failWith,
    failAll: (error) => failWith(waiting.values(), error),
    spentOn: (key, result) => {
      if (result._tag === "Unanswered") return result.unmetered === true ? undefined : Budget.zero
      const model = waiting.get(key)?.request.model
      const { usage } = replyTo(model ?? result.message.model, result.message)
      // The model that answered can have another name than the one that was asked, and so no price.
      if (usage === undefined || (model === undefined && Usage.maxUsd(usage) === null)) return undefined
      return Budget.ofUsage(usage)
    },
    unsent: () => ({ requests: unsent.size, bytes: unsentBytes, latestAt }),
    awaitUnsent: hasUnsent.await
  }
}

const leaseOf = ({ leaseToken, taskId }: About): Lease => ({ taskId, token: leaseToken })

/** Whether `to` is a later lease of the same task. */
const hasPassed = (lease: Lease, to: Lease): boolean => lease.taskId === to.taskId && lease.token < to.token
