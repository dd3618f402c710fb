/**
 * Keeps requests under the API's limits, which it counts per model: requests, input tokens and output tokens a minute.
 *
 * Every model has a pool that all fibers share. A request waits in it, first come, first served, until it fits under the
 * limits that were set and under those that the server states in its answers. When the server turns one away (429), the
 * whole pool pauses for as long as it says; when it is overloaded (529), the pool backs off and then goes on at the same
 * rate; when it objects to a steep rise, fewer requests are under way at the same time.
 *
 * Waiting costs a fiber and an entry in a queue: there is one timer for a pool, whatever the number that waits.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Bell from "../internal/bell.ts"
import type { ClaudeError } from "./ClaudeError.ts"
import * as Demand from "./internal/pacing/demand.ts"
import type { Headers } from "./internal/pacing/limits.ts"
import * as Pool from "./internal/pacing/pool.ts"
import * as Queue from "./internal/pacing/queue.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import type { Reply } from "./Reply.ts"

/**
 * Limits to keep, for each model on its own. What is left out is learned from the server's answers; where both are known,
 * the lower one holds. One that is set is never exceeded, for which a request counts with all that it may use until its
 * answer is there.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  readonly requestsPerMinute?: number | undefined
  /** Tokens that come out of the prompt cache do not count. */
  readonly inputTokensPerMinute?: number | undefined
  /** A request may use its `max_tokens`: the lower they are, the more requests can be under way. */
  readonly outputTokensPerMinute?: number | undefined
}

/**
 * How it stands with one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly model: string
  readonly waiting: number
  readonly running: number
  /** Set while the server has asked to send nothing. */
  readonly pausedUntil: DateTime.Utc | undefined
}

/**
 * What a request reports while it is under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Permit {
  /** The headers of the answer, also of one that turns the request away: they state the limits. */
  readonly heard: (headers: Headers) => Effect.Effect<void>
}

/**
 * A pace that all requests of a client share.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pacing {
  /**
   * Sends a request as soon as it may go. What its answer used, or why it failed, decides about those that follow.
   * Timeouts belong inside `send`: the time before is none of the request's.
   */
  readonly pace: (
    request: MessageRequest,
    send: (permit: Permit) => Effect.Effect<Reply, ClaudeError>
  ) => Effect.Effect<Reply, ClaudeError>
  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>>
}

/** A timer that is set for longer would not notice that the machine's clock was changed, or that it slept. */
const longestSleep = Duration.toMillis("1 minute")

/**
 * Makes a pace. It ends with the scope.
 *
 * Effect's own `RateLimiter` does not carry this: it takes from one bucket at a time, cannot give back what a request did
 * not use, learns from refusals only and not from headers, and lets each waiter sleep on its own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options = {}): Effect.fn.Return<Pacing, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const pools = new Map<string, Pool.Pool>()
  const bell = Bell.make()
  const limits: Pool.Limits = {
    requests: options.requestsPerMinute,
    "input-tokens": options.inputTokensPerMinute,
    "output-tokens": options.outputTokensPerMinute
  }

  const now = () => clock.currentTimeMillisUnsafe()

  const poolOf = (model: string): Pool.Pool => {
    const found = pools.get(model)
    if (found !== undefined) return found
    const made = Pool.make(limits, now())
    pools.set(model, made)
    return made
  }

  // Lets those go who may, and sleeps until the first of the others may, or something has changed.
  yield* Effect.suspend(() => {
    // From here on: what changes while the admitted ones start must not be missed.
    const rung = bell.next()
    let pause = longestSleep
    for (const pool of pools.values()) {
      for (const { admission, resume } of Pool.admitWaiting(pool, now())) resume(Effect.succeed(admission))
      if (pool.queue.first !== undefined) pause = Math.min(pause, Pool.wait(pool, pool.queue.first.demand, now()))
    }
    return Array.from(pools.values()).some(({ queue }) => queue.size > 0)
      ? Effect.raceFirst(rung, Effect.sleep(pause))
      : rung
  }).pipe(Effect.forever, Effect.forkScoped)

  /** Waits for its turn. Interrupting it leaves the queue, or gives back what it was let go with. */
  const queueUp = (pool: Pool.Pool, demand: Pool.Demand): Effect.Effect<Pool.Admission> =>
    Effect.callback((resume) => {
      const waiting: Pool.Waiting = { demand, resume, admission: undefined, previous: undefined, next: undefined }
      Queue.join(pool.queue, waiting)
      if (pool.queue.first === waiting) bell.ring()
      return Effect.sync(() => leave(pool, waiting))
    })

  const leave = (pool: Pool.Pool, waiting: Pool.Waiting): void => {
    // Nobody moves up when somebody in the middle leaves.
    const matters = pool.queue.first === waiting || waiting.admission !== undefined
    if (waiting.admission === undefined) Queue.leave(pool.queue, waiting)
    else Pool.withdraw(pool, waiting.admission, now())
    if (matters) changed(pool)
  }

  const changed = (pool: Pool.Pool): void => {
    if (pool.queue.size > 0) bell.ring()
  }

  const carryOut = (
    pool: Pool.Pool,
    admission: Pool.Admission,
    sending: (permit: Permit) => Effect.Effect<Reply, ClaudeError>
  ) =>
    Effect.onExit(
      sending({
        heard: (headers) =>
          Effect.sync(() => {
            Pool.heard(pool, admission, headers, now())
            changed(pool)
          })
      }),
      (exit) =>
        Effect.sync(() => {
          ended(pool, admission, exit, now())
          changed(pool)
        })
    )

  return {
    pace: (request, send) =>
      // Nothing may come between being let go and the promise to tell how it ended.
      Effect.uninterruptibleMask((restore) => {
        const pool = poolOf(request.model)
        const demand = Demand.of(request)
        const admitted = Pool.tryAdmit(pool, demand, now())
        const sending = (permit: Permit) => restore(send(permit))
        return admitted === undefined
          ? Effect.flatMap(restore(queueUp(pool, demand)), (admission) => carryOut(pool, admission, sending))
          : carryOut(pool, admitted, sending)
      }),

    snapshot: Effect.sync(() =>
      Array.from(pools, ([model, pool]) => ({
        model,
        waiting: pool.queue.size,
        running: pool.running,
        pausedUntil: pool.pausedUntil > now() ? DateTime.makeUnsafe(pool.pausedUntil) : undefined
      }))
    )
  }
})

const ended = (pool: Pool.Pool, admission: Pool.Admission, exit: Exit.Exit<Reply, ClaudeError>, now: number): void => {
  if (Exit.isSuccess(exit)) return Pool.answered(pool, admission, exit.value.tokens, now)
  const error = Exit.findErrorOption(exit)
  if (Option.isNone(error)) return Pool.interrupted(pool, admission, now)
  Pool.failed(pool, admission, error.value, now)
}
