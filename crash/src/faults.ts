/** What is done to the workers and to their store, at random from a seed. */
import { Effect, Schedule, type Scope } from "effect"
import type { Server } from "../../packages/adapters/test/servers/process.ts"
import type { Proxy } from "./proxy.ts"
import { between, generator, pick, shuffled } from "./random.ts"
import type { Slot } from "./workers.ts"

export type Fault = "kill" | "freeze" | "cut" | "swallow" | "restart"

/**
 * What is done in turn, each hand in an order of its own. The first leaves the server alone, so that it can be told how long
 * others take to take over.
 */
const processHand: ReadonlyArray<Fault> = ["kill", "kill", "kill", "freeze"]
const serverHand: ReadonlyArray<Fault> = ["kill", "freeze", "cut", "cut", "swallow", "restart", "restart"]

export interface Kill {
  readonly worker: string
  readonly at: number
}

/** A time in which a worker stood still. */
export interface Freeze extends Outage {
  readonly worker: string
}

/** A time in which the store could not be reached by all workers. */
export interface Outage {
  readonly from: number
  readonly to: number
}

/** What was done until now. */
export interface Injected {
  readonly counts: { [Kind in Fault]: number }
  readonly kills: Array<Kill>
  readonly freezes: Array<Freeze>
  readonly outages: Array<Outage>
}

export interface Target {
  readonly slots: ReadonlyArray<Slot>
  /** One for each slot; none where the store has no server. */
  readonly proxies: ReadonlyArray<Proxy>
  readonly server: Server | undefined
  readonly leaseMillis: number
}

/** Until a worker notices that nothing comes back: the adapters' timeout here, and a little. */
const noticeMillis = 1500

/** The longest wait between two tries of a worker to reach its store. Before, each wait doubles the time that it was away. */
const longestWaitMillis = 5000

/** Does one thing after the other until it is interrupted. What is under way then is undone. */
export const inject = Effect.fnUntraced(function* (
  target: Target,
  seed: number,
  injected: Injected
): Effect.fn.Return<never, never, Scope.Scope> {
  const random = generator(seed)
  const hands = target.server === undefined ? [processHand] : [processHand, serverHand]
  while (true) {
    for (const fault of hands.flatMap((hand) => shuffled(random, hand))) {
      yield* Effect.sleep(between(random, 100, 900))
      yield* does[fault](target, random, injected)
      injected.counts[fault]++
    }
  }
})

type Does = (target: Target, random: () => number, injected: Injected) => Effect.Effect<void, never, Scope.Scope>

const outage = (injected: Injected, from: number) =>
  Effect.sync(() => {
    const now = Date.now()
    injected.outages.push({ from, to: now + noticeMillis + Math.min(longestWaitMillis, now - from) })
  })

/** One of those that work, as soon as there are others that can take over from it. */
const fewestWorking = 3

const victim = (target: Target, random: () => number) =>
  Effect.sync(() => {
    const working = target.slots.filter((slot) => slot.isWorking())
    return working.length < fewestWorking ? undefined : pick(random, working)
  }).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (slot) => slot !== undefined }),
    Effect.flatMap((slot) => Effect.fromNullishOr(slot)),
    Effect.orDie
  )

const does: { readonly [Kind in Fault]: Does } = {
  kill: (target, random, injected) =>
    Effect.gen(function* () {
      const slot = yield* victim(target, random)
      const rest = between(random, 0, 500)
      injected.kills.push(yield* slot.kill)
      yield* Effect.sleep(rest)
      yield* slot.start
    }).pipe(Effect.uninterruptible),

  // Others go on meanwhile: only so is there somebody to take over.
  freeze: (target, random, injected) =>
    Effect.gen(function* () {
      const slot = yield* victim(target, random)
      const millis = target.leaseMillis * between(random, 1.1, 2)
      yield* Effect.forkScoped(
        Effect.acquireUseRelease(
          slot.freeze,
          () => Effect.sleep(millis),
          ({ at: from, worker }) =>
            Effect.andThen(
              slot.thaw,
              Effect.sync(() => {
                injected.freezes.push({ worker, from, to: Date.now() })
              })
            )
        )
      )
    }),

  cut: (target, random, injected) =>
    Effect.suspend(() => {
      const all = random() < 0.5
      const one = pick(random, target.proxies)
      for (const proxy of target.proxies) if (all || proxy === one) proxy.cut()
      return outage(injected, Date.now())
    }),

  swallow: (target, random, injected) =>
    Effect.suspend(() => {
      const from = Date.now()
      const all = random() < 0.5
      const one = pick(random, target.proxies)
      const proxies = target.proxies.filter((proxy) => all || proxy === one)
      return Effect.acquireUseRelease(
        Effect.sync(() => proxies.forEach((proxy) => proxy.swallow())),
        () => Effect.sleep(between(random, 500, 3000)),
        () => {
          for (const proxy of proxies) proxy.flow()
          return outage(injected, from)
        }
      )
    }),

  restart: ({ server }, random, injected) =>
    Effect.gen(function* () {
      if (server === undefined) return
      const from = Date.now()
      const crash = random() < 0.5
      const rest = between(random, 0, 1000)
      yield* Effect.promise(() => (crash ? server.crash() : server.stop()))
      yield* Effect.sleep(rest)
      yield* Effect.promise(() => server.start())
      yield* outage(injected, from)
    }).pipe(Effect.uninterruptible)
}
