/** Other queues on Redis with the same work, on a server with an append-only file that is flushed every second. */
import { NodeRedis } from "@effect/platform-node"
import { Queue, Worker } from "bullmq"
import { Effect, Layer, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import * as RedisServer from "../../packages/adapters/test/servers/redis.ts"
import { rate, report } from "./measurement.ts"

const server = await RedisServer.start()
const { port } = server

const bullmq = async (concurrency: number, count: number): Promise<number> => {
  const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null }
  const queue = new Queue(`bench-${concurrency}`, { connection })
  for (let added = 0; added < count; added += 1000) {
    await queue.addBulk(Array.from({ length: 1000 }, (_, index) => ({ name: "noop", data: { n: added + index } })))
  }
  let done = 0
  const workers: Array<Worker> = []
  const perSecond = await rate(
    count,
    () =>
      new Promise<void>((resolve) => {
        const worker = new Worker(queue.name, async () => "a result", { connection, concurrency })
        workers.push(worker)
        worker.on("completed", () => {
          if (++done === count) resolve()
        })
      })
  )
  for (const worker of workers) await worker.close(true)
  await queue.close()
  return perSecond
}

const persistedQueue = (concurrency: number, count: number): Promise<number> =>
  Effect.gen(function* () {
    const queue = yield* PersistedQueue.make({ name: "bench", schema: Schema.Struct({ id: Schema.String }) })
    yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => ({ id: `task-${index}` })),
      (task) => queue.offer(task),
      { concurrency: 64, discard: true }
    )
    const start = performance.now()
    let taken = 0
    yield* Effect.forEach(
      Array.from({ length: concurrency }),
      () =>
        Effect.whileLoop({
          while: () => taken < count,
          body: () => {
            taken++
            return queue.take(() => Effect.void)
          },
          step: () => {}
        }),
      { concurrency: "unbounded", discard: true }
    )
    return (count / (performance.now() - start)) * 1000
  }).pipe(
    Effect.provide(
      PersistedQueue.layer.pipe(
        Layer.provide(PersistedQueue.layerStoreRedis({})),
        Layer.provide(NodeRedis.layer({ socket: { host: "127.0.0.1", port } }))
      )
    ),
    Effect.scoped,
    Effect.runPromise
  )

try {
  report({ what: "BullMQ, concurrency 8, result kept", value: await bullmq(8, 20_000), unit: "tasks/s" })
  report({ what: "BullMQ, concurrency 64, result kept", value: await bullmq(64, 20_000), unit: "tasks/s" })
  report({ what: "PersistedQueue, concurrency 64", value: await persistedQueue(64, 20_000), unit: "tasks/s" })
} finally {
  await server.remove()
}
process.exit()
