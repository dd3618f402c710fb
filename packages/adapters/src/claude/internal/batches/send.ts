import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type { ClaudeClientService } from "../../ClaudeClient.ts"
import { ClaudeError } from "../../ClaudeError.ts"
import { noTokens } from "../../Reply.ts"
import type { BatchApi } from "./batchApi.ts"
import { collector } from "./collector.ts"
import * as Desk from "./desk.ts"
import { identify } from "./identity.ts"
import * as JournalFile from "./journalFile.ts"
import type { Office } from "./office.ts"
import { poller } from "./poller.ts"

/** How requests become batches. */
export interface Options {
  /** Where the journal is. The file is made where there is none, readable for this user alone. */
  readonly filename: string
  /** A batch is created when no request has arrived for this long. Default 1 second. */
  readonly gather?: Duration.Input | undefined
  /** The most requests in one batch. Default 100,000, which is the API's own limit. */
  readonly maxRequests?: number | undefined
}

/** The API takes 256 MB. A batch is built in memory, so it is kept well below that. */
const maxBytes = 100_000_000

type Send = ClaudeClientService["send"]

/** Sends requests as parts of batches; collector and poller work until the scope closes. */
export const make = Effect.fnUntraced(function* (
  api: BatchApi,
  options: Options
): Effect.fn.Return<Send, ClaudeError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const journal = yield* JournalFile.open(options.filename)
  const desk = yield* journal.use(Desk.make)
  const office: Office = {
    api,
    journal,
    desk,
    clock,
    gather: Duration.toMillis(options.gather ?? "1 second"),
    limits: { requests: options.maxRequests ?? 100_000, bytes: maxBytes },
    startedAt: clock.currentTimeMillisUnsafe(),
    beingCreated: new Set(),
    doubtedSince: new Map(),
    changed: Latch.makeUnsafe(false),
    closing: Latch.makeUnsafe(false)
  }
  /** Set when nothing can be sent any more. */
  let broken: ClaudeError | undefined
  const surviving = (fiber: Effect.Effect<never, ClaudeError>) =>
    Effect.catchCause(fiber, (cause) =>
      Effect.sync(() => {
        if (Cause.hasInterruptsOnly(cause)) return
        broken = brokenBy(Cause.squash(cause))
        Desk.fail(desk, desk.waiting.keys(), broken)
      })
    )
  yield* Effect.forkScoped(surviving(collector(office)))
  yield* Effect.forkScoped(surviving(poller(office)))
  // Runs first, so that a batch that is being created knows that its time is short.
  yield* Effect.addFinalizer(() => Latch.open(office.closing))

  return (request, about) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        if (broken !== undefined) return yield* Effect.fail(broken)
        const { onSend, rejected } = about
        const asked = { identity: identify(request, about), request, rejected, onSend }
        const found = yield* journal.use((journal) =>
          Desk.register(desk, journal, asked, clock.currentTimeMillisUnsafe())
        )
        if ("answered" in found) return found.answered
        return yield* Effect.onExit(restore(Deferred.await(found.reply)), (exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) desk.handedOut.add(found.key)
            Desk.forget(desk, found)
          })
        )
      })
    )
})

const brokenBy = (cause: unknown): ClaudeError =>
  cause instanceof ClaudeError
    ? cause
    : new ClaudeError({
        reason: "Fatal",
        type: "batches",
        message: `The batches broke: ${String(cause)}`,
        tokens: noTokens,
        cause
      })
