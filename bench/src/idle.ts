/** The load of idle workers on a server. */
import { Executor, Orchestrator, Safety, Verifier } from "@baton/core"
import { createClient } from "@redis/client"
import { Effect, Layer } from "effect"
import { Client } from "pg"
import { report } from "./measurement.ts"
import { withPostgres, withRedis, storeLayer } from "./temporaryStores.ts"

const workers = 4
const seconds = 20

/** Commands per second and worker. `count` returns the server's total so far, for which it sends `own` commands. */
const measure = (url: string, count: () => Promise<number>, own: number): Promise<number> => {
  const worker = Orchestrator.layer({ concurrency: 8 }).pipe(
    Layer.provide([Executor.layerFake(), Verifier.layerNone, Safety.layerAllowAll]),
    Layer.provide(Layer.fresh(storeLayer(url)))
  )
  return Effect.gen(function* () {
    for (let index = 0; index < workers; index++) {
      const run = Effect.provide(
        Orchestrator.Orchestrator.use(({ runForever }) => runForever),
        worker,
        { local: true }
      )
      yield* Effect.forkScoped(run)
    }
    // Until all workers are connected and have polled once, and the server has counted that.
    yield* Effect.sleep("12 seconds")
    const before = yield* Effect.promise(count)
    yield* Effect.sleep(`${seconds} seconds`)
    const after = yield* Effect.promise(count)
    return (after - before - own) / seconds / workers
  }).pipe(Effect.scoped, Effect.runPromise)
}

/** Counts the transactions of a database; a statement outside a transaction counts as one. */
const postgres = (parameters: string) =>
  withPostgres(async (url) => {
    const client = new Client({ connectionString: url })
    await client.connect()
    const count = async (): Promise<number> => {
      // Sessions report their statistics with a delay.
      await client.query("SELECT pg_sleep(1.1)")
      const { rows } = await client.query<{ readonly count: number }>(
        `SELECT (xact_commit + xact_rollback)::float8 AS count FROM pg_stat_database WHERE datname = current_database()`
      )
      return rows[0]?.count ?? 0
    }
    const rate = await measure(url + parameters, count, 2)
    await client.end()
    return rate
  })

/** Counts the commands that clients sent. Redis also counts the commands inside scripts, which are excluded here. */
const redis = () =>
  withRedis(async (url) => {
    const client = await createClient({ url }).connect()
    const count = async (): Promise<number> => {
      const stats = (await client.info("commandstats")).matchAll(
        /cmdstat_(evalsha|eval|ping|info|subscribe|publish):calls=(\d+)/g
      )
      return Array.from(stats, ([, , calls]) => Number(calls)).reduce((total, calls) => total + calls, 0)
    }
    const rate = await measure(url, count, 1)
    client.destroy()
    return rate
  })

const what = `requests of an idle worker (${workers} workers, ${seconds} s)`
const target = "<= 1 /s"
report({ what: `postgres, ${what}`, value: await postgres(""), unit: "/s", target })
report({ what: `postgres behind a pooler, ${what}`, value: await postgres("?listen=false"), unit: "/s", target })
report({ what: `redis, ${what}`, value: await redis(), unit: "/s", target })
