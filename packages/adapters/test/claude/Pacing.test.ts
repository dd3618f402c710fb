import { type ClaudeError, Pacing, type Reply } from "@baton/adapters/claude"
import { Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Deferred, Duration, Effect, Exit, Fiber, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { failure, reply, request } from "./requests.ts"

const usage = ({ cacheRead = 0, cacheWrite = 0, input = 0, output = 0 }: Tokens): Usage.Usage => ({
  ...Usage.zero,
  inputTokens: input,
  outputTokens: output,
  cacheReadTokens: cacheRead,
  cacheWriteTokens: cacheWrite
})

interface Tokens {
  readonly input?: number
  readonly output?: number
  readonly cacheRead?: number
  readonly cacheWrite?: number
}

/** A request whose input is counted as exactly `input` tokens. */
const sized = (input: number, output: number, model = "claude-sonnet-5-5") => {
  const empty = request("", { model, max_tokens: output })
  const fixed = JSON.stringify([null, empty.messages, null]).length
  return request("x".repeat(input * 3 - fixed), { model, max_tokens: output })
}

const small = sized(20, 10)

type Outcome = { readonly exit: Exit.Exit<Reply.Reply, ClaudeError>; readonly headers?: Record<string, string> }

const answered = (used: Tokens = { input: 20, output: 10 }, headers: Record<string, string> = {}) => ({
  exit: Exit.succeed(reply("text", { usage: usage(used) })),
  headers
})

const refusedWith = (more: Parameters<typeof failure>[0], headers: Record<string, string> = {}) => ({
  exit: Exit.fail(failure({ usage: Usage.zero, ...more })),
  headers
})

/** A pace without a budget. */
const make = (options?: Pacing.Options) =>
  Effect.map(Pacing.make(options), (pacing) => ({
    ...pacing,
    pace: (...[asked, send]: Parameters<Pacing.Pacing["pace"]>) =>
      Effect.catchTag(pacing.pace(asked, send), "SafetyStop", Effect.die)
  }))

/** A pace, and requests under it that the test ends. */
const start = Effect.fnUntraced(function* (options?: Pacing.Options) {
  const pacing = yield* make(options)
  const started: Array<{ readonly id: number; readonly at: number }> = []
  let last = 0
  const send = Effect.fnUntraced(function* (asked = small) {
    const id = ++last
    const end = yield* Deferred.make<Outcome>()
    const fiber = yield* Effect.forkChild(
      pacing.pace(asked, ({ onHeaders }) =>
        Effect.gen(function* () {
          started.push({ id, at: yield* Clock.currentTimeMillis })
          const { exit, headers = {} } = yield* Deferred.await(end)
          yield* onHeaders(new Headers(headers))
          return yield* exit
        })
      ),
      { startImmediately: true }
    )
    return {
      fiber,
      end: (outcome: Outcome = answered()) =>
        // The end of one request admits others a moment later.
        Effect.andThen(Deferred.succeed(end, outcome), Effect.tap(Fiber.await(fiber), TestClock.adjust(0)))
    }
  })
  const sendMany = (count: number, asked?: typeof small) =>
    Effect.forEach(Array.from({ length: count }), () => send(asked))
  return { pacing, send, sendMany, started, ids: () => started.map(({ id }) => id), count: () => started.length }
})

const limits = (resource: string, limit: number, remaining: number, reset = "1970-01-01T00:01:00Z") => ({
  [`anthropic-ratelimit-${resource}-limit`]: String(limit),
  [`anthropic-ratelimit-${resource}-remaining`]: String(remaining),
  [`anthropic-ratelimit-${resource}-reset`]: reset
})

const seconds = (amount: number) => Duration.seconds(amount)

describe("a limit of requests", () => {
  it.effect("admits a minute's worth at once, and the others as the minute passes, first come, first served", () =>
    Effect.gen(function* () {
      const { count, ids, sendMany, started } = yield* start({ requestsPerMinute: 6 })
      yield* sendMany(10)
      assert.deepStrictEqual(ids(), [1, 2, 3, 4, 5, 6])
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(count(), 6)
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(count(), 7)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(ids(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
      assert.deepStrictEqual(
        started.slice(6).map(({ at }) => at),
        [10_000, 20_000, 30_000, 40_000]
      )
    })
  )

  it.effect("is kept for each model separately", () =>
    Effect.gen(function* () {
      const { ids, send } = yield* start({ requestsPerMinute: 1 })
      yield* send()
      yield* send()
      yield* send(sized(20, 10, "claude-haiku-5-5"))
      assert.deepStrictEqual(ids(), [1, 3])
    })
  )

  it.effect(
    "is one for the models that the API counts together: all of Opus 4, and a model with and without a date",
    () =>
      Effect.gen(function* () {
        const { ids, send } = yield* start({ requestsPerMinute: 1 })
        const models = [
          "claude-opus-4-8",
          "claude-opus-4-5",
          "claude-sonnet-4-6",
          "claude-sonnet-4-5",
          "claude-haiku-4-5"
        ]
        for (const model of [...models, "claude-haiku-4-5-20251001", "claude-opus-5-5"])
          yield* send(sized(20, 10, model))
        assert.deepStrictEqual(ids(), [1, 3, 5, 7])
      })
  )

  it.effect("does not exist when none is configured and the server states none", () =>
    Effect.gen(function* () {
      const { count, sendMany } = yield* start()
      yield* sendMany(500)
      assert.strictEqual(count(), 500)
    })
  )
})

describe("a limit of tokens", () => {
  it.effect("counts the input that a request has", () =>
    Effect.gen(function* () {
      const { count, sendMany } = yield* start({ inputTokensPerMinute: 100 })
      const [first] = yield* sendMany(3, sized(50, 1))
      assert.strictEqual(count(), 2)
      yield* first!.end(answered({ input: 50 }))
      yield* TestClock.adjust(seconds(29))
      assert.strictEqual(count(), 2)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual(count(), 3)
    })
  )

  it.effect("does not count tokens from the prompt cache", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start({ inputTokensPerMinute: 100 })
      const first = yield* send(sized(100, 1))
      yield* send(sized(70, 1))
      assert.strictEqual(count(), 1)
      yield* first.end(answered({ input: 20, cacheRead: 70, cacheWrite: 10 }))
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("reserves the whole output of a request until its answer is complete", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start({ outputTokensPerMinute: 100 })
      const first = yield* send(sized(20, 100))
      yield* send(sized(20, 40))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(count(), 1)
      yield* first.end(answered({ output: 60 }))
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("delays later requests after one that used more than was expected", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start({ inputTokensPerMinute: 60 })
      const first = yield* send(sized(30, 1))
      yield* first.end(answered({ input: 90 }))
      yield* send(sized(30, 1))
      yield* TestClock.adjust(seconds(59))
      assert.strictEqual(count(), 1)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("admits a request that exceeds it when nothing else was used", () =>
    Effect.gen(function* () {
      const { ids, send } = yield* start({ inputTokensPerMinute: 60, outputTokensPerMinute: 60 })
      yield* (yield* send(sized(30, 1))).end(answered({ input: 30 }))
      const large = yield* send(sized(500, 500))
      yield* send(sized(20, 1))
      yield* TestClock.adjust(seconds(29))
      assert.deepStrictEqual(ids(), [1])
      yield* TestClock.adjust(seconds(1))
      assert.deepStrictEqual(ids(), [1, 2])
      yield* large.end(answered({ input: 60, output: 10 }))
      yield* TestClock.adjust(seconds(20))
      assert.deepStrictEqual(ids(), [1, 2, 3])
    })
  )

  it.effect("is not used up by a refused request", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start({ inputTokensPerMinute: 60, outputTokensPerMinute: 60 })
      const first = yield* send(sized(60, 60))
      yield* send(sized(60, 60))
      yield* first.end(refusedWith({ type: "api_error", status: 500 }))
      assert.strictEqual(count(), 2)
    })
  )
})

describe("limits that the server states", () => {
  it.effect("apply from the first answer on", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      const first = yield* send()
      yield* first.end(answered(undefined, limits("requests", 6, 2)))
      yield* sendMany(4)
      assert.strictEqual(count(), 3)
      yield* TestClock.adjust(seconds(10))
      assert.strictEqual(count(), 4)
    })
  )

  it.effect("do not include requests that were sent since", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      const first = yield* send()
      yield* sendMany(2)
      yield* first.end(answered(undefined, limits("requests", 60, 4)))
      yield* sendMany(4)
      assert.strictEqual(count(), 5)
    })
  )

  it.effect("show that others use the same limit", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start({ requestsPerMinute: 60 })
      yield* (yield* send()).end(answered(undefined, limits("requests", 100, 1)))
      yield* sendMany(2)
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("are the regular ones: a commitment to Priority Tier comes on top of them", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      const priority = Object.fromEntries(
        ["limit", "remaining"].map((kind) => [`anthropic-priority-input-tokens-${kind}`, "0"])
      )
      yield* (yield* send()).end(answered(undefined, { ...limits("requests", 60, 5), ...priority }))
      yield* sendMany(10)
      assert.strictEqual(count(), 6)
    })
  )

  it.effect("do not raise a configured limit", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start({ requestsPerMinute: 2 })
      yield* (yield* send()).end(answered(undefined, limits("requests", 100, 99)))
      yield* sendMany(3)
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("can change: a higher one admits more requests", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      yield* (yield* send()).end(answered(undefined, limits("requests", 6, 1)))
      const [second] = yield* sendMany(10)
      yield* second!.end(answered(undefined, limits("requests", 600, 500)))
      assert.strictEqual(count(), 2)
      yield* TestClock.adjust("900 millis")
      assert.strictEqual(count(), 11)
    })
  )

  it.effect.each(["input-tokens", "output-tokens", "tokens"])("are kept for %s", (resource) =>
    Effect.gen(function* () {
      const { count, send } = yield* start()
      const used = resource === "output-tokens" ? { output: 60 } : { input: 60 }
      const each = resource === "output-tokens" ? sized(20, 60) : sized(60, 0)
      yield* (yield* send(each)).end(answered(used, limits(resource, 600, 120)))
      yield* (yield* send(each)).end(answered(used))
      yield* send(each)
      yield* TestClock.adjust(seconds(5))
      assert.strictEqual(count(), 2)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual(count(), 3)
    })
  )

  it.effect("are used up: short answers reserve less", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      const loose = sized(20, 1000)
      for (let round = 0; round < 40; round++) {
        yield* (yield* send(loose)).end(answered({ input: 20, output: 10 }, limits("output-tokens", 2000, 2000)))
      }
      yield* sendMany(30, loose)
      assert.isAbove(count(), 60)
    })
  )

  it.effect.each([
    limits("requests", 0, 0),
    { "anthropic-ratelimit-requests-limit": "many", "anthropic-ratelimit-requests-remaining": "0" },
    { "anthropic-ratelimit-requests-limit": "1" },
    { "anthropic-ratelimit-requests-remaining": "0" }
  ])("are not taken from invalid headers: %j", (headers) =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      yield* (yield* send()).end(answered(undefined, headers))
      yield* sendMany(3)
      assert.strictEqual(count(), 4)
    })
  )
})

describe("a server that refuses requests", () => {
  const rateLimited = { type: "rate_limit_error", status: 429 }
  const overloaded = { type: "overloaded_error", status: 529 }

  it.effect("pauses all requests to this model for as long as it says, and no others", () =>
    Effect.gen(function* () {
      const { count, ids, pacing, send, sendMany } = yield* start()
      const [first] = yield* sendMany(2)
      yield* first!.end(refusedWith({ ...rateLimited, retryAfter: seconds(7) }))
      yield* sendMany(2)
      yield* send(sized(20, 10, "claude-haiku-5-5"))
      assert.deepStrictEqual(ids(), [1, 2, 5])
      assert.deepStrictEqual(yield* pacing.snapshot, [
        { model: "claude-sonnet-5-5", waiting: 2, running: 1, pausedUntil: DateTime.makeUnsafe(7000) },
        { model: "claude-haiku-5-5", waiting: 0, running: 1, pausedUntil: undefined }
      ])
      yield* TestClock.adjust("6999 millis")
      assert.strictEqual(count(), 3)
      yield* TestClock.adjust("1 milli")
      assert.strictEqual(count(), 5)
    })
  )

  it.effect("can extend the pause, and not shorten it", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      const [first, second, third] = yield* sendMany(3)
      yield* first!.end(refusedWith({ ...rateLimited, retryAfter: seconds(7) }))
      yield* second!.end(refusedWith({ ...rateLimited, retryAfter: seconds(20) }))
      yield* third!.end(refusedWith({ ...rateLimited, retryAfter: seconds(1) }))
      yield* send()
      yield* TestClock.adjust(seconds(19))
      assert.strictEqual(count(), 3)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual(count(), 4)
    })
  )

  it.effect("is asked again after five minutes, however long a wait it asks for", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start()
      yield* (yield* send()).end(refusedWith({ ...rateLimited, retryAfter: Duration.days(1) }))
      yield* send()
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(count(), 1)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("is asked again when its used-up limit is full again, if it states only that", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start()
      const used = { ...limits("requests", 60, 0, "1970-01-01T00:00:42Z"), ...limits("input-tokens", 600, 500) }
      yield* (yield* send()).end(refusedWith(rateLimited, used))
      yield* send()
      yield* TestClock.adjust(seconds(41))
      assert.strictEqual(count(), 1)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual(count(), 2)
    })
  )

  it.effect("delays only the refused request when it is overloaded, and lowers nothing", () =>
    Effect.gen(function* () {
      const { count, pacing, send, sendMany } = yield* start({ requestsPerMinute: 60 })
      for (const more of [{}, { retryAfter: seconds(30) }]) {
        const refused = yield* send()
        yield* refused.end(refusedWith({ ...overloaded, ...more }))
        const error = yield* Effect.flip(Fiber.join(refused.fiber))
        assert.deepStrictEqual(error.retryAfter, "retryAfter" in more ? seconds(30) : undefined)
      }
      assert.isUndefined((yield* pacing.snapshot)[0]?.pausedUntil)
      yield* sendMany(70)
      assert.strictEqual(count(), 60)
      yield* TestClock.adjust(seconds(2))
      assert.strictEqual(count(), 62)
    })
  )

  it.effect("delays refused requests for as long as it has been overloaded, until a request succeeds", () =>
    Effect.gen(function* () {
      const { send } = yield* start()
      const delay = Effect.gen(function* () {
        const refused = yield* send()
        yield* refused.end(refusedWith(overloaded))
        const { retryAfter } = yield* Effect.flip(Fiber.join(refused.fiber))
        return retryAfter === undefined ? 0 : Duration.toSeconds(retryAfter)
      })
      const early = yield* send()
      assert.strictEqual(yield* delay, 0)
      yield* TestClock.adjust(seconds(5))
      assert.strictEqual(yield* delay, 5)
      yield* TestClock.adjust(seconds(100))
      assert.strictEqual(yield* delay, 60)
      // Also one that was sent before the overload.
      yield* early.end()
      assert.strictEqual(yield* delay, 0)
    })
  )

  /** Sends requests as an orchestrator does, up to `concurrency` at a time and each up to six times, to a simulated server. */
  const simulate = Effect.fnUntraced(function* (options: {
    readonly requests: number
    readonly concurrency: number
    readonly refuse: (now: number, n: number) => Outcome | undefined
    readonly answerTime: Duration.Input
    readonly pacing?: Effect.Success<ReturnType<typeof make>>
  }) {
    const pacing = options.pacing ?? (yield* make())
    const startedAt = yield* Clock.currentTimeMillis
    let sent = 0
    let refused = 0
    const one = pacing
      .pace(small, ({ onHeaders }) =>
        Effect.gen(function* () {
          const refusal = options.refuse(yield* Clock.currentTimeMillis, ++sent)
          yield* Effect.sleep(refusal === undefined ? options.answerTime : "20 millis")
          if (refusal !== undefined) refused++
          const { exit, headers = {} } = refusal ?? answered()
          yield* onHeaders(new Headers(headers))
          return yield* exit
        })
      )
      .pipe(
        Effect.retry(
          Schedule.exponential("500 millis").pipe(
            Schedule.upTo({ times: 5 }),
            Schedule.modifyDelay(
              ({ duration, input }: { readonly duration: Duration.Duration; readonly input: ClaudeError }) =>
                Effect.succeed(Duration.max(duration, input.retryAfter ?? Duration.zero))
            )
          )
        ),
        Effect.exit
      )
    const fiber = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: options.requests }), () => one, { concurrency: options.concurrency })
    )
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    const exits = yield* Fiber.join(fiber)
    const took = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
    return { took, lost: exits.filter(Exit.isFailure).length, refused }
  })

  it.effect("goes at nearly full speed when it is overloaded now and then", () =>
    Effect.gen(function* () {
      const load = { requests: 1000, concurrency: 64, answerTime: "3 seconds" } as const
      const healthy = yield* simulate({ ...load, refuse: () => undefined })
      const busy = yield* simulate({ ...load, refuse: (_, n) => (n % 20 === 0 ? refusedWith(overloaded) : undefined) })
      assert.strictEqual(busy.lost, 0)
      assert.isAtMost(busy.took, 1.15 * healthy.took)
    })
  )

  /** A token bucket that refuses without saying for how long. */
  const silentLimit = (perSecond: number) => {
    let level = perSecond
    let last = 0
    return (now: number): Outcome | undefined => {
      level = Math.min(perSecond, level + ((now - last) / 1000) * perSecond)
      last = now
      if (level < 1) return refusedWith(rateLimited)
      level--
      return undefined
    }
  }

  it.effect.each([
    { perSecond: 5, answerTime: "1 second" },
    { perSecond: 10, answerTime: "3 seconds" },
    { perSecond: 2, answerTime: "200 millis" }
  ] as const)("finds its limit where it states none: $perSecond per second, $answerTime", ({ answerTime, perSecond }) =>
    Effect.gen(function* () {
      const requests = 200
      const { lost, refused, took } = yield* simulate({
        requests,
        concurrency: 64,
        answerTime,
        refuse: silentLimit(perSecond)
      })
      assert.strictEqual(lost, 0)
      assert.isAtMost(took, 1.5 * (requests / perSecond) + 10)
      assert.isAtMost(refused, requests)
    })
  )

  it.effect("finds its limit after a long break as well", () =>
    Effect.gen(function* () {
      const pacing = yield* make()
      const load = { pacing, concurrency: 64, answerTime: "1 second" } as const
      yield* simulate({ ...load, requests: 1, refuse: () => undefined })
      yield* TestClock.adjust("1 hour")
      const { lost, took } = yield* simulate({ ...load, requests: 200, refuse: silentLimit(5) })
      assert.strictEqual(lost, 0)
      assert.isAtMost(took, 50)
    })
  )

  it.effect("that accepts nothing and says nothing is asked half as often each time; success ends that", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      for (const [round, pause] of [1, 2, 4].entries()) {
        yield* (yield* send()).end(refusedWith(rateLimited))
        const next = yield* send()
        yield* TestClock.adjust(Duration.millis(pause * 1000 - 1))
        assert.strictEqual(count(), 2 * round + 1)
        yield* TestClock.adjust("1 milli")
        assert.strictEqual(count(), 2 * round + 2)
        yield* next.end(refusedWith({ status: 500 }))
        yield* TestClock.adjust(Duration.minutes(1))
      }
      for (let round = 0; round < 10; round++) {
        yield* (yield* send()).end()
        yield* TestClock.adjust(seconds(4))
      }
      yield* sendMany(4)
      yield* TestClock.adjust(seconds(4))
      assert.strictEqual(count(), 20)
    })
  )

  it.effect("is asked again after a second when it refuses many that were sent together", () =>
    Effect.gen(function* () {
      const { count, send, sendMany } = yield* start()
      const wave = yield* sendMany(20)
      for (const each of wave) yield* each.end(refusedWith(rateLimited))
      yield* send()
      yield* TestClock.adjust(seconds(2))
      assert.strictEqual(count(), 21)
    })
  )

  it.effect("because of a steep rise gets half as many requests at the same time, and more after each answer", () =>
    Effect.gen(function* () {
      const { count, pacing, sendMany } = yield* start()
      const wave = yield* sendMany(8)
      const objection = { type: "ramp_limit_exceeded", status: 429, retryAfter: seconds(3) }
      for (const each of wave) yield* each.end(refusedWith(objection))
      const next = yield* sendMany(20)
      yield* TestClock.adjust(seconds(2))
      assert.strictEqual(count(), 8)
      yield* TestClock.adjust(seconds(1))
      assert.strictEqual((yield* pacing.snapshot)[0]?.running, 4)
      for (const each of next.slice(0, 4)) yield* each.end()
      assert.strictEqual((yield* pacing.snapshot)[0]?.running, 4)
      for (const each of next.slice(4, 8)) yield* each.end()
      assert.strictEqual((yield* pacing.snapshot)[0]?.running, 5)
    })
  )

  it.effect("permanently causes no pause: a spend limit, a wrong key", () =>
    Effect.gen(function* () {
      const { count, pacing, send } = yield* start()
      for (const status of [429, 401]) {
        const fatal = refusedWith({
          reason: "Fatal",
          type: "enforced_spend_limit_reached",
          status,
          retryAfter: seconds(60)
        })
        yield* (yield* send()).end(fatal)
      }
      yield* send()
      assert.strictEqual(count(), 3)
      assert.isUndefined((yield* pacing.snapshot)[0]?.pausedUntil)
    })
  )

  it.effect("with another error causes no pause", () =>
    Effect.gen(function* () {
      const { count, send } = yield* start()
      yield* (yield* send()).end(refusedWith({ type: "api_error", status: 500, retryAfter: seconds(60) }))
      yield* send()
      assert.strictEqual(count(), 2)
    })
  )
})

describe("a request that waits", () => {
  it.effect("can be interrupted: the requests behind it move up", () =>
    Effect.gen(function* () {
      const { ids, pacing, send } = yield* start({ requestsPerMinute: 1, inputTokensPerMinute: 600 })
      yield* send()
      const waiting = [yield* send(), yield* send(), yield* send(), yield* send()]
      for (const index of [2, 0, 3]) yield* Fiber.interrupt(waiting[index]!.fiber)
      assert.strictEqual((yield* pacing.snapshot)[0]?.waiting, 1)
      yield* TestClock.adjust(seconds(60))
      assert.deepStrictEqual(ids(), [1, 3])
    })
  )

  it.effect("admits a smaller request behind it when it is interrupted at the head", () =>
    Effect.gen(function* () {
      const { ids, send } = yield* start({ inputTokensPerMinute: 100 })
      yield* send(sized(60, 1))
      const large = yield* send(sized(90, 1))
      yield* send(sized(40, 1))
      assert.deepStrictEqual(ids(), [1])
      yield* Fiber.interrupt(large.fiber)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(ids(), [1, 3])
    })
  )

  it.effect("costs nothing when it is interrupted at the moment of its admission", () =>
    Effect.gen(function* () {
      const pacing = yield* make({ requestsPerMinute: 3 })
      const fork = (send: Effect.Effect<Reply.Reply, ClaudeError>) =>
        Effect.forkChild(
          pacing.pace(small, () => send),
          { startImmediately: true }
        )
      const answer = Effect.succeed(reply("text"))
      yield* Fiber.await(yield* fork(Effect.fail(failure({ status: 429, retryAfter: Duration.hours(1) }))))
      // All that fit are let go when the pause ends, and the first interrupts the second before that one runs.
      const others: Array<Fiber.Fiber<unknown, unknown>> = []
      yield* fork(Effect.sync(() => (others[0]?.interruptUnsafe(), reply("text"))))
      for (let count = 0; count < 3; count++) others.push(yield* fork(answer))
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        others.map((fiber) => fiber.pollUnsafe()?._tag),
        ["Failure", "Success", "Success"]
      )
      assert.deepStrictEqual(yield* pacing.snapshot, [
        { model: small.model, waiting: 0, running: 0, pausedUntil: undefined }
      ])
    })
  )

  it.effect("does not use up its timeout, which starts when it is sent", () =>
    Effect.gen(function* () {
      const pacing = yield* make({ requestsPerMinute: 1 })
      const limited = () =>
        pacing.pace(small, () =>
          Effect.timeoutOrElse(Effect.as(Effect.sleep("2 seconds"), reply("text")), {
            duration: "3 seconds",
            orElse: () => Effect.fail(failure({ reason: "TimedOut" }))
          })
        )
      const fibers = [yield* Effect.forkChild(limited()), yield* Effect.forkChild(limited())]
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(yield* Fiber.joinAll(fibers), 2)
    })
  )

  it.effect("has no separate timer", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting: Clock.Clock = {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        sleep: (duration) => Effect.suspend(() => (sleeps++, clock.sleep(duration)))
      }
      yield* Effect.gen(function* () {
        const { count, sendMany } = yield* start({ requestsPerMinute: 60 })
        yield* sendMany(1000)
        assert.strictEqual(count(), 60)
        assert.isAtMost(sleeps, 2)
      }).pipe(Effect.provideService(Clock.Clock, counting))
    })
  )
})

/** What the API does: refills continuously, and refuses what does not fit. */
const overdrawn = (
  limit: number,
  charges: ReadonlyArray<{ readonly at: number; readonly amount: number }>
): boolean => {
  let level = limit
  let last = 0
  return charges
    .toSorted((left, right) => left.at - right.at)
    .some(({ amount, at }) => {
      level = Math.min(limit, level + ((at - last) / 60_000) * limit) - amount
      last = at
      return level < -0.001
    })
}

const Share = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))

const Load = Schema.Struct({
  requestsPerMinute: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 })),
  inputTokensPerMinute: Schema.Int.check(Schema.isBetween({ minimum: 120, maximum: 1000 })),
  outputTokensPerMinute: Schema.Int.check(Schema.isBetween({ minimum: 120, maximum: 1000 })),
  requests: Schema.Array(
    Schema.Struct({
      /** When it is requested, in seconds. */
      at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 })),
      input: Schema.Int.check(Schema.isBetween({ minimum: 20, maximum: 120 })),
      maxTokens: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 120 })),
      /** Shares of its maximum. */
      cached: Share,
      answer: Share,
      seconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 90 })),
      /** When the API counts the output, as a share of its duration. */
      counted: Share,
      end: Schema.Literals(["answer", "answer", "refused", "unknown", "interrupted"])
    })
  ).check(Schema.isMinLength(1), Schema.isMaxLength(30))
})

it.effect.prop(
  "a configured limit is never exceeded, whatever the requests, their order and their results",
  [Load],
  ([{ requests, ...options }]) =>
    Effect.gen(function* () {
      const pacing = yield* make(options)
      const starts: Array<{ readonly at: number; readonly amount: number }> = []
      const inputs: typeof starts = []
      const outputs: typeof starts = []
      const fibers = yield* Effect.forEach(requests, (each) => {
        const sending = pacing.pace(sized(each.input, each.maxTokens), () =>
          Effect.gen(function* () {
            const at = yield* Clock.currentTimeMillis
            const cached = Math.floor((each.input * each.cached) / 100)
            const output = each.end === "answer" ? Math.floor((each.maxTokens * each.answer) / 100) : each.maxTokens
            starts.push({ at, amount: 1 })
            if (each.end !== "refused") {
              inputs.push({ at, amount: each.end === "answer" ? each.input - cached : each.input })
              outputs.push({ at: at + each.seconds * 10 * each.counted, amount: output })
            }
            yield* Effect.sleep(seconds(each.seconds))
            switch (each.end) {
              case "answer":
                return reply("text", { usage: usage({ input: each.input - cached, cacheRead: cached, output }) })
              case "refused":
                return yield* failure({ status: 500, usage: Usage.zero })
              case "unknown":
                return yield* failure()
              case "interrupted":
                return yield* Effect.interrupt
            }
          })
        )
        return Effect.forkChild(Effect.delay(sending, seconds(each.at)))
      })
      yield* TestClock.adjust("3 hours")
      yield* Effect.forEach(fibers, Fiber.await)
      assert.lengthOf(starts, requests.length)
      assert.isFalse(overdrawn(options.requestsPerMinute, starts), "requests")
      assert.isFalse(overdrawn(options.inputTokensPerMinute, inputs), "input tokens")
      assert.isFalse(overdrawn(options.outputTokensPerMinute, outputs), "output tokens")
    })
)
