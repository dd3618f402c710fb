/** The test of one store: four workers, thousands of tasks, faults until all tasks ended, then a check of the results. */
import { Task, type TaskRecord, TaskStore, type TaskStoreError } from "@baton/core"
import { Deferred, Effect, type Layer, Schedule, type Scope } from "effect"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { check, type Evidence, type Findings, type Violation } from "./check.ts"
import { type Injected, inject, type Target } from "./faults.ts"
import * as History from "./history.ts"
import { makeSlot, type Program } from "./workers.ts"

/** An empty store, and how its workers reach it. */
export interface Subject {
  /** As results name it. */
  readonly name: string
  /** Opens the store over a separate connection. */
  readonly open: Layer.Layer<TaskStore.TaskStore, TaskStoreError>
  readonly worker: Program
  /** What each worker opens: a file or a URL. */
  readonly placeOf: (worker: number) => string
  /** The server of the store, if the test may stop it, and a proxy to it for each worker. */
  readonly server: Target["server"]
  readonly proxies: Target["proxies"]
  /** Whether a worker that is frozen in the middle of a write blocks the writes of all others, as SQLite's lock does. */
  readonly sharesLock: boolean
}

export interface Options {
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

export interface FaultTestResult {
  readonly store: string
  readonly tasks: number
  readonly seconds: number
  readonly injected: Injected
  readonly findings: Findings
  readonly evidence: Evidence
}

export const workers = 4
const concurrency = 8
const leaseMillis = 2000
const maxAttempts = 8

/** More than a restarted server needs until it responds. */
const accessDeadline = "60 seconds"

const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-crash-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)

const makeTasks = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    Task.makeNew({ id: `task-${index}`, description: `the work of task ${index}` })
  )

/** Accesses the store over a new connection, and retries until that succeeds. */
const withStore = <A, E>(subject: Subject, use: (store: TaskStore.TaskStore["Service"]) => Effect.Effect<A, E>) =>
  Effect.flatMap(TaskStore.TaskStore, use).pipe(
    Effect.provide(subject.open),
    Effect.retry(Schedule.spaced("200 millis")),
    Effect.timeout(accessDeadline),
    Effect.orDie
  )

const dump = Effect.fnUntraced(function* (store: TaskStore.TaskStore["Service"]) {
  const records: Array<TaskRecord.TaskRecord> = []
  let cursor: string | undefined
  do {
    const page: TaskStore.RecordPage = yield* store.dump({ limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    records.push(...page.records)
    cursor = page.next
  } while (cursor !== undefined)
  return records
})

const awaitDrained = (subject: Subject) =>
  withStore(subject, (store) => store.counts).pipe(
    Effect.repeat({
      schedule: Schedule.spaced("250 millis"),
      until: ({ in_progress, pending }) => pending + in_progress === 0
    })
  )

/** Adds tasks to the store, injects faults until all have ended, and checks the results. */
export const faultTest = Effect.fnUntraced(function* (
  subject: Subject,
  options: Options
): Effect.fn.Return<FaultTestResult, never, Scope.Scope> {
  const began = Date.now()
  const path = yield* folder
  const history = join(path, "history.jsonl")
  writeFileSync(history, "")
  const tasks = makeTasks(options.tasks)
  yield* withStore(subject, (store) =>
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
      const { pace, seed } = options
      const { proxies, server } = subject
      const slots = yield* Effect.forEach(Array.from({ length: workers }), (_, index) =>
        makeSlot(
          index + 1,
          subject.worker,
          { place: subject.placeOf(index), history, seed, pace, leaseMillis, concurrency, maxAttempts },
          ended
        )
      )
      const faults = Effect.scoped(inject({ slots, proxies, server, leaseMillis }, seed, injected))
      const outcome = yield* Effect.raceAllFirst([
        Effect.as(awaitDrained(subject), "drained" as const),
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
    records: yield* withStore(subject, dump),
    injected,
    sharesLock: subject.sharesLock,
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
  return {
    store: subject.name,
    tasks: tasks.length,
    seconds,
    injected,
    evidence,
    findings: { ...findings, violations: all }
  }
})

const chunksOf = <A>(items: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))
