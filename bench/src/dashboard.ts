/** What open dashboards cost a run, and how long their first list and a search take in 100,000 tasks. */
import { BatonServer } from "@baton/adapters/http"
import { NodeHttpServer } from "@effect/platform-node"
import { Execution, Executor, Orchestrator, Safety, TaskStore, Verifier } from "@baton/core"
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { report } from "./measurement.ts"
import { add } from "./orchestrate.ts"
import { storeLayer, withPostgres, withSqlite } from "./temporaryStores.ts"

const dashboards = 5
/** Even, so that both kinds of runs are the first of a round equally often: a store becomes slower as it grows. */
const rounds = 8
const loads = [
  // A run of several seconds: one of less differs by a third from the next.
  { what: "100 000 no-op tasks", count: 100_000, executor: Executor.layerFake() },
  {
    what: "4 000 tasks of 50 ms",
    count: 4_000,
    executor: Executor.layer(() => Effect.delay(Effect.succeed(Execution.make({ output: "done" })), 50))
  }
]
type Work = (typeof loads)[number]
/** As the page does. */
const refreshMillis = 400
const headers = { "cache-control": "max-age=1" }

const [, , role, address = ""] = process.argv

if (role === "serve") {
  let began = process.cpuUsage()
  process.on("SIGUSR2", () => (began = process.cpuUsage()))
  process.on("SIGTERM", () => {
    const { system, user } = process.cpuUsage(began)
    process.stdout.write(String((user + system) / 1000), () => process.exit())
  })
  const main = HttpServer.addressFormattedWith(Effect.succeed).pipe(
    Effect.tap((url) => Effect.sync(() => process.stdout.write(`${url}\n`))),
    Effect.andThen(Effect.never),
    Effect.provide(
      BatonServer.layerHttp().pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
        Layer.provide(storeLayer(address))
      )
    )
  )
  await Effect.runPromise(main)
}

if (role === "look") {
  /** A page with the list of tasks: reads the visible part again after an event. */
  const look = async () => {
    const { body } = await fetch(`${address}/api/events`)
    let refreshedAt = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const refresh = async () => {
      timer = undefined
      refreshedAt = Date.now()
      await (await fetch(`${address}/api/tasks?limit=100`, { headers })).text()
    }
    const decoder = new TextDecoder()
    for await (const chunk of body ?? []) {
      if (!decoder.decode(chunk).includes("event: changed")) continue
      timer ??= setTimeout(() => void refresh(), Math.max(0, refreshedAt + refreshMillis - Date.now()))
    }
  }
  process.stdout.write("ready\n")
  await Promise.all(Array.from({ length: dashboards }, look))
}

/** Starts this file in another process; `first` is the first line that it prints. */
const start = async (role: "serve" | "look", address: string) => {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), role, address], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const [first] = await once(child.stdout, "data")
  let rest = ""
  child.stdout.on("data", (text) => (rest += String(text)))
  return {
    first: String(first).trim(),
    /** The processor time of a server is counted from here. */
    count: () => child.kill("SIGUSR2"),
    /** Returns what the process prints at its end. */
    stop: async () => {
      child.kill()
      await once(child, "close")
      return rest
    }
  }
}

let added = 0

/** Adds and runs tasks: those that do nothing are the most that a store can be asked to do. */
const run = async (url: string, { count, executor }: Work) => {
  const from = added
  added += count
  const layer = Orchestrator.layer({ concurrency: 64 }).pipe(
    Layer.provide([executor, Verifier.layerAlwaysPass, Safety.layerAllowAll]),
    Layer.provideMerge(storeLayer(url))
  )
  const main = Effect.gen(function* () {
    yield* add(count, from)
    const { run } = yield* Orchestrator.Orchestrator
    const began = performance.now()
    const cpu = process.cpuUsage()
    yield* run
    const { system, user } = process.cpuUsage(cpu)
    return { seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1000 }
  })
  return Effect.runPromise(Effect.provide(main, layer))
}

/** Runs in turn without and with dashboards: the rate of all runs together and the mean processor time. */
const compare = async (name: string, url: string, work: Work) => {
  await run(url, work)
  const seconds = { alone: 0, watched: 0 }
  const cpu = { alone: 0, watched: 0 }
  const server = await start("serve", url)
  server.count()
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? (["watched", "alone"] as const) : (["alone", "watched"] as const)) {
      const pages = kind === "watched" ? await start("look", server.first) : undefined
      const measured = await run(url, work)
      await pages?.stop()
      seconds[kind] += measured.seconds
      cpu[kind] += measured.cpu / rounds
    }
  }
  const millis = Number(await server.stop())
  const alone = `${name}, ${work.what}, 64 workers`
  const watched = `with ${dashboards} dashboards open`
  report({ what: alone, value: (rounds * work.count) / seconds.alone, unit: "tasks/s" })
  report({
    what: `${alone}, ${watched}`,
    value: (rounds * work.count) / seconds.watched,
    unit: "tasks/s",
    against: alone,
    target: ">= 0.95 x"
  })
  const processor = `${name}, ${work.what}, processor time of the run`
  report({ what: processor, value: cpu.alone, unit: "ms" })
  report({ what: `${processor}, ${watched}`, value: cpu.watched, unit: "ms", against: processor })
  report({
    what: `${name}, ${work.what}, processor time of the server in a second of them`,
    value: millis / seconds.watched,
    unit: "ms"
  })
}

const timed = async (work: Effect.Effect<unknown, unknown, TaskStore.TaskStore>, url: string): Promise<number> => {
  const times: Array<number> = []
  const main = Effect.gen(function* () {
    for (let round = 0; round < 5; round++) {
      const began = performance.now()
      yield* work
      times.push(performance.now() - began)
    }
  })
  await Effect.runPromise(Effect.provide(main, storeLayer(url)))
  return Math.max(...times)
}

if (role === undefined) {
  for (const [name, withStore] of [
    ["sqlite", withSqlite],
    ["postgres", withPostgres]
  ] as const) {
    for (const work of loads) await withStore((url) => compare(name, url, work))
    await withStore(async (url) => {
      await Effect.runPromise(Effect.provide(add(100_000), storeLayer(url)))
      const list = (text?: string) =>
        TaskStore.TaskStore.use((store) => store.list({ limit: 100, results: false, text }))
      const first = Effect.andThen(
        TaskStore.TaskStore.use((store) => store.queues),
        list()
      )
      const target = "< 1000 ms"
      report({ what: `${name}, first list of 100 000 tasks`, value: await timed(first, url), unit: "ms", target })
      report({ what: `${name}, search without a match`, value: await timed(list("nowhere"), url), unit: "ms", target })
    })
  }
}
