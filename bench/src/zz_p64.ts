import { PostgresTaskStore } from "@baton/adapters/postgres"
import { readFileSync, readdirSync } from "node:fs"
import { runNoop } from "./orchestrate.ts"
import { withPostgres } from "./temporaryStores.ts"
const master = Number(process.env.PGMASTER)
const serverCpu = () => {
  let ticks = 0
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
      const f = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      if (Number(pid) !== master && Number(f[1]) !== master) continue
      ticks += Number(f[11]) + Number(f[12])
      if (Number(pid) === master) ticks += Number(f[13]) + Number(f[14])
    } catch {}
  }
  return ticks * 10_000
}
await withPostgres(async (url) => {
  const out: Array<string> = []
  for (const prefetch of [64]) {
    const store = PostgresTaskStore.layer({ url, schema: `baton_${prefetch}` })
    const cpu = process.cpuUsage()
    const server = serverCpu()
    const { addPerSecond, runPerSecond } = await runNoop(store, { count: 50_000, concurrency: 64, prefetch })
    const { user, system } = process.cpuUsage(cpu)
    out.push(
      `p${prefetch}: run ${Math.round(runPerSecond)} added ${Math.round(addPerSecond)} node ${((user + system) / 50_000).toFixed(1)} pg ${((serverCpu() - server) / 50_000).toFixed(1)} us/task`
    )
  }
  console.log(out.join(" | "))
})
process.exit()
