import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type { ClaudeError } from "../../ClaudeError.ts"
import type { MessageRequest } from "../../MessageRequest.ts"
import type { Reply } from "../../Reply.ts"
import { type Answer, toError } from "./answer.ts"
import { customId, type Identity } from "./identity.ts"
import type { Journal } from "./journal.ts"

/** Someone who waits for the answer to a request: a fiber, and no timer. */
export interface Waiter {
  readonly key: string
  readonly digest: string
  readonly request: MessageRequest
  readonly bytes: number
  readonly reply: Deferred.Deferred<Reply, ClaudeError>
  /** Told when the request becomes part of a batch. */
  readonly onSend: (() => void) | undefined
}

/** Who waits for what. All functions run in one go. */
export interface Desk {
  readonly waiting: Map<string, Waiter>
  /** Those among them whose request is in no batch yet, and in no journal. */
  readonly arrivals: Map<string, Waiter>
  /** What this run has had already, and does not want again. */
  readonly handedOut: Set<string>
  /** What earlier runs left behind and nobody has asked for yet: keys by the digest of the request. */
  readonly orphans: Map<string, Set<string>>
  /** Open while there are arrivals. */
  readonly arrived: Latch.Latch
  /** When the latest arrived. */
  arrivedAt: number
  arrivedBytes: number
}

export const make = (journal: Journal): Desk => {
  const orphans = new Map<string, Set<string>>()
  for (const { digest, key } of journal.unclaimed()) {
    const keys = orphans.get(digest)
    if (keys === undefined) orphans.set(digest, new Set([key]))
    else keys.add(key)
  }
  return {
    waiting: new Map(),
    arrivals: new Map(),
    handedOut: new Set(),
    orphans,
    arrived: Latch.makeUnsafe(false),
    arrivedAt: 0,
    arrivedBytes: 0
  }
}

/**
 * Finds the answer to a request in the journal, or waits for it: in the batch that it is part of already, or in the next
 * one. The same request, asked a second time in one run, is another one, because the first answer was no use; asked for
 * the first time by a later run, it is the one that the journal knows. So are the answers of a vote told apart.
 */
export const register = (
  desk: Desk,
  journal: Journal,
  asked: {
    readonly identity: Identity
    readonly request: MessageRequest
    readonly rejected: string | null
    readonly onSend: (() => void) | undefined
  },
  now: number
): Waiter | { readonly key: string; readonly answered: Reply } => {
  const { identity, onSend, rejected, request } = asked
  const isTaken = (key: string) => desk.waiting.has(key) || desk.handedOut.has(key)
  const wait = (key: string): Waiter => {
    const bytes = Buffer.byteLength(JSON.stringify(request)) + overhead
    const reply = Deferred.makeUnsafe<Reply, ClaudeError>()
    const waiter = { key, digest: identity.digest, request, bytes, reply, onSend }
    desk.waiting.set(key, waiter)
    return waiter
  }
  const waitInBatch = (key: string): Waiter => {
    onSend?.()
    return wait(key)
  }
  const handOut = (key: string, answered: Reply) => {
    desk.handedOut.add(key)
    journal.claim(key)
    return { key, answered }
  }

  for (let ordinal = 0; ; ordinal++) {
    const key = customId(identity, ordinal)
    if (isTaken(key)) continue
    const entry = journal.find(key)
    adopt(desk, identity, key)
    if (entry?.answer?._tag === "Replied") {
      if (entry.answer.reply.text !== rejected) return handOut(key, entry.answer.reply)
      desk.handedOut.add(key)
      continue
    }
    if (entry?.answer === null) return waitInBatch(key)
    // The response cache asks once for several tasks that want the same, and after a crash for another of them than before.
    for (const orphan of desk.orphans.get(identity.digest) ?? []) {
      adopt(desk, identity, orphan)
      const left = isTaken(orphan) ? undefined : journal.find(orphan)
      if (left?.answer === null) return waitInBatch(orphan)
      if (left?.answer?._tag !== "Replied" || left.answer.reply.text === rejected) continue
      return handOut(orphan, left.answer.reply)
    }
    // New, or answered by an error while nobody waited, which was nobody's attempt: to be sent.
    const waiter = wait(key)
    arrive(desk, waiter, now)
    return waiter
  }
}

const adopt = ({ orphans }: Desk, { digest }: Identity, key: string) => {
  const keys = orphans.get(digest)
  if (keys?.delete(key) === true && keys.size === 0) orphans.delete(digest)
}

/** What a batch adds to a request: its id and some punctuation. */
const overhead = 128

const arrive = (desk: Desk, waiter: Waiter, now: number) => {
  desk.arrivals.set(waiter.key, waiter)
  desk.arrivedBytes += waiter.bytes
  desk.arrivedAt = now
  desk.arrived.openUnsafe()
}

/** Takes as many arrivals as fit into one batch. */
export const take = (desk: Desk, limits: { readonly requests: number; readonly bytes: number }) => {
  const taken: Array<Waiter> = []
  let bytes = 0
  for (const waiter of desk.arrivals.values()) {
    if (taken.length === limits.requests) break
    if (taken.length > 0 && bytes + waiter.bytes > limits.bytes) break
    taken.push(waiter)
    bytes += waiter.bytes
  }
  for (const waiter of taken) {
    leave(desk, waiter)
    waiter.onSend?.()
  }
  return taken
}

const leave = (desk: Desk, waiter: Waiter) => {
  if (desk.arrivals.delete(waiter.key)) desk.arrivedBytes -= waiter.bytes
  if (desk.arrivals.size === 0) desk.arrived.closeUnsafe()
}

/** Nobody waits any more. A request that is in a batch stays there, for whoever asks next. */
export const forget = (desk: Desk, waiter: Waiter) => {
  desk.waiting.delete(waiter.key)
  leave(desk, waiter)
}

/** Requests that turn out to be in no batch wait for the next one, as far as someone waits for them. */
export const putBack = (desk: Desk, keys: Iterable<string>) => {
  for (const key of keys) {
    const waiter = desk.waiting.get(key)
    if (waiter !== undefined) arrive(desk, waiter, desk.arrivedAt)
  }
}

export const answer = (desk: Desk, key: string, answer: Answer) => {
  const waiter = desk.waiting.get(key)
  if (waiter === undefined) return
  const result = answer._tag === "Replied" ? Effect.succeed(answer.reply) : Effect.fail(toError(answer))
  Deferred.doneUnsafe(waiter.reply, result)
}

export const fail = (desk: Desk, keys: Iterable<string>, error: ClaudeError) => {
  for (const key of keys) {
    const waiter = desk.waiting.get(key)
    if (waiter !== undefined) Deferred.doneUnsafe(waiter.reply, Effect.fail(error))
  }
}
