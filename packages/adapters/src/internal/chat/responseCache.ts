/** A cache of replies in a file, for a client of any API. */
import type { SafetyStop } from "@baton/core/SafetyStop"
import * as Usage from "@baton/core/Usage"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { existsSync, statSync } from "node:fs"
import { cacheKey } from "./cacheKey.ts"
import type { About, ClientService } from "./Client.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import type { ModelError, ResponseCacheError } from "./ModelError.ts"
import type { Reply } from "./Reply.ts"
import * as ResponseCacheFile from "./responseCacheFile.ts"

export interface Options {
  /** Path of the file. It is created where there is none, readable for this user alone; processes can share it. */
  readonly filename: string
  /** The address of the server, where it is not the API's own: replies are kept separately for each server. */
  readonly server?: string | undefined
}

/** The result of a request that others wait for. */
type Shared =
  | { readonly _tag: "Replied"; readonly reply: Reply }
  /** An error, or a reply that is not kept. */
  | { readonly _tag: "NothingKept" }
  /** The request was interrupted, so nothing is known about it. */
  | { readonly _tag: "Interrupted" }

/** A client that sends through another client only the requests that the cache has no reply for. */
export const decorate = Effect.fnUntraced(function* (
  client: ClientService,
  { filename, server }: Options
): Effect.fn.Return<ClientService, ResponseCacheError, Scope.Scope> {
  const file = yield* ResponseCacheFile.open(filename)
  const inFlight = new Map<string, Deferred.Deferred<Shared>>()

  let hasWarned = false
  const warn = (error: ResponseCacheError) =>
    Effect.suspend(() => {
      if (hasWarned) return Effect.void
      hasWarned = true
      return Effect.logWarning(`Replies are not kept. ${error.message}`)
    })

  const lookUp = (key: string, about: About) =>
    file.get(key).pipe(
      Effect.catch((error) => Effect.as(warn(error), Option.none<Reply>())),
      Effect.map(Option.filter(({ text }) => text !== about.rejected))
    )

  const sendAndKeep = (key: string, request: MessageRequest, about: About) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.tap(restore(client.send(request, { ...about, isShared: true })), (reply) =>
        isKept(reply) ? Effect.catch(file.set(key, reply), warn) : Effect.void
      )
    )

  /** Sends a request for all that need its reply from now on. They are notified however it ends. */
  const sendForAll = (
    key: string,
    request: MessageRequest,
    about: About
  ): Effect.Effect<Reply, ModelError | SafetyStop> =>
    Effect.uninterruptibleMask((restore) => {
      const shared = Deferred.makeUnsafe<Shared>()
      inFlight.set(key, shared)
      return restore(
        Effect.flatMap(lookUp(key, about), (found) =>
          Option.isSome(found) ? Effect.succeed(fromCache(found.value)) : sendAndKeep(key, request, about)
        )
      ).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            inFlight.delete(key)
            Deferred.doneUnsafe(shared, Effect.succeed(sharedOf(exit)))
          })
        )
      )
    })

  const send = (request: MessageRequest, about: About): Effect.Effect<Reply, ModelError | SafetyStop> =>
    Effect.suspend(() => {
      const key = cacheKey(request, about, server)
      const other = inFlight.get(key)
      if (other === undefined) return sendForAll(key, request, about)
      return Effect.flatMap(Deferred.await(other), (shared) => {
        if (shared._tag === "Interrupted") return send(request, about)
        return shared._tag === "Replied" && shared.reply.text !== about.rejected
          ? Effect.succeed(fromCache(shared.reply))
          : sendAndKeep(key, request, about)
      })
    })

  const { isInBatch } = client
  return {
    ...client,
    send,
    isInBatch: isInBatch && ((request, about) => isInBatch(request, { ...about, isShared: true }))
  } satisfies ClientService
})

/** Whether a reply ended by itself. One that was refused or cut off may be better the next time. */
const isKept = ({ stopReason, text }: Reply): boolean =>
  (stopReason === "end_turn" || stopReason === "stop_sequence") && text !== ""

const fromCache = (reply: Reply): Reply => ({ ...reply, usage: Usage.zero, cached: true })

const sharedOf = (exit: Exit.Exit<Reply, ModelError | SafetyStop>): Shared => {
  if (Exit.isSuccess(exit)) {
    return isKept(exit.value) ? { _tag: "Replied", reply: exit.value } : { _tag: "NothingKept" }
  }
  return Exit.hasInterrupts(exit) ? { _tag: "Interrupted" } : { _tag: "NothingKept" }
}

/**
 * The size of a cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly entries: number
  /** Its size on the disk. */
  readonly bytes: number
}

/**
 * Returns the size of a cache; zero without a file.
 *
 * @category getters
 * @since 0.1.0
 */
export const info = ({ filename }: Pick<Options, "filename">): Effect.Effect<Info, ResponseCacheError> =>
  Effect.suspend(() => {
    if (!existsSync(filename)) return Effect.succeed({ entries: 0, bytes: 0 })
    return Effect.scoped(
      Effect.map(
        Effect.flatMap(ResponseCacheFile.open(filename), ({ entries }) => entries),
        (entries) => ({ entries, bytes: sizeOf(filename) + sizeOf(`${filename}-wal`) })
      )
    )
  })

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/**
 * Removes all replies and returns their number. Other processes can have the cache open meanwhile.
 *
 * @category running
 * @since 0.1.0
 */
export const clear = ({ filename }: Pick<Options, "filename">): Effect.Effect<number, ResponseCacheError> =>
  Effect.suspend(() =>
    existsSync(filename)
      ? Effect.scoped(Effect.flatMap(ResponseCacheFile.open(filename), ({ clear }) => clear))
      : Effect.succeed(0)
  )
