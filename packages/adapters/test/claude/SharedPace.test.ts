import { Pacing } from "@baton/adapters/claude"
import { TaskStore, Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as RateShares from "../../src/internal/chat/rateShares.ts"
import { failure, reply, request } from "./requests.ts"

const small = request("Say hello", { max_tokens: 100 })

/**
 * An API that counts the requests of all its clients together, as the actual one does. It states how many are left, unless it
 * is silent. Up to `burst` requests at once are accepted.
 */
const api = (perMinute: number, { burst = perMinute, isSilent = false } = {}) => {
  const perMilli = perMinute / 60_000
  let level = burst
  let last = 0
  const counts = { accepted: 0, refused: 0 }
  const headers = () =>
    new Headers({
      "anthropic-ratelimit-requests-limit": String(perMinute),
      "anthropic-ratelimit-requests-remaining": String(Math.floor(level))
    })
  const send = ({ onHeaders }: Pacing.Permit) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      level = Math.min(burst, level + (now - last) * perMilli)
      last = now
      const isRefused = level < 1
      if (isRefused) counts.refused++
      else {
        level--
        counts.accepted++
      }
      const remaining = headers()
      yield* Effect.sleep("200 millis")
      if (!isSilent) yield* onHeaders(remaining)
      if (isRefused) {
        const retryAfter = Duration.seconds(Math.ceil((1 - level) / perMilli / 1000))
        const stated = isSilent ? undefined : { retryAfter }
        return yield* failure({ status: 429, type: "rate_limit_error", usage: Usage.zero, ...stated })
      }
      yield* Effect.sleep("800 millis")
      return reply("text", { usage: { ...Usage.zero, inputTokens: 10, outputTokens: 10 } })
    })
  return { counts, send }
}

/** A process that always has 32 requests to make, until the scope closes. */
const busy = ({ send }: ReturnType<typeof api>) =>
  Effect.gen(function* () {
    const pacing = yield* Pacing.make({}, yield* RateShares.make({ apiKey: Redacted.make("key") }))
    const one = Effect.retry(pacing.pace(small, send), { times: 100 })
    yield* Effect.forEach(Array.from({ length: 32 }), () => Effect.forever(one), { concurrency: "unbounded" })
  }).pipe(Effect.scoped)

const seconds = (count: number) =>
  Effect.forEach(Array.from({ length: count * 5 }), () => TestClock.adjust("200 millis"), { discard: true })

const assertFull = ({ counts }: ReturnType<typeof api>, possible: number) => {
  assert.isAtLeast(counts.accepted, 0.95 * possible)
  assert.isAtMost(counts.refused, 0.05 * (counts.accepted + counts.refused))
}

describe("processes that use the same limit", () => {
  it.effect("use it in full together, and are hardly refused", () =>
    Effect.gen(function* () {
      const server = api(600)
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(busy(server)))
      yield* seconds(120)
      assertFull(server, 600 + 2 * 600)
      yield* Fiber.interruptAll(fibers)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("use it in full when one of them starts later or ends", () =>
    Effect.gen(function* () {
      const server = api(600)
      const first = yield* Effect.forkChild(busy(server))
      yield* seconds(90)
      const second = yield* Effect.forkChild(busy(server))
      yield* seconds(30)
      yield* Fiber.interrupt(first)
      yield* seconds(60)
      assertFull(server, 600 + 3 * 600)
      yield* Fiber.interrupt(second)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("find it by trial where the server states none, each for itself: together they use it in full", () =>
    Effect.gen(function* () {
      const server = api(600, { burst: 10, isSilent: true })
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(busy(server)))
      yield* seconds(180)
      assertFull(server, 10 + 3 * 600)
      yield* Fiber.interruptAll(fibers)
    }).pipe(Effect.provide(TaskStore.layerMemory))
  )

  it.effect("leave to a busy one what the others do not need", () =>
    Effect.gen(function* () {
      const server = api(600)
      const fiber = yield* Effect.forkChild(busy(server))
      const shares = yield* RateShares.make({ apiKey: Redacted.make("key") })
      const other = yield* Pacing.make({}, shares)
      const rare = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(other.pace(small, server.send), Effect.sleep("4 seconds")))
      )
      yield* seconds(60)
      const before = server.counts.accepted
      yield* seconds(120)
      assert.isAtLeast(server.counts.accepted - before, 0.95 * 2 * 600)
      assert.strictEqual(server.counts.refused, 0)
      // It makes one request in 5 seconds, which is a tenth of what may be made in one of them.
      assert.isAtMost(shares?.of(small.model) ?? 1, 0.2)
      yield* Fiber.interruptAll([fiber, rare])
    }).pipe(Effect.scoped, Effect.provide(TaskStore.layerMemory))
  )

  it.effect("share configured limits too, and send at once when the store does not answer", () =>
    Effect.gen(function* () {
      const starts: Array<number> = []
      const send = Effect.gen(function* () {
        starts.push(yield* Clock.currentTimeMillis)
        return reply("text")
      })
      const memory = yield* TaskStore.TaskStore
      const hanging = {
        ...memory,
        rateShares: { report: () => Effect.never, leave: () => Effect.void }
      }
      const pacings = yield* Effect.forEach([memory, memory, hanging], (store) =>
        Effect.flatMap(
          Effect.provideService(RateShares.make({ apiKey: Redacted.make("key") }), TaskStore.TaskStore, store),
          (shares) => Pacing.make({ requestsPerMinute: 60 }, shares)
        )
      )
      const [one, two, alone] = pacings
      const many = (pacing: Pacing.Pacing | undefined) =>
        Effect.forkScoped(
          Effect.forEach(Array.from({ length: 200 }), () => pacing?.pace(small, () => send) ?? Effect.void, {
            concurrency: "unbounded"
          })
        )
      yield* Effect.forEach([one, two], many)
      yield* seconds(120)
      // The first process has all of it until the next report of its own.
      assert.isAtLeast(starts.length, 60 + 2 * 60 - 2)
      assert.isAtMost(starts.length, 60 + 2 * 60 + 60)
      const before = starts.length
      yield* many(alone)
      yield* seconds(2)
      assert.isAtLeast(starts.length - before, 60)
    }).pipe(Effect.scoped, Effect.provide(TaskStore.layerMemory))
  )
})
