/**
 * Tasks with concurrency keys, compared with tasks without. Each worker claims, and the run settles, as with other tasks; with
 * a thousand keys, the store also has to find the keys whose turn it is.
 *
 *   node bench/src/keys.ts             all stores
 *   node bench/src/keys.ts sqlite      one of them
 */
import { TaskStore } from "@baton/core"
import { report } from "./measurement.ts"
import { runNoop } from "./orchestrate.ts"
import { storeLayer, withPostgres, withRedis, withSqlite } from "./temporaryStores.ts"

const count = 20_000
const concurrency = 64

const places = {
  memory: (measure: (url: string) => Promise<void>) => measure("memory:"),
  sqlite: withSqlite,
  postgres: withPostgres,
  redis: withRedis
}

const layerOf = (url: string) => (url === "memory:" ? TaskStore.layerMemory : storeLayer(url))

const measure = async (what: string, url: string, keys: number, against?: string): Promise<void> => {
  const { runPerSecond } = await runNoop(layerOf(url), { count, concurrency, keys })
  report({ what, value: runPerSecond, unit: "tasks/s", ...(against === undefined ? undefined : { against }) })
}

for (const [name, withPlace] of Object.entries(places)) {
  const chosen = process.argv.slice(2)
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const base = `${name}, no keys`
  await withPlace((url) => measure(base, url, 0))
  await withPlace((url) => measure(`${name}, 1 000 keys`, url, 1000, base))
}
