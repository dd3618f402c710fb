import type { ClaudeClient, ClaudeError, MessageRequest, Reply } from "@baton/adapters/claude"
import { Attempt, Task, TaskStore } from "@baton/core"
import { Context, Duration, Effect, Exit, Fiber, Latch, Layer, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { BatchApi } from "../../../src/claude/internal/batches/batchApi.ts"
import * as Send from "../../../src/claude/internal/batches/send.ts"
import * as Api from "./api.ts"

type About = Parameters<ClaudeClient.ClaudeClient["Service"]["send"]>[1]

export const request = (prompt: string): MessageRequest.MessageRequest => ({
  model: "claude-haiku-5-5",
  max_tokens: 100,
  messages: [{ role: "user", content: prompt }]
})

export const about = (id: string, options: Partial<About> = {}): About => ({
  taskId: Task.TaskId.make(id),
  queue: "default",
  leaseToken: Attempt.LeaseToken.make(1),
  requeues: 0,
  idempotencyKey: `${id}/1`,
  purpose: "execute",
  rejected: null,
  ...options
})

type Sending = Fiber.Fiber<Reply.Reply, ClaudeError>

/** One worker that sends batches, until it is stopped. */
export interface Run {
  /** Sends a request under a lease of a task; by default the task is named as the prompt. */
  readonly ask: (prompt: string, options?: Partial<About> & { readonly id?: string }) => Effect.Effect<Sending>
  readonly isInBatch: (prompt: string, options?: Partial<About> & { readonly id?: string }) => Effect.Effect<boolean>
  readonly stop: Effect.Effect<void>
}

/** A store, and the API's batches in memory: both outlive the workers. */
export const fixture = Effect.fnUntraced(function* (answer?: Parameters<typeof Api.make>[0]) {
  const api = yield* Api.make(answer)
  return { ...api, ...(yield* workersOf(api.api)) }
})

/** A store, and workers that send batches to an API. */
export const workersOf = Effect.fnUntraced(function* (api: BatchApi) {
  const store = Context.get(yield* Layer.build(TaskStore.layerMemory), TaskStore.TaskStore)
  const stored = yield* Effect.orDie(Effect.fromNullishOr(store.batches))
  let looked = 0
  let heldTake: Latch.Latch | undefined
  const journal: typeof stored = {
    ...stored,
    take: (requests) =>
      Effect.suspend(() => {
        const held = heldTake
        heldTake = undefined
        const take = Effect.tap(stored.take(requests), () => Effect.sync(() => (looked += requests.length)))
        return held === undefined ? take : Effect.andThen(held.await, take)
      })
  }
  const leases = new Map<string, { readonly owner: number; readonly claim: TaskStore.Claim }>()
  /** The tasks whose current attempt ends before the next request. */
  const ending = new Map<string, "Release" | "Retry">()
  let workers = 0

  /** The lease that a worker has of a task. Another one has lost it by then. */
  const leaseOf = Effect.fnUntraced(function* (id: string, owner: number) {
    const held = leases.get(id)
    const ends = ending.get(id)
    if (held?.owner === owner && ends === undefined) return held.claim.token
    ending.delete(id)
    if (held === undefined) yield* store.add([Task.makeNew({ id, description: id })])
    else {
      const { task, token } = held.claim
      yield* store.settle([
        ends === "Retry"
          ? { _tag: "Retry", taskId: task.id, token, feedback: "", delay: Duration.zero }
          : { _tag: "Release", taskId: task.id, token, reason: "" }
      ])
    }
    const [claim] = yield* store.claim({ limit: 1, owner: `${owner}`, lease: Duration.days(1000) })
    if (claim === undefined) return yield* Effect.die("nothing to claim")
    leases.set(id, { owner, claim })
    return claim.token
  }, Effect.orDie)

  const start = Effect.fnUntraced(function* (
    options: Partial<Send.Options> = {}
  ): Effect.fn.Return<Run, ClaudeError, Scope.Scope> {
    const owner = workers++
    const scope = yield* Scope.fork(yield* Scope.Scope)
    const { isInBatch, send } = yield* Scope.provide(
      Send.make(api, { attempts: store.attempts, batches: journal }, { gather: "1 second", ...options }),
      scope
    )
    const describe = (id: string, options: Partial<About>) =>
      Effect.map(leaseOf(id, owner), (leaseToken) => about(id, { leaseToken, ...options }))
    return {
      ask: (prompt, { id = prompt, ...options } = {}) =>
        Effect.flatMap(describe(id, options), (about) =>
          Effect.forkIn(Effect.catchTag(send(request(prompt), about), "SafetyStop", Effect.die), scope, {
            startImmediately: true
          })
        ),
      isInBatch: (prompt, { id = prompt, ...options } = {}) =>
        Effect.orDie(Effect.flatMap(describe(id, options), (about) => isInBatch(request(prompt), about))),
      stop: Scope.close(scope, Exit.void)
    }
  })
  return {
    journal,
    store,
    leaseOf,
    start,
    /** How many requests were looked for in the journal. Those that are not in it are part of the next batch. */
    looked: () => looked,
    /** The next request is not looked for before the latch is open. */
    holdNextTake: () => (heldTake = Latch.makeUnsafe(false)),
    /** The current attempt at a task ends like this before the next request. */
    endAttempt: (id: string, as: "Release" | "Retry") => void ending.set(id, as)
  }
})

/** Lets time pass in steps, because what follows from one step sets the timers of the next. */
const pass = (step: Duration.Input, times: number) => Effect.repeat(TestClock.adjust(step), { times: times - 1 })

/** Long enough for a batch to be created. */
export const gather = pass("500 millis", 4)

/** Long enough for the next check. */
export const poll = pass("10 seconds", 9)

export const text = (sending: Sending): Effect.Effect<string, ClaudeError> =>
  Effect.map(Fiber.join(sending), ({ text }) => text)

export const texts = (sendings: ReadonlyArray<Sending>) => Effect.forEach(sendings, text)

export const failure = (sending: Sending): Effect.Effect<ClaudeError | undefined> =>
  Effect.map(Effect.result(Fiber.join(sending)), (result) => (Result.isFailure(result) ? result.failure : undefined))

export const isWaiting = (sending: Sending): boolean => sending.pollUnsafe() === undefined
