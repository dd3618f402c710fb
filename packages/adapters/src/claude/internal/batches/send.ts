import type { BatchJournal } from "@baton/core/BatchJournal"
import type { TaskStore } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { ClaudeClientService } from "../../ClaudeClient.ts"
import { ClaudeError } from "../../ClaudeError.ts"
import { withoutBudget } from "../../../internal/chat/Client.ts"
import { Prices } from "../../../internal/chat/Pricing.ts"
import type { BatchApi } from "./batchApi.ts"
import { type BatchRuns, submit } from "./batchRuns.ts"
import * as Journal from "./journal.ts"
import * as PendingRequests from "./pendingRequests.ts"
import { poll } from "./poller.ts"

/** How requests become batches. */
export interface Options {
  /** A batch is created when no request has arrived for this long. Default 3 seconds: on a busy machine, requests of one list can arrive a second apart. */
  readonly gather?: Duration.Input | undefined
  /** The most requests in one batch. Default 100,000, which is the API's limit. */
  readonly maxRequests?: number | undefined
}

/** The API's limit, of the whole body in UTF-8. */
const maxBytes = 256_000_000

/** What a store keeps of requests in batches and of the attempts that made them. */
export interface BatchStore {
  readonly batches: BatchJournal
  readonly attempts: TaskStore["Service"]["attempts"]
}

/** How requests are sent, and recognised when they were sent before. */
export interface Sending extends Pick<ClaudeClientService, "send"> {
  readonly isInBatch: NonNullable<ClaudeClientService["isInBatch"]>
}

/** Sends requests in batches. The fibers that create and follow batches run until the scope closes. */
export const make = Effect.fnUntraced(function* (
  api: BatchApi,
  { attempts, batches }: BatchStore,
  options: Options = {}
): Effect.fn.Return<Sending, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const journal = Journal.make(batches)
  const prices = yield* Prices
  const changed = Latch.makeUnsafe(false)
  const pending = PendingRequests.make({
    journal,
    endedWithoutResult: ({ taskId, token }) =>
      Effect.map(Journal.waiting(attempts(taskId)), (all) => {
        const outcome = all.find((attempt) => attempt.token === token)?.outcome
        return outcome === "lease_expired" || outcome === "released"
      }),
    prices,
    now: () => clock.currentTimeMillisUnsafe(),
    onJoined: () => void changed.openUnsafe()
  })
  const runs: BatchRuns = {
    api,
    journal,
    pending,
    clock,
    newRun: () => randomUUID(),
    beingCreated: new Set(),
    isCollecting: false,
    changed,
    closing: Latch.makeUnsafe(false)
  }
  /** Set when no request can be sent any more. */
  let broken: ClaudeError | undefined
  const failingAll = (fiber: Effect.Effect<never, ClaudeError>) =>
    Effect.catchCause(fiber, (cause) =>
      Effect.sync(() => {
        if (Cause.hasInterruptsOnly(cause)) return
        broken = errorOf(Cause.squash(cause))
        pending.failAll(broken)
      })
    )
  const limits = { requests: options.maxRequests ?? 100_000, bytes: maxBytes }
  yield* Effect.forkScoped(failingAll(submit(runs, Duration.toMillis(options.gather ?? "3 seconds"), limits)))
  yield* Effect.forkScoped(failingAll(poll(runs)))
  // Runs first, so that the creation of a batch knows that its time is limited.
  yield* Effect.addFinalizer(() => Latch.open(runs.closing))

  return {
    send: (request, { spend = withoutBudget, ...about }) =>
      Effect.suspend(() =>
        broken === undefined ? spend((grant) => pending.send(request, about, grant)) : Effect.fail(broken)
      ),
    isInBatch: pending.isKnown
  }
})

const errorOf = (cause: unknown): ClaudeError =>
  cause instanceof ClaudeError
    ? cause
    : new ClaudeError({
        reason: "Fatal",
        type: "batches",
        message: `Batches stopped working: ${String(cause)}`,
        usage: Usage.zero,
        cause
      })
