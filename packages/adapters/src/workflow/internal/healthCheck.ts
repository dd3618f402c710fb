/**
 * One runner of a cluster checks whether the others are alive. When it dies itself, the others would notice that only when its
 * locks expire, so this checks it from one of them.
 */
import * as EntityId from "effect/cluster/EntityId"
import type { Runner } from "effect/cluster/Runner"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import { Runners } from "effect/cluster/Runners"
import { Sharding } from "effect/cluster/Sharding"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as HashRing from "effect/HashRing"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"

/** The engine's name of the check, which runs on the runner that has its shard. */
const check = EntityId.make("effect/cluster/Sharding/RunnerHealth")
const group = "default"

/** As the engine checks whether a runner is alive. */
const pingTimeout = "10 seconds"
const pingRetry = { times: 5, schedule: Schedule.spaced("500 millis") }

/**
 * Checks the runner that checks the others, if this one is to replace it. That is one runner, so that the others do not disagree
 * about it.
 */
export const layer = (options: {
  readonly address: RunnerAddress
  readonly shards: number
  readonly interval: Duration.Input
}): Layer.Layer<never, never, Sharding | Runners | RunnerStorage> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const sharding = yield* Sharding
      const runners = yield* Runners
      const storage = yield* RunnerStorage
      const shard = sharding.getShardId(check, group)

      /** The engine assigns shards to runners in the same way. */
      const checkerAmong = (runners: ReadonlyArray<Runner>): RunnerAddress | undefined => {
        const ring = HashRing.make<RunnerAddress>()
        for (const { address, weight } of runners) HashRing.add(ring, address, { weight })
        return HashRing.getShards(ring, options.shards)?.[shard.id - 1]
      }

      const look = Effect.gen(function* () {
        const healthy = (yield* storage.getRunners).flatMap(([runner, isHealthy]) => (isHealthy ? [runner] : []))
        const checker = checkerAmong(healthy)
        if (checker === undefined) return
        const next = checkerAmong(healthy.filter(({ address }) => !Equal.equals(address, checker)))
        if (next === undefined || !Equal.equals(next, options.address)) return
        const isAlive = yield* runners
          .ping(checker)
          .pipe(Effect.timeout(pingTimeout), Effect.retry(pingRetry), Effect.isSuccess)
        if (!isAlive) yield* storage.setRunnerHealth(checker, false)
      })

      yield* look.pipe(
        // The store of the locks cannot be reached.
        Effect.ignore,
        Effect.repeat(Schedule.spaced(options.interval)),
        Effect.forkScoped
      )
    })
  )
