/** What workers cost a server while they have nothing to do. */
import { Executor, Orchestrator, Safety, Verifier } from "@baton/core"
import { createClient } from "@redis/client"
import { Effect, Layer } from "effect"
import { Client } from "pg"
import { report } from "./measurement.ts"
import { onPostgres, onRedis, storeAt } from "./places.ts"

const workers = 4
const seconds = 20

/** Commands a second and worker; `count` says how many the server had so far, and sends `own` commands to know. */
const measure = (url: string, count: () => Promise<number>, own: number): Promise<number> => {
  const worker = Orchestrator.layer({ concurrency: 8 }).pipe(
    Layer.provide([Executor.layerFake(), Verifier.layerNone, Safety.layerAllowAll]),
    Layer.provide(Layer.fresh(storeAt(url)))
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
    // Until all of them are connected and have looked once, and the server has counted that.
    yield* Effect.sleep("12 seconds")
    const before = yield* Effect.promise(count)
    yield* Effect.sleep(`${seconds} seconds`)
    const after = yield* Effect.promise(count)
    return (after - before - own) / seconds / workers
  }).pipe(Effect.scoped, Effect.runPromise)
}

/** The transactions of a database; statements outside of one are one each. */
const postgres = (parameters: string) =>
  onPostgres(async (url) => {
    const client = new Client({ connectionString: url })
    await client.connect()
    const count = async (): Promise<number> => {
      // Sessions report what they did with a delay.
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

/** The commands that clients sent; those inside scripts are counted too, so they are left out. */
const redis = () =>
  onRedis(async (url) => {
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

const what = `asked by an idle worker (${workers} of them, ${seconds} s)`
const target = "<= 1 /s"
report({ what: `postgres, ${what}`, value: await postgres(""), unit: "/s", target })
report({ what: `postgres behind a pooler, ${what}`, value: await postgres("?listen=false"), unit: "/s", target })
report({ what: `redis, ${what}`, value: await redis(), unit: "/s", target })
