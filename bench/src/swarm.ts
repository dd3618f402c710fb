/**
 * Many workers on one server: the server's processor time while they are idle and while they work, the time of a claim, and the
 * time until other workers have claimed the tasks of killed ones.
 *
 *   node bench/src/main.ts swarm                                       20 workers of 20 concurrent tasks: two minutes
 *   node bench/src/main.ts swarm --only redis-keys --keys 1000         on one server, with 1 000 concurrency keys
 *   node bench/src/main.ts swarm --only all --workers 100 --processes 100 --concurrency 100 --task-seconds 5 --lease-seconds 30
 *                                                                      as in docs/scaling.md: 20 minutes and 13 GB of memory
 *
 * Each worker has its own store and connections. With fewer processes than workers, several workers share one. The servers are
 * private.
 */
import { Task, TaskStore } from "@baton/core"
import { Clock, Effect, Layer, Queue, Random } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { add } from "./orchestrate.ts"
import * as Costs from "./swarm/costs.ts"
import { cpuOf, type Place, postgresPlace, redisPlace, type Usage } from "./swarm/servers.ts"
import { storeLayer } from "./temporaryStores.ts"
import type { Report } from "./swarm/worker.ts"

const program = fileURLToPath(new URL("swarm/worker.ts", import.meta.url))

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "postgres,redis" },
    workers: { type: "string", default: "20" },
    concurrency: { type: "string", default: "20" },
    processes: { type: "string", default: "4" },
    "task-seconds": { type: "string", default: "2" },
    "lease-seconds": { type: "string", default: "10" },
    "idle-seconds": { type: "string", default: "10" },
    /** The concurrency keys of `postgres-keys` and `redis-keys`. */
    keys: { type: "string", default: "20000" },
    /** How many tasks there are for each that runs at a time. */
    rounds: { type: "string", default: "3" }
  }
})

const places = {
  postgres: { place: postgresPlace(), keys: 0 },
  "postgres-pgbouncer-transaction": { place: postgresPlace("transaction"), keys: 0 },
  "postgres-pgbouncer-session": { place: postgresPlace("session"), keys: 0 },
  "postgres-keys": { place: postgresPlace(), keys: Number(values.keys) },
  redis: { place: redisPlace, keys: 0 },
  "redis-keys": { place: redisPlace, keys: Number(values.keys) }
}

const workers = Number(values.workers)
const concurrency = Number(values.concurrency)
const processes = Number(values.processes)
const taskMillis = Number(values["task-seconds"]) * 1000
const leaseMillis = Number(values["lease-seconds"]) * 1000
const idleSeconds = Number(values["idle-seconds"])
const slots = workers * concurrency
const count = slots * Number(values.rounds)
const wakeUps = 20

const quantile = (numbers: ReadonlyArray<number>, share: number): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor((numbers.length - 1) * share)] ?? Number.NaN

/** The processes of the workers, and their reports. */
const makeSwarm = Effect.fnUntraced(function* (url: string) {
  const startedAt = new Map<number, { readonly at: number; readonly by: number }>()
  const finished = new Set<number>()
  let claims: Array<number> = []
  const killed = new Set<number>()
  let repeated = 0
  const changes = yield* Queue.sliding<void>(1)
  const children = Array.from({ length: processes }, (_, index) => {
    const ownWorkers = Math.floor(((index + 1) * workers) / processes) - Math.floor((index * workers) / processes)
    const child = fork(program, [url, ownWorkers, concurrency, taskMillis, leaseMillis].map(String), {
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
    let isReady = false
    child.on("message", (report: Report) => {
      isReady = true
      for (let next = 0; next < report.starts.length; next += 2) {
        const number = report.starts[next] ?? 0
        const before = startedAt.get(number)
        if (before !== undefined && !killed.has(before.by)) repeated++
        startedAt.set(number, { at: report.starts[next + 1] ?? 0, by: index })
      }
      for (const number of report.finished) finished.add(number)
      claims.push(...report.claims)
      Queue.offerUnsafe(changes, undefined)
    })
    return { child, index, isReady: () => isReady }
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => children.forEach(({ child }) => child.kill("SIGKILL"))))

  const until = (isSo: () => boolean): Effect.Effect<void> =>
    Effect.gen(function* () {
      while (!isSo()) yield* Queue.take(changes)
    })

  yield* until(() => children.every(({ isReady }) => isReady()))
  return {
    until,
    startedAt,
    finished,
    /** How many tasks started again whose worker lived. */
    repeated: () => repeated,
    /** The durations of the claims since the last call. */
    takeClaims: () => {
      const taken = claims
      claims = []
      return taken
    },
    cpuMillis: () => children.reduce((sum, { child }) => sum + cpuOf(child.pid ?? 0), 0),
    /** Kills half of the processes. Returns the tasks that ran in them. */
    killHalf: () => {
      const victims = children.slice(0, Math.ceil(processes / 2))
      for (const { child, index } of victims) {
        child.kill("SIGKILL")
        killed.add(index)
      }
      return Array.from(startedAt)
        .filter(([number, { by }]) => killed.has(by) && !finished.has(number))
        .map(([number]) => number)
    }
  }
})

const difference = (after: Usage, before: Usage) => ({
  requests: after.requests - before.requests,
  cpuMillis: after.cpuMillis - before.cpuMillis + after.poolerCpuMillis - before.poolerCpuMillis
})

const note = (text: string) => Effect.sync(() => process.stderr.write(`  ${text}\n`))

const measure = Effect.fnUntraced(function* ({ directUrl, url, usage }: Place, keys: number) {
  const store = yield* Layer.build(storeLayer(directUrl.startsWith("redis:") ? directUrl : `${directUrl}?listen=false`))
  const swarm = yield* Effect.provide(makeSwarm(url), store)
  yield* note(`${workers} workers are ready`)

  // Idle, after all have polled once.
  yield* Effect.sleep("6 seconds")
  const beforeIdle = yield* usage
  yield* Effect.sleep(idleSeconds * 1000)
  const idle = difference(yield* usage, beforeIdle)

  // One task at a time for workers that wait.
  const delays: Array<number> = []
  const beforeWakeUps = yield* usage
  for (let number = count; number < count + wakeUps; number++) {
    const at = yield* Clock.currentTimeMillis
    yield* Effect.provide(addOne(number), store)
    yield* swarm.until(() => swarm.startedAt.has(number))
    delays.push((swarm.startedAt.get(number)?.at ?? 0) - at)
    yield* Effect.sleep(yield* Random.nextIntBetween(100, 400))
  }
  yield* swarm.until(() => swarm.finished.size >= wakeUps)
  const wakeUp = difference(yield* usage, beforeWakeUps)

  yield* note(`adding ${count} tasks`)
  // Paused, because one process does not add as fast as so many work. Adding is idempotent, and can take too long on a busy machine.
  const request = (request: "pause" | "resume") =>
    Effect.provide(
      TaskStore.TaskStore.use((store) => store.request(request)),
      store
    )
  yield* request("pause")
  yield* Effect.retry(Effect.provide(add(count, 0, keys), store), { times: 10 })
  yield* request("resume")
  const began = yield* Clock.currentTimeMillis
  // From the end of the first round on, tasks start and end evenly.
  yield* swarm.until(() => swarm.finished.size >= slots + wakeUps)
  swarm.takeClaims()
  const workBegan = yield* Clock.currentTimeMillis
  const beforeWork = yield* usage
  const workersBefore = swarm.cpuMillis()
  const doneBefore = swarm.finished.size
  yield* swarm.until(() => swarm.finished.size >= 2 * slots + wakeUps)
  const working = yield* usage
  const workSeconds = ((yield* Clock.currentTimeMillis) - workBegan) / 1000
  const work = difference(working, beforeWork)
  const done = swarm.finished.size - doneBefore
  const workersCpu = swarm.cpuMillis() - workersBefore
  const claims = swarm.takeClaims()

  const orphans = swarm.killHalf()
  const killedAt = yield* Clock.currentTimeMillis
  yield* note(`killed ${Math.ceil(processes / 2)} of ${processes} processes, with ${orphans.length} tasks`)
  const counts = yield* Effect.retry(Effect.provide(drained, store), { times: 10 })
  const seconds = ((yield* Clock.currentTimeMillis) - began) / 1000
  // Some had been settled when their process was killed, which had not reported it.
  const takeovers = orphans.flatMap((number) => {
    const at = swarm.startedAt.get(number)?.at ?? 0
    return at > killedAt ? (at - killedAt) / 1000 : []
  })

  const rate = done / workSeconds
  return {
    connections: working.connections,
    "idle: requests/s of a worker": idle.requests / idleSeconds / workers,
    "idle: server CPU of a worker, ms/s": idle.cpuMillis / idleSeconds / workers,
    "a task for waiting workers starts after, ms, p50": quantile(delays, 0.5),
    "the same, p99": quantile(delays, 0.99),
    "the same: requests": wakeUp.requests / wakeUps,
    "work: tasks/s": rate,
    "of what the workers could do": rate / (slots / (taskMillis / 1000)),
    "work: requests/s": work.requests / workSeconds,
    "work: requests of a task": work.requests / done,
    "claim, ms, p50": quantile(claims, 0.5),
    "claim, ms, p99": quantile(claims, 0.99),
    "work: server CPU of a task, ms": work.cpuMillis / done,
    "work: workers' CPU of a task, ms": workersCpu / done,
    "work: cores of the server": work.cpuMillis / workSeconds / 1000,
    "work: cores of the workers": workersCpu / workSeconds / 1000,
    "tasks of killed workers": takeovers.length,
    "taken over after, s, p50": quantile(takeovers, 0.5),
    "taken over after, s, max": quantile(takeovers, 1),
    "drained after, s": seconds,
    "tasks that ran twice on living workers": swarm.repeated(),
    "tasks that did not complete": count + wakeUps - counts.completed
  }
}, Effect.scoped)

const addOne = (number: number) =>
  TaskStore.TaskStore.use((store) =>
    store.add([Task.makeNew({ id: `task-${number}`, description: `the work of task ${number}` })])
  )

const drained = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  while (true) {
    const counts = yield* store.counts
    if (counts.pending + counts.in_progress === 0) return counts
    yield* Effect.sleep("250 millis")
  }
})

const figure = (value: number): string =>
  value.toLocaleString("en", { maximumFractionDigits: value >= 100 ? 0 : value >= 10 ? 1 : 2 }).replaceAll(",", " ")

/** In case that a later server fails. */
const noteAll = (found: Readonly<Record<string, number>>) =>
  note(
    Object.entries(found)
      .map(([what, value]) => `${what}: ${figure(value)}`)
      .join(", ")
  )

/** A table with a column per server. */
const table = (title: string, columns: ReadonlyArray<readonly [string, Readonly<Record<string, number>>]>) => {
  const line = (cells: ReadonlyArray<string>) => process.stdout.write(`| ${cells.join(" | ")} |\n`)
  line([title, ...columns.map(([name]) => name)])
  line(["---", ...columns.map(() => "---:")])
  for (const row of Object.keys(columns[0]?.[1] ?? {})) {
    line([row, ...columns.map(([, found]) => figure(found[row] ?? Number.NaN))])
  }
}

/** How many operations a cost is measured with. */
const operations = { single: 500, batched: 30 }

const main = Effect.gen(function* () {
  const chosen = values.only.split(",")
  const columns: Array<[string, Record<string, number>]> = []
  const costs: Array<[string, Record<string, number>]> = []
  for (const [name, { keys, place }] of Object.entries(places)) {
    if (values.only !== "all" && !chosen.includes(name)) continue
    const cost = (operations: number, size: number) =>
      Effect.scoped(Effect.flatMap(place, (at) => Costs.measure(at, keys, operations, size)))
    yield* note(`${name}: cost of single operations`)
    const costOf = { ...(yield* cost(operations.single, 1)), ...(yield* cost(operations.batched, 100)) }
    yield* noteAll(costOf)
    costs.push([name, costOf])
    yield* note(`${name}: ${workers} workers x ${concurrency} tasks of ${taskMillis / 1000} s`)
    const found = yield* Effect.scoped(Effect.flatMap(place, (at) => measure(at, keys)))
    yield* noteAll(found)
    columns.push([name, found])
  }
  table(`${workers} workers x ${concurrency} tasks of ${taskMillis / 1000} s, ${count} tasks`, columns)
  table("processor time of the server for a task, us", costs)
})

await Effect.runPromise(main)
