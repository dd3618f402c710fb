import { idempotencyKey } from "@baton/core/AttemptContext"
import { createHash } from "node:crypto"
import type { About } from "../../ClaudeClient.ts"
import type { MessageRequest } from "../../MessageRequest.ts"

const digest = (text: string): string => createHash("sha256").update(text).digest("base64url")

/** What a request is known by. */
export interface Identity {
  /** The same for all tasks that ask the same. */
  readonly digest: string
  readonly id: string
}

/**
 * What makes two requests the same: the task, how often it was requeued, what it is for and what it says. The number of
 * the attempt is no part of it: it grows when a worker is killed, and then the same request has to find the answer that
 * is on its way already.
 */
export const identify = (request: MessageRequest, about: About): Identity => {
  const same = digest(JSON.stringify([about.purpose, about.requeues, part(about), canonical(request)]))
  const readable = about.taskId.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 20)
  return { digest: same, id: `${readable}_${digest(JSON.stringify([about.taskId, same]))}` }
}

/**
 * The id of the n-th request of one identity: a vote of several, or one more after an answer that was no use. Fits the
 * 64 characters that the API allows.
 */
export const customId = ({ id }: Identity, ordinal: number): string =>
  ordinal === 0 ? id : `${id.slice(0, -43)}${digest(`${id}#${ordinal}`)}`

/** What an attempt with several requests put behind its key. */
const part = ({ idempotencyKey: key, requeues, taskId }: About): string => {
  const first = idempotencyKey({ id: taskId, attempts: 0, requeues }).slice(0, -1)
  return key.startsWith(first) ? key.slice(first.length).replace(/^\d+/, "") : ""
}

/** JSON whose keys are in order, so that a request that is put together differently is still the same. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, member]) => [key, canonical(member)])
  )
}
