/**
 * The orchestrator on Redis, compared with bare scripts that keep the same data: result, attempts, lease. The server flushes
 * its append-only file every second.
 */
import { createClient } from "@redis/client"
import { Best, report } from "./measurement.ts"
import { describePrefetch, prefetches, runNoop, warmUp } from "./orchestrate.ts"
import { withRedis, storeLayer } from "./temporaryStores.ts"

const count = 100_000
const concurrency = 64

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

report({
  what: "bare Lua, AOF everysec, 8 clients, batch 1",
  value: await withRedis((url) => bare(url, 1)),
  unit: "tasks/s"
})
const base = "bare Lua, AOF everysec, 8 clients, batch 100"
const best = new Best()
await withRedis((url) => warmUp(storeLayer(url)))
for (let round = 0; round < 2; round++) {
  best.note(base, await withRedis((url) => bare(url, 100)))
  for (const prefetch of prefetches) {
    const { addPerSecond, runPerSecond } = await withRedis((url) =>
      runNoop(storeLayer(url), { count, concurrency, prefetch })
    )
    best.note(`redis store, ${concurrency} workers, ${describePrefetch(prefetch)}`, runPerSecond)
    best.note(`  added, ${describePrefetch(prefetch)}`, addPerSecond)
  }
}
best.report({ unit: "tasks/s", against: base })
