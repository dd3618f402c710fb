import { idempotencyKey } from "@baton/core/AttemptContext"
import { createHash } from "node:crypto"
import { defaultQueue } from "@baton/core/Task"
import { canonicalJson } from "../../internal/chat/cacheKey.ts"
import type { About } from "../ClaudeClient.ts"
import type { MessageRequest } from "../../internal/chat/MessageRequest.ts"

/** How a request is recognised among those in batches. */
export interface RequestIdentity {
  /** The same for all tasks with the same request. */
  readonly digest: string
  /** Different for each task, unless one request is sent for all of them. */
  readonly id: string
}

/**
 * Two requests are the same when they agree in task, number of requeues, purpose and content. The number of the attempt
 * does not count: it grows when a worker is killed, and the same request must then find the answer that is under way.
 */
export const identify = (request: MessageRequest, about: About): RequestIdentity => {
  const same = digest(canonicalJson([about.purpose, about.requeues, keySuffix(about), request]))
  if (about.isShared === true) return { digest: same, id: `${about.purpose}_${same}` }
  const readable = about.taskId.replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 20)
  return { digest: same, id: `${readable}_${digest(JSON.stringify([about.taskId, same]))}` }
}

/**
 * The custom id of the n-th request with one identity: one of several votes, or a request that is repeated after an
 * unusable answer. It fits into the 64 characters that the API allows.
 */
export const customId = ({ id }: RequestIdentity, ordinal: number): string =>
  ordinal === 0 ? id : `${id.slice(0, -43)}${digest(`${id}#${ordinal}`)}`

const digest = (text: string): string => createHash("sha256").update(text).digest("base64url")

/** What an attempt with several requests appended to its key. */
const keySuffix = ({ idempotencyKey: key, requeues, taskId }: About): string => {
  const first = idempotencyKey({ id: taskId, queue: defaultQueue, attempts: 0, requeues }).slice(0, -1)
  return key.startsWith(first) ? key.slice(first.length).replace(/^\d+/, "") : ""
}
