/** What is done to the workers and to their store, at random from a seed. */
import { Effect, type Scope } from "effect"
import type { Server } from "../../packages/adapters/test/servers/process.ts"
import type { Proxy } from "./proxy.ts"
import { between, generator, pick, shuffled } from "./random.ts"
import type { Slot } from "./workers.ts"

export type Fault = "kill" | "freeze" | "cut" | "swallow" | "restart"

/** How often each is done: all of a hand come before the next hand, in an order of its own. */
const hands: { readonly [Kind in "process" | "server"]: ReadonlyArray<Fault> } = {
  process: ["kill", "kill", "kill", "freeze"],
  server: ["kill", "kill", "kill", "kill", "freeze", "freeze", "cut", "cut", "swallow", "restart"]
}

export interface Kill {
  readonly worker: string
  readonly at: number
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
  while (true) {
    for (const fault of shuffled(random, hands[target.server === undefined ? "process" : "server"])) {
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

const does: { readonly [Kind in Fault]: Does } = {
  kill: (target, random, injected) =>
    Effect.gen(function* () {
      const slot = pick(
        random,
        target.slots.filter((slot) => !slot.isFrozen())
      )
      const rest = between(random, 0, 500)
      if (slot === undefined) return
      injected.kills.push(yield* slot.kill)
      yield* Effect.sleep(rest)
      yield* slot.start
    }).pipe(Effect.uninterruptible),

  // Others go on meanwhile: only so is there somebody to take over.
  freeze: (target, random) =>
    Effect.gen(function* () {
      const slot = pick(
        random,
        target.slots.filter((slot) => !slot.isFrozen())
      )
      const millis = target.leaseMillis * between(random, 1.1, 2)
      if (slot === undefined) return
      yield* Effect.forkScoped(
        Effect.acquireUseRelease(
          slot.freeze,
          () => Effect.sleep(millis),
          () => slot.thaw
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
