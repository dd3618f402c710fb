/**
 * The orchestrator on PostgreSQL and other queues with the same work: claim, do nothing, complete. Baton additionally
 * verifies, and keeps results and history.
 */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Logger, makeWorkerUtils, run, WorkerPreset } from "graphile-worker"
import { Pool } from "pg"
import { PgBoss } from "pg-boss"
import { Best, rate } from "./measurement.ts"
import { describePrefetch, prefetches, runNoop, warmUp } from "./orchestrate.ts"
import { withPostgres } from "./temporaryStores.ts"

/** Bare statements that keep results and attempts: the upper bound for a queue. */
const bare = async (connectionString: string, batch: number, connections: number, count: number): Promise<number> => {
  const pool = new Pool({ connectionString, max: connections })
  await pool.query(`DROP TABLE IF EXISTS bare_attempt, bare_task;
    CREATE TABLE bare_task (id bigint PRIMARY KEY, description text, status text, result text, attempts int);
    CREATE TABLE bare_attempt (task bigint, number int, output text);
    CREATE INDEX ON bare_task (id) WHERE status = 'pending'`)
  await pool.query(
    "INSERT INTO bare_task SELECT n, 'the work of task ' || n, 'pending', NULL, 0 FROM generate_series(1, $1) n",
    [count]
  )
  const worker = async (): Promise<void> => {
    for (;;) {
      const { rows } = await pool.query(
        `WITH c AS MATERIALIZED (
           SELECT id FROM bare_task WHERE status = 'pending' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
         UPDATE bare_task t SET status = 'in_progress', attempts = attempts + 1 FROM c WHERE t.id = c.id
         RETURNING t.id, t.attempts`,
        [batch]
      )
      if (rows.length === 0) return
      await pool.query(
        `WITH s AS (SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) AS s(id, number, output)),
           kept AS (INSERT INTO bare_attempt SELECT * FROM s)
         UPDATE bare_task t SET status = 'completed', result = s.output FROM s WHERE t.id = s.id`,
        [rows.map(({ id }) => id), rows.map(({ attempts }) => attempts), rows.map(({ id }) => `the result of ${id}`)]
      )
    }
  }
  const perSecond = await rate(count, async () => {
    await Promise.all(Array.from({ length: connections }, worker))
  })
  await pool.end()
  return perSecond
}

let queues = 0

const pgBoss = async (connectionString: string, batchSize: number, workers: number, count: number): Promise<number> => {
  const boss = new PgBoss({ connectionString, max: workers + 2 })
  boss.on("error", () => {})
  await boss.start()
  const queue = `bench-${queues++}`
  await boss.createQueue(queue)
  for (let added = 0; added < count; added += 1000) {
    await boss.insert(
      queue,
      Array.from({ length: 1000 }, (_, index) => ({ data: { n: added + index } }))
    )
  }
  const worker = async (): Promise<void> => {
    for (;;) {
      const jobs = await boss.fetch(queue, { batchSize })
      if (jobs.length === 0) return
      await boss.complete(
        queue,
        jobs.map(({ id }) => id),
        { output: "a result" }
      )
    }
  }
  const perSecond = await rate(count, async () => {
    await Promise.all(Array.from({ length: workers }, worker))
  })
  await boss.stop({ graceful: false })
  return perSecond
}

const graphile = async (
  connectionString: string,
  options: { readonly concurrency: number; readonly batched: boolean },
  count: number
): Promise<number> => {
  const logger = new Logger(() => () => {})
  const utils = await makeWorkerUtils({ connectionString, logger })
  await utils.migrate()
  for (let added = 0; added < count; added += 1000) {
    await utils.addJobs(Array.from({ length: 1000 }, (_, n) => ({ identifier: "noop", payload: { n: added + n } })))
  }
  let done = 0
  const perSecond = await rate(
    count,
    () =>
      new Promise<void>((resolve, reject) => {
        run({
          connectionString,
          logger,
          noHandleSignals: true,
          concurrency: options.concurrency,
          ...(options.batched
            ? {
                preset: {
                  extends: [WorkerPreset],
                  worker: { localQueue: { size: 2000 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
                }
              }
            : undefined),
          taskList: {
            noop: () => {
              done++
              if (done === count) resolve()
            }
          }
        }).then((runner) => void stops.push(() => runner.stop()), reject)
      })
  )
  for (const stop of stops.splice(0)) await stop()
  await utils.release()
  return perSecond
}
const stops: Array<() => Promise<void>> = []

await withPostgres(async (url) => {
  const floor = "bare pg, batch 1 000, 2 connections"
  const best = new Best()
  await warmUp(PostgresTaskStore.layer({ url, schema: "warm_up" }))
  for (let round = 0; round < 2; round++) {
    best.note(floor, await bare(url, 1000, 2, 100_000))
    best.note("bare pg, batch 64, 2 connections", await bare(url, 64, 2, 50_000))
    best.note("bare pg, batch 1, 8 connections", await bare(url, 1, 8, 10_000))
    for (const prefetch of prefetches) {
      const store = PostgresTaskStore.layer({ url, schema: `baton_${prefetch ?? "adaptive"}_${round}` })
      const { addPerSecond, runPerSecond } = await runNoop(store, { count: 100_000, concurrency: 64, prefetch })
      best.note(`Baton, 64 workers, ${describePrefetch(prefetch)}`, runPerSecond)
      best.note(`  added, ${describePrefetch(prefetch)}`, addPerSecond)
    }
    best.note("pg-boss, batch 100, results kept", await pgBoss(url, 100, 8, 50_000))
    best.note("pg-boss, batch 1 000, results kept", await pgBoss(url, 1000, 4, 100_000))
    best.note("graphile-worker, default, nothing kept", await graphile(url, { concurrency: 8, batched: false }, 10_000))
    best.note(
      "graphile-worker, local queue, nothing kept",
      await graphile(url, { concurrency: 24, batched: true }, 100_000)
    )
  }
  best.report({ unit: "tasks/s", against: floor })
})
process.exit()
