/** The cost of a task must not depend on how many there are. */
import { TaskStore } from "@baton/core"
import { report } from "./measurement.ts"
import { runNoop } from "./orchestrate.ts"

const concurrency = 64
// The first run warms up the compiler and is not counted.
for (let warmup = 0; warmup < 3; warmup++) await runNoop(TaskStore.layerMemory, { count: 20_000, concurrency })

const base = "memory store, 1 000 tasks at a time"
const rounds = 100
let elapsed = 0
for (let round = 0; round < rounds; round++) {
  elapsed += 1000 / (await runNoop(TaskStore.layerMemory, { count: 1_000, concurrency })).runPerSecond
}
report({ what: base, value: (rounds * 1000) / elapsed, unit: "tasks/s" })
for (const count of [100_000, 1_000_000]) {
  const { runPerSecond } = await runNoop(TaskStore.layerMemory, { count, concurrency })
  report({
    what: `memory store, ${count.toLocaleString("en").replaceAll(",", " ")} tasks`,
    value: runPerSecond,
    unit: "tasks/s",
    against: base,
    target: ">= 0.8 x"
  })
}
