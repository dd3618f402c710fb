import { TaskStore } from "@baton/core"
import { runNoop } from "./orchestrate.ts"
const r: number[] = []
for (let i = 0; i < 4; i++) {
  const n = await runNoop(TaskStore.layerMemory, { count: 200000, concurrency: 64 })
  r.push(Math.round(n.runPerSecond))
}
console.log(r.join(" "))
