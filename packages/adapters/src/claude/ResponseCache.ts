/**
 * Answers of Claude in a file, so that the same request is paid for once: after a crash, in a second run over the same
 * list, or for two tasks that ask the same. Verdicts too, as the judge sends requests like any other.
 *
 * The same is: the same model and the same request, down to the last character. An answer is in the file before whoever
 * asked hears of it. Only answers that ended by themselves are kept: no failure, no refusal, nothing that was cut off.
 * A task that was requeued gets a new answer, and so does one whose answer of before was rejected.
 *
 * A file of a gigabyte forgets its oldest answers as new ones come.
 *
 * Answers out of the cache have used no tokens. Whoever asks for something that is under way already waits for that answer.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { existsSync, statSync } from "node:fs"
import { type About, ClaudeClient, type ClaudeClientService } from "./ClaudeClient.ts"
import type { ClaudeError } from "./ClaudeError.ts"
import * as CacheFile from "./internal/cache/file.ts"
import { keyOf } from "./internal/cache/key.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import { noTokens, type Reply } from "./Reply.ts"
import type { ResponseCacheError } from "./ResponseCacheError.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /** Where the answers are. The file is made where there is none, readable for this user alone; processes can share it. */
  readonly filename: string
  /** The address of the server, where it is not the API's own: each server has answers of its own. */
  readonly server?: string | undefined
}

/**
 * A client that sends only what the cache has no answer for, through another client. Fails with one sentence, and leaves
 * the file as it is, when the file is damaged or no cache of Baton's. Once it is open, a file that fails costs a warning
 * and never an answer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ClaudeClient, ResponseCacheError, ClaudeClient> =>
  Layer.effect(ClaudeClient, make(options))

/** How a request that others wait for has ended. */
type Landing =
  | { readonly _tag: "Answered"; readonly reply: Reply }
  /** With an error, or with an answer that is not worth keeping. */
  | { readonly _tag: "Unanswered" }
  /** It was interrupted, which says nothing about the request. */
  | { readonly _tag: "Abandoned" }

const make = Effect.fnUntraced(function* ({ filename, server }: Options) {
  const client = yield* ClaudeClient
  const file = yield* CacheFile.open(filename)
  const flights = new Map<string, Deferred.Deferred<Landing>>()

  let warned = false
  const warn = (error: ResponseCacheError) =>
    Effect.suspend(() => {
      if (warned) return Effect.void
      warned = true
      return Effect.logWarning(`Answers are not kept. ${error.message}`)
    })

  const look = (key: string, about: About) =>
    file.get(key).pipe(
      Effect.catch((error) => Effect.as(warn(error), Option.none<Reply>())),
      Effect.map(Option.filter(({ text }) => text !== about.rejected))
    )

  const sendAndKeep = (key: string, request: MessageRequest, about: About) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.tap(restore(client.send(request, about)), (reply) =>
        isKept(reply) ? Effect.catch(file.set(key, reply), warn) : Effect.void
      )
    )

  /** Asks for all who want the same from now on; whatever becomes of it, they are told. */
  const lead = (key: string, request: MessageRequest, about: About): Effect.Effect<Reply, ClaudeError> =>
    Effect.uninterruptibleMask((restore) => {
      const landed = Deferred.makeUnsafe<Landing>()
      flights.set(key, landed)
      return restore(
        Effect.flatMap(look(key, about), (found) =>
          Option.isSome(found) ? Effect.succeed(fromCache(found.value)) : sendAndKeep(key, request, about)
        )
      ).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            flights.delete(key)
            Deferred.doneUnsafe(landed, Effect.succeed(landingOf(exit)))
          })
        )
      )
    })

  const send = (request: MessageRequest, about: About): Effect.Effect<Reply, ClaudeError> =>
    Effect.suspend(() => {
      const key = keyOf(request, about, server)
      const landing = flights.get(key)
      if (landing === undefined) return lead(key, request, about)
      return Effect.flatMap(Deferred.await(landing), (landed) => {
        if (landed._tag === "Abandoned") return send(request, about)
        return landed._tag === "Answered" && landed.reply.text !== about.rejected
          ? Effect.succeed(fromCache(landed.reply))
          : sendAndKeep(key, request, about)
      })
    })

  return { ...client, send } satisfies ClaudeClientService
})

/** Whether an answer ended by itself. A refusal, or one that was cut off, may turn out better the next time. */
const isKept = ({ stopReason, text }: Reply): boolean =>
  (stopReason === "end_turn" || stopReason === "stop_sequence") && text !== ""

const fromCache = (reply: Reply): Reply => ({ ...reply, tokens: noTokens, cached: true })

const landingOf = (exit: Exit.Exit<Reply, ClaudeError>): Landing => {
  if (Exit.isSuccess(exit)) {
    return isKept(exit.value) ? { _tag: "Answered", reply: exit.value } : { _tag: "Unanswered" }
  }
  return Exit.hasInterrupts(exit) ? { _tag: "Abandoned" } : { _tag: "Unanswered" }
}

/**
 * What is in a cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly entries: number
  /** What it takes on the disk. */
  readonly bytes: number
}

/**
 * Looks at a cache; where there is no file, it is empty.
 *
 * @category getters
 * @since 0.1.0
 */
export const info = ({ filename }: Pick<Options, "filename">): Effect.Effect<Info, ResponseCacheError> =>
  Effect.suspend(() => {
    if (!existsSync(filename)) return Effect.succeed({ entries: 0, bytes: 0 })
    return Effect.scoped(
      Effect.map(
        Effect.flatMap(CacheFile.open(filename), ({ entries }) => entries),
        (entries) => ({ entries, bytes: sizeOf(filename) + sizeOf(`${filename}-wal`) })
      )
    )
  })

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/**
 * Forgets all answers and returns how many there were. Other processes can have the cache open meanwhile.
 *
 * @category running
 * @since 0.1.0
 */
export const clear = ({ filename }: Pick<Options, "filename">): Effect.Effect<number, ResponseCacheError> =>
  Effect.suspend(() =>
    existsSync(filename)
      ? Effect.scoped(Effect.flatMap(CacheFile.open(filename), ({ clear }) => clear))
      : Effect.succeed(0)
  )
