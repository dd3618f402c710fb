/**
 * What the budget of a queue costs: calls that reserve and settle per second, made by many attempts at the same time, and
 * tasks with one such call, compared with the same tasks in a queue without a budget.
 */
import { report } from "./measurement.ts"
import { runNoop } from "./orchestrate.ts"
import { storeLayer, withPostgres, withRedis, withSqlite } from "./temporaryStores.ts"

const attempts = 256
const calls = 100
const count = 10_000
const rounds = 5

const stores = [
  ["SQLite", withSqlite, 10_000],
  ["PostgreSQL", withPostgres, 2000],
  ["Redis", withRedis, 10_000]
] as const

/**
 * The best of several rounds, because a shared machine can only slow a round down: tasks per second, and the microseconds of
 * processor time that this process takes for all of them, which other programs hardly change.
 */
const best = async (measure: () => Promise<{ readonly runPerSecond: number }>) => {
  let perSecond = 0
  let cpuMicros = Infinity
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage()
    perSecond = Math.max(perSecond, (await measure()).runPerSecond)
    const { system, user } = process.cpuUsage(before)
    cpuMicros = Math.min(cpuMicros, system + user)
  }
  return { perSecond, cpuMicros }
}

for (const [name, withStore, target] of stores) {
  const cycles = await best(() =>
    withStore((url) => runNoop(storeLayer(url), { count: attempts, concurrency: attempts, calls, hasBudget: true }))
  )
  report({
    what: `${name}, calls that reserve and settle, ${attempts} attempts at the same time`,
    value: cycles.perSecond * calls,
    unit: "/s",
    target: `>= ${target.toLocaleString("en").replaceAll(",", " ")}`
  })
  report({
    what: `${name}, processor time of such a call in this process`,
    value: cycles.cpuMicros / (attempts * calls),
    unit: "µs",
    target: `<= ${1e6 / target}`
  })
  const tasks = (hasBudget: boolean) =>
    best(() => withStore((url) => runNoop(storeLayer(url), { count, concurrency: attempts, calls: 1, hasBudget })))
  const base = `${name}, tasks of one call, without a budget`
  report({ what: base, value: (await tasks(false)).perSecond, unit: "tasks/s" })
  report({
    what: `${name}, tasks of one call, with a budget`,
    value: (await tasks(true)).perSecond,
    unit: "tasks/s",
    against: base
  })
}
