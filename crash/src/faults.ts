/** Injects faults into the workers and their store, in an order that depends on a seed. */
import { Effect, Schedule, type Scope } from "effect"
import type { Server } from "../../packages/adapters/test/servers/process.ts"
import type { Proxy } from "./proxy.ts"
import { between, generator, pick, shuffled } from "./random.ts"
import type { Slot } from "./workers.ts"

export type Fault = "kill" | "freeze" | "cut" | "halfOpen" | "restart"

/**
 * The faults of one round; each group is shuffled separately. The first group leaves the server alone, so that takeovers can
 * be measured.
 */
const processFaults: ReadonlyArray<Fault> = ["kill", "kill", "kill", "freeze"]
const serverFaults: ReadonlyArray<Fault> = ["kill", "freeze", "cut", "cut", "halfOpen", "restart", "restart"]

export interface Kill {
  readonly worker: string
  readonly at: number
}

/** A period during which a worker was frozen. */
export interface Freeze extends Outage {
  readonly worker: string
}

/** A period during which some workers could not reach the store. */
export interface Outage {
  readonly from: number
  readonly to: number
}

/** The faults so far. */
export interface Injected {
  readonly counts: { [Kind in Fault]: number }
  readonly kills: Array<Kill>
  readonly freezes: Array<Freeze>
  readonly outages: Array<Outage>
}

export interface Target {
  readonly slots: ReadonlyArray<Slot>
  /** One for each slot; empty if the store has no server. */
  readonly proxies: ReadonlyArray<Proxy>
  readonly server: Server | undefined
  readonly leaseMillis: number
}

/** How long a worker takes to notice a dead connection: the adapters' timeout here, and a margin. */
const noticeMillis = 1500

/** A worker's longest delay between two attempts to reach its store. Until then, the delay doubles with each attempt. */
const longestWaitMillis = 5000

/** Injects one fault after another until it is interrupted; the fault in progress is then reverted. */
export const inject = Effect.fnUntraced(function* (
  target: Target,
  seed: number,
  injected: Injected
): Effect.fn.Return<never, never, Scope.Scope> {
  const random = generator(seed)
  const groups = target.server === undefined ? [processFaults] : [processFaults, serverFaults]
  while (true) {
    for (const fault of groups.flatMap((group) => shuffled(random, group))) {
      yield* Effect.sleep(between(random, 100, 900))
      yield* injectors[fault](target, random, injected)
      injected.counts[fault]++
    }
  }
})

type Injector = (target: Target, random: () => number, injected: Injected) => Effect.Effect<void, never, Scope.Scope>

const outage = (injected: Injected, from: number) =>
  Effect.sync(() => {
    const now = Date.now()
    injected.outages.push({ from, to: now + noticeMillis + Math.min(longestWaitMillis, now - from) })
  })

/** A worker is chosen only while two others work, which can take over its tasks. */
const minWorking = 3

const workingSlot = (target: Target, random: () => number) =>
  Effect.sync(() => {
    const working = target.slots.filter((slot) => slot.isWorking())
    return working.length < minWorking ? undefined : pick(random, working)
  }).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (slot) => slot !== undefined }),
    Effect.flatMap((slot) => Effect.fromNullishOr(slot)),
    Effect.orDie
  )

const injectors: { readonly [Kind in Fault]: Injector } = {
  kill: (target, random, injected) =>
    Effect.gen(function* () {
      const slot = yield* workingSlot(target, random)
      const delay = between(random, 0, 500)
      injected.kills.push(yield* slot.kill)
      yield* Effect.sleep(delay)
      yield* slot.start
    }).pipe(Effect.uninterruptible),

  // In the background, so that other faults continue while the worker is frozen.
  freeze: (target, random, injected) =>
    Effect.gen(function* () {
      const slot = yield* workingSlot(target, random)
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

  halfOpen: (target, random, injected) =>
    Effect.suspend(() => {
      const from = Date.now()
      const all = random() < 0.5
      const one = pick(random, target.proxies)
      const proxies = target.proxies.filter((proxy) => all || proxy === one)
      return Effect.acquireUseRelease(
        Effect.sync(() => proxies.forEach((proxy) => proxy.halfOpen())),
        () => Effect.sleep(between(random, 500, 3000)),
        () => {
          for (const proxy of proxies) proxy.restore()
          return outage(injected, from)
        }
      )
    }),

  restart: ({ server }, random, injected) =>
    Effect.gen(function* () {
      if (server === undefined) return
      const from = Date.now()
      const crash = random() < 0.5
      const delay = between(random, 0, 1000)
      yield* Effect.promise(() => (crash ? server.crash() : server.stop()))
      yield* Effect.sleep(delay)
      yield* Effect.promise(() => server.start())
      yield* outage(injected, from)
    }).pipe(Effect.uninterruptible)
}
