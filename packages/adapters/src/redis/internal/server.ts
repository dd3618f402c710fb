import * as Effect from "effect/Effect"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Errors from "./errors.ts"
import type * as Replies from "./replies.ts"

/**
 * Looks at what a server says of itself (`INFO`, which unlike `CONFIG` hosted servers answer too): one that would lose
 * tasks is refused, one that keeps them in memory only is warned of, once.
 */
export const makeCheck = (server: string) => {
  let warned = false
  return Effect.fnUntraced(function* (reply: Replies.Reply): Effect.fn.Return<void, TaskStoreError> {
    const info = parseInfo(reply)
    // It does not say yet whether it keeps a log, and answers to nothing else.
    if (info.get("loading") === "1") return yield* Errors.unavailable(Errors.loading(server))
    const policy = info.get("maxmemory_policy") ?? ""
    // Those that evict `volatile` keys leave ours alone: none of them has an expiry.
    if (policy.startsWith("allkeys")) return yield* Errors.unusable(Errors.evicting(server, policy))
    if (info.get("role") === "slave") return yield* Errors.unavailable(Errors.readOnly(server))
    if (info.get("aof_enabled") !== "0" || warned) return
    warned = true
    yield* Effect.logWarning(
      `${server} keeps no log of its writes: should it crash, tasks and results since its last snapshot are lost. ` +
        "Set appendonly to yes there."
    ).pipe(Effect.annotateLogs({ module: "RedisTaskStore" }))
  })
}

/** The fields of a reply to `INFO`; none if it is no such reply. */
export const parseInfo = (reply: Replies.Reply): ReadonlyMap<string, string> =>
  new Map(
    (typeof reply === "string" ? reply : "").split("\r\n").flatMap((line): ReadonlyArray<readonly [string, string]> => {
      const colon = line.indexOf(":")
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : []
    })
  )
