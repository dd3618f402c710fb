/** The crash test of one store: four workers, thousands of tasks, faults until all tasks ended, then a check of the results. */
import { Task, type TaskRecord, TaskStore } from "@baton/core"
import { Deferred, Effect, Schedule, type Scope } from "effect"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { check, type Evidence, type Findings, type Violation } from "./check.ts"
import { type Injected, inject } from "./faults.ts"
import * as History from "./history.ts"
import * as Proxy from "./proxy.ts"
import { layers, startServer, type StoreName, withPort } from "./stores.ts"
import { makeSlot } from "./workers.ts"

export interface Options {
  readonly store: StoreName
  readonly seed: number
  readonly tasks: number
  /** Multiplies the duration of tasks: fewer, longer tasks. */
  readonly pace: number
  /** The time limit of the test. */
  readonly seconds: number
  /** How much longer than the lease a takeover may take. */
  readonly marginMillis: number
  /** Where to copy the history for later inspection. */
  readonly keep: string | undefined
}

export interface CrashTestResult {
  readonly store: StoreName
  readonly tasks: number
  readonly seconds: number
  readonly injected: Injected
  readonly findings: Findings
  readonly evidence: Evidence
}

const workers = 4
const concurrency = 8
const leaseMillis = 2000
const maxAttempts = 8

/** Tasks per priority. Earlier tasks have higher priorities, so a released task is claimed next. */
const tasksPerPriority = 25

/** More than a restarted server needs until it responds. */
const accessDeadline = "60 seconds"

const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-crash-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)

const makeTasks = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    Task.makeNew({
      id: `task-${index}`,
      description: `the work of task ${index}`,
      priority: Math.floor((count - index) / tasksPerPriority)
    })
  )

/** Accesses the store over a new connection, and retries until that succeeds. */
const withStore = <A, E>(
  options: Options,
  place: string,
  use: (store: TaskStore.TaskStore["Service"]) => Effect.Effect<A, E>
) =>
  Effect.flatMap(TaskStore.TaskStore, use).pipe(
    Effect.provide(layers[options.store](place)),
    Effect.retry(Schedule.spaced("200 millis")),
    Effect.timeout(accessDeadline),
    Effect.orDie
  )

const dump = Effect.fnUntraced(function* (store: TaskStore.TaskStore["Service"]) {
  const records: Array<TaskRecord.TaskRecord> = []
  let cursor: string | null | undefined
  while (cursor !== null) {
    const page: TaskStore.RecordPage = yield* store.dump({ limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    records.push(...page.records)
    cursor = page.next
  }
  return records
})

const awaitDrained = (options: Options, place: string) =>
  withStore(options, place, (store) => store.counts).pipe(
    Effect.repeat({
      schedule: Schedule.spaced("250 millis"),
      until: ({ in_progress, pending }) => pending + in_progress === 0
    })
  )

export const crashTest = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<CrashTestResult, never, Scope.Scope> {
  const began = Date.now()
  const path = yield* folder
  const history = join(path, "history.jsonl")
  writeFileSync(history, "")
  const server = yield* startServer(options.store)
  const place = server?.url ?? join(path, "baton.db")
  const tasks = makeTasks(options.tasks)
  yield* withStore(options, place, (store) =>
    Effect.forEach(chunksOf(tasks, 1000), (chunk) => store.add(chunk), { discard: true })
  )

  const injected: Injected = {
    counts: { kill: 0, freeze: 0, cut: 0, halfOpen: 0, restart: 0 },
    kills: [],
    freezes: [],
    outages: []
  }
  const ended = yield* Deferred.make<string>()
  const problems: Array<string> = []

  const stops = yield* Effect.scoped(
    Effect.gen(function* () {
      const proxies =
        server === undefined
          ? []
          : yield* Effect.forEach(Array.from({ length: workers }), () => Proxy.make(server.port))
      const slots = yield* Effect.forEach(Array.from({ length: workers }), (_, index) => {
        const proxy = proxies[index]
        const { pace, seed, store } = options
        const reached = proxy === undefined ? place : withPort(place, proxy.port)
        return makeSlot(
          index + 1,
          { store, place: reached, history, seed, pace, leaseMillis, concurrency, maxAttempts },
          ended
        )
      })
      const faults = Effect.scoped(inject({ slots, proxies, server, leaseMillis }, options.seed, injected))
      const outcome = yield* Effect.raceAllFirst([
        Effect.as(awaitDrained(options, place), "drained" as const),
        Deferred.await(ended),
        faults,
        Effect.as(Effect.sleep(options.seconds * 1000), "late" as const)
      ])
      if (outcome === "late") problems.push(`The store was not drained within ${options.seconds} seconds.`)
      else if (outcome !== "drained") problems.push(outcome)
      return yield* Effect.forEach(slots, (slot) => slot.stop, { concurrency: "unbounded" })
    })
  )
  for (const problem of stops) if (problem !== null) problems.push(problem)

  if (options.keep !== undefined) copyFileSync(history, options.keep)
  const evidence: Evidence = {
    added: tasks.map(({ id }) => id),
    history: History.read(history),
    records: yield* withStore(options, place, dump),
    injected,
    sharesLock: server === undefined,
    maxAttempts,
    leaseMillis,
    marginMillis: options.marginMillis
  }
  const findings = check(evidence)
  const all: ReadonlyArray<Violation> = [
    ...problems.map((message) => ({ task: null, message })),
    ...findings.violations
  ]
  const seconds = Math.round((Date.now() - began) / 1000)
  const { store } = options
  return { store, tasks: tasks.length, seconds, injected, evidence, findings: { ...findings, violations: all } }
})

const chunksOf = <A>(items: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))
