/**
 * Keeps requests under the API's limits, which it counts per class of models: requests, input tokens and output tokens per
 * minute.
 *
 * Every class has a pool that all fibers share. A request waits in it, first come, first served, until it fits under the
 * configured limits and under those that the server states in its answers. When the server refuses a request (429), the
 * whole pool pauses for as long as the server says. If it does not say, the pool finds the limit by trial: a refusal lowers
 * the rate below the one at which the server accepted requests, and each answer raises it. When the server objects to a
 * steep rise, fewer requests run at the same time.
 *
 * An overload (529) is not a limit: it delays only the refused request, the longer the server answers nothing else.
 *
 * A request reserves its part of a budget when its turn has come, so that those that wait here hold nothing. If it then waits
 * for the budget, its turn can pass, and it gives the reservation back and waits for the next one: no request holds one of the
 * two while it waits for the other.
 *
 * Waiting costs a fiber and an entry in a queue. A pool has one timer, whatever the number of waiting requests.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { SafetyStop } from "@baton/core/SafetyStop"
import type { ModelError } from "./ModelError.ts"
import { granted, type Headers, type Spend, withoutBudget } from "./Client.ts"
import * as Pool from "./rateLimitPool.ts"
import type { RateShares } from "./rateShares.ts"
import * as Sharing from "./rateSharing.ts"
import type { MessageRequest } from "./MessageRequest.ts"
import type { Reply } from "./Reply.ts"

/**
 * Limits to keep, for each model separately. Limits that are not set are learned from the server's answers; where both are
 * known, the lower one applies. A configured limit is never exceeded: until its answer is complete, a request counts with
 * all that it may use.
 *
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  readonly requestsPerMinute?: number | undefined
  /** Tokens that come from the prompt cache do not count. */
  readonly inputTokensPerMinute?: number | undefined
  /** A request may use its `max_tokens`: the lower they are, the more requests can run at the same time. */
  readonly outputTokensPerMinute?: number | undefined
}

/**
 * The state of one model's pool.
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
 * A request whose turn has come, and what it reports while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Permit {
  /** With the `max_tokens` that the budget grants. */
  readonly request: MessageRequest
  /** The headers of the answer or the refusal, which state the limits. */
  readonly onHeaders: (headers: Headers) => Effect.Effect<void>
}

/**
 * A pace that all requests of a client share.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pacing {
  /**
   * Sends a request as soon as it may start. Its usage, or the reason why it failed, decides about the requests that follow.
   * Put timeouts inside `send`, because the wait is not part of the request. `spend` reserves its part of a budget directly before.
   */
  readonly pace: (
    request: MessageRequest,
    send: (permit: Permit) => Effect.Effect<Reply, ModelError>,
    spend?: Spend
  ) => Effect.Effect<Reply, ModelError | SafetyStop>
  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>>
}

/** A longer sleep would not notice that the machine's clock was changed or that the machine was suspended. */
const longestSleep = Duration.toMillis("1 minute")

/**
 * Makes a pace. It ends with the scope.
 *
 * Effect's `RateLimiter` does not fit: it takes from one bucket at a time, cannot return what a request did not use, learns
 * from refusals but not from headers, and lets each waiter sleep separately.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {},
  shares?: RateShares
): Effect.fn.Return<Pacing, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const pools = new Map<string, Pool.RateLimitPool>()
  /** Opened when something changed that waiting requests depend on. */
  const changed = Latch.makeUnsafe(false)
  const limits: Pool.Limits = {
    requests: options.requestsPerMinute,
    "input-tokens": options.inputTokensPerMinute,
    "output-tokens": options.outputTokensPerMinute
  }

  const now = () => clock.currentTimeMillisUnsafe()

  const poolOf = (model: string): Pool.RateLimitPool => {
    const name = Pool.classOf(model)
    const found = pools.get(name)
    if (found !== undefined) return found
    const made = Pool.make(limits, now())
    if (shares !== undefined) Pool.setPart(made, shares.of(name), now())
    pools.set(name, made)
    return made
  }

  const sharing =
    shares === undefined
      ? undefined
      : yield* Sharing.make(shares, {
          wanted: () => Object.fromEntries(Array.from(pools, ([name, pool]) => [name, Pool.wanted(pool, now())])),
          isInUse: () => Array.from(pools.values()).some(({ queue, running }) => queue.size > 0 || running > 0),
          onShares: () => {
            for (const [name, pool] of pools) Pool.setPart(pool, shares.of(name), now())
            changed.openUnsafe()
          }
        })

  // Admits the requests that may start, and sleeps until the first of the others may, or something has changed.
  yield* Effect.suspend(() => {
    // Closed first: a change that happens while the admitted requests start must not be missed.
    changed.closeUnsafe()
    let pause = longestSleep
    for (const pool of pools.values()) {
      if (pool.queue.first === undefined) continue
      Pool.endTurns(pool, now())
      for (const { admission, resume } of Pool.admitWaiting(pool, now())) resume(Effect.succeed(admission))
      const { first } = pool.queue
      if (first === undefined) continue
      pause = Math.min(pause, Pool.wait(pool, first.demand, now()), Pool.nextEndOfTurn(pool, now()))
    }
    return Array.from(pools.values()).some(({ queue }) => queue.size > 0)
      ? Effect.raceFirst(changed.await, Effect.sleep(pause))
      : changed.await
  }).pipe(Effect.forever, Effect.forkScoped)

  /** Waits for its turn. Interrupting it leaves the queue, or gives back the admission. */
  const queueUp = (pool: Pool.RateLimitPool, demand: Pool.Demand, place: number): Effect.Effect<Pool.Admission> =>
    Effect.callback((resume) => {
      const waiting: Pool.Waiting = {
        demand,
        place,
        resume,
        admission: undefined,
        previous: undefined,
        next: undefined
      }
      Pool.join(pool, waiting)
      if (pool.queue.first === waiting) changed.openUnsafe()
      return Effect.sync(() => leave(pool, waiting))
    })

  const leave = (pool: Pool.RateLimitPool, waiting: Pool.Waiting): void => {
    // No other request can start because one in the middle of the queue leaves.
    const matters = pool.queue.first === waiting || waiting.admission !== undefined
    if (waiting.admission === undefined) Pool.leave(pool, waiting)
    else Pool.withdraw(pool, waiting.admission, now())
    if (matters) notify(pool)
  }

  const notify = (pool: Pool.RateLimitPool): void => {
    if (pool.queue.size > 0) changed.openUnsafe()
  }

  const pace: Pacing["pace"] = (request, send, spend = withoutBudget) =>
    // Uninterruptible between the admission and the finalizer that settles it.
    Effect.uninterruptibleMask((restore) => {
      const pool = poolOf(request.model)
      const demand = Pool.demandOf(request)
      const place = Pool.nextPlace(pool)

      const sendNow = (admission: Pool.Admission) =>
        spend((grant) =>
          Effect.suspend(() => {
            const permitted = granted(request, grant)
            if (!Pool.begin(pool, admission, Pool.withMaxTokens(demand, permitted.max_tokens), now()))
              return Effect.succeed(null)
            return send({
              request: permitted,
              onHeaders: (headers) =>
                Effect.sync(() => {
                  Pool.learn(pool, admission, headers, now())
                  notify(pool)
                })
            })
          })
        )

      const run = (admission: Pool.Admission): Effect.Effect<Reply, ModelError | SafetyStop> =>
        Effect.flatMap(
          Effect.onExit(restore(sendNow(admission)), (exit) =>
            Effect.sync(() => {
              settle(pool, admission, exit, now())
              notify(pool)
            })
          ),
          (reply) =>
            reply === null ? Effect.flatMap(restore(queueUp(pool, demand, place)), run) : Effect.succeed(reply)
        )

      const admitted = Pool.tryAdmit(pool, demand, now())
      return Effect.mapError(
        admitted === undefined ? Effect.flatMap(restore(queueUp(pool, demand, place)), run) : run(admitted),
        (error) => (error._tag === "SafetyStop" ? error : delayedByOverload(error, Pool.overloadDelay(pool, now())))
      )
    })

  return {
    pace:
      sharing === undefined
        ? pace
        : (request, send, spend) => {
            // From now on, this process asks for a part of the limits of this model too.
            poolOf(request.model)
            return Effect.andThen(sharing.awaitShares, pace(request, send, spend))
          },

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

const delayedByOverload = (error: ModelError, delayMillis: number): ModelError =>
  delayMillis === 0 || error.retryAfter !== undefined || !Pool.isOverload(error)
    ? error
    : error.with({ retryAfter: Duration.millis(delayMillis) })

const settle = (
  pool: Pool.RateLimitPool,
  admission: Pool.Admission,
  exit: Exit.Exit<Reply | null, ModelError | SafetyStop>,
  now: number
): void => {
  if (admission.state !== "sent") return Pool.withdraw(pool, admission, now)
  if (Exit.isSuccess(exit)) return Pool.answered(pool, admission, exit.value?.usage, now)
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (error === undefined || error._tag === "SafetyStop") return Pool.interrupted(pool, admission, now)
  Pool.failed(pool, admission, error, now)
}
