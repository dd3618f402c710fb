/**
 * The orchestrator on Redis, against bare scripts that keep the same: result, attempts, lease. The server is one of its
 * own, with a log that it flushes every second.
 */
import { RedisTaskStore } from "@baton/adapters/redis"
import { Execution, Executor, Orchestrator, Safety, Task, Verifier } from "@baton/core"
import { createClient } from "@redis/client"
import { Context, Effect, Layer, Queue } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { report } from "./measurement.ts"
import { runNoop } from "./orchestrate.ts"

const count = 100_000
const concurrency = 64

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
}

const claim = `
  local ids = redis.call('LPOP', KEYS[1], ARGV[1])
  if not ids then return {} end
  local now = redis.call('TIME')[1]
  local states, leases = {}, {}
  for _, id in ipairs(ids) do
    states[#states + 1] = id
    states[#states + 1] = 'in_progress 1'
    leases[#leases + 1] = now + 30
    leases[#leases + 1] = id
  end
  redis.call('HSET', KEYS[2], unpack(states))
  redis.call('ZADD', KEYS[3], unpack(leases))
  return ids`

const complete = `
  local ids, states, results = {}, {}, {}
  for index = 1, #ARGV, 2 do
    ids[#ids + 1] = ARGV[index]
    states[#states + 1] = ARGV[index]
    states[#states + 1] = 'completed 1'
    results[#results + 1] = '1 ' .. ARGV[index]
    results[#results + 1] = ARGV[index + 1]
  end
  redis.call('HSET', KEYS[2], unpack(states))
  redis.call('HSET', KEYS[4], unpack(results))
  redis.call('ZREM', KEYS[3], unpack(ids))`

const bare = async (url: string, batch: number): Promise<number> => {
  const keys = ["ready", "states", "leases", "results"]
  const clients = await Promise.all(Array.from({ length: 8 }, () => createClient({ url }).connect()))
  for (let from = 0; from < count; from += 1000) {
    await clients[0]?.rPush(
      "ready",
      Array.from({ length: 1000 }, (_, index) => `task-${from + index}`)
    )
  }
  const start = performance.now()
  await Promise.all(
    clients.map(async (client) => {
      for (;;) {
        const ids = await client.sendCommand<Array<string>>(["EVAL", claim, "4", ...keys, String(batch)])
        if (ids.length === 0) return
        const results = ids.flatMap((id) => [id, `Fake result for: ${id}`])
        await client.sendCommand(["EVAL", complete, "4", ...keys, ...results])
      }
    })
  )
  const perSecond = (count / (performance.now() - start)) * 1000
  for (const client of clients) client.destroy()
  return perSecond
}

/** Runs `measure` on a server of its own: one that rewrites the log of an earlier measurement is busy with that. */
const onServer = async <A>(measure: (url: string) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "baton-bench-"))
  const port = await freePort()
  const settings = { port: String(port), bind: "127.0.0.1", dir: folder, save: "", appendonly: "yes" }
  const server = spawn(
    "redis-server",
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    { stdio: ["ignore", "pipe", "inherit"] }
  )
  await new Promise<void>((resolve) => {
    server.stdout.on("data", (chunk) => {
      if (String(chunk).includes("Ready to accept connections")) resolve()
    })
  })
  try {
    return await measure(`redis://127.0.0.1:${port}`)
  } finally {
    server.kill()
    await once(server, "exit")
    rmSync(folder, { recursive: true })
  }
}

/** How soon an idle worker starts a task that comes through another connection, as from another process; sorted, in ms. */
const wakeUps = (url: string): Promise<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const started = yield* Queue.unbounded<number>()
    const worker = Orchestrator.layer().pipe(
      Layer.provide([
        Executor.layer(() =>
          Effect.sync(() => {
            Queue.offerUnsafe(started, performance.now())
            return Execution.make({ output: "" })
          })
        ),
        Verifier.layerNone,
        Safety.layerAllowAll
      ]),
      Layer.provide(RedisTaskStore.layer({ url }))
    )
    const orchestrator = Context.get(yield* Layer.build(worker), Orchestrator.Orchestrator)
    const store = yield* RedisTaskStore.make({ url })
    yield* Effect.forkScoped(orchestrator.runForever)
    const delays: Array<number> = []
    for (let round = 0; round < 40; round++) {
      yield* Effect.sleep(100)
      const added = performance.now()
      yield* store.add([Task.make({ id: `task-${round}`, description: "" })])
      delays.push((yield* Queue.take(started)) - added)
    }
    return delays.sort((left, right) => left - right)
  }).pipe(Effect.scoped, Effect.runPromise)

const delays = await onServer(wakeUps)
report({ what: "added until started, median", value: delays[delays.length >> 1] ?? 0, unit: "ms", target: "< 50 ms" })
report({ what: "added until started, worst", value: delays.at(-1) ?? 0, unit: "ms" })

report({
  what: "bare Lua, AOF everysec, 8 clients, batch 1",
  value: await onServer((url) => bare(url, 1)),
  unit: "tasks/s"
})
const base = "bare Lua, AOF everysec, 8 clients, batch 100"
report({ what: base, value: await onServer((url) => bare(url, 100)), unit: "tasks/s" })
for (const prefetch of [concurrency, 1000]) {
  const { addPerSecond, runPerSecond } = await onServer((url) =>
    runNoop(RedisTaskStore.layer({ url }), { count, concurrency, prefetch })
  )
  report({
    what: `redis store, ${concurrency} workers, prefetch ${prefetch}`,
    value: runPerSecond,
    unit: "tasks/s",
    against: base,
    ...(prefetch === 1000 ? { target: ">= 35 000 tasks/s" } : undefined)
  })
  report({ what: `  added, prefetch ${prefetch}`, value: addPerSecond, unit: "tasks/s" })
}
