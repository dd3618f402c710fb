/**
 * Runs workflows on three runners while they are killed and frozen, their connections are cut and PostgreSQL is restarted, and
 * checks what became of them.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { type Task, TaskStore } from "@baton/core"
import { Clock, Effect, Fiber, Redacted, Schedule, Schema } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundleInto } from "../../packages/adapters/test/bundle.ts"
import { between, generator, pick, shuffled } from "./random.ts"
import { startServer } from "./stores.ts"

const runners = 3

/** The kinds of faults. */
export const Fault = Schema.Literals(["kill", "freeze", "cut", "restart"])
export type Fault = typeof Fault.Type

export interface WorkflowsResult {
  readonly executions: number
  readonly injected: Readonly<Record<Fault, number>>
  readonly ticks: number
  /** Executions of tasks, and how many of them repeated one. */
  readonly executed: number
  readonly repeated: number
  readonly seconds: number
  readonly violations: ReadonlyArray<string>
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-crash-workflows-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const freePort = Effect.promise(async () => {
  const server = createServer()
  await once(server.listen(0, "127.0.0.1"), "listening")
  const address = server.address()
  server.close()
  return typeof address === "object" && address !== null ? address.port : 0
})

/** A runner that is started again after it was killed. Its output is kept in a folder, if there is one. */
const makeRunner = Effect.fnUntraced(function* (
  program: string,
  directory: string,
  env: Readonly<Record<string, string>>,
  history: string | undefined
) {
  const port = yield* freePort
  const output = history === undefined ? "ignore" : openSync(join(history, `runner-${port}.log`), "a")
  const launch = () =>
    spawn(process.execPath, [program, String(port), directory], {
      env: { ...process.env, ...env },
      stdio: ["ignore", output, output]
    })
  let child = launch()
  const kill = Effect.promise(async () => {
    child.kill("SIGKILL")
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  })
  yield* Effect.addFinalizer(() => kill)
  return {
    kill: Effect.andThen(
      kill,
      Effect.sync(() => (child = launch()))
    ),
    /** A runner that ended by itself is started again, as a supervisor does. */
    ensure: Effect.sync(() => {
      if (child.exitCode !== null) child = launch()
    }),
    freeze: (millis: number) =>
      Effect.ensuring(
        Effect.andThen(
          Effect.sync(() => child.kill("SIGSTOP")),
          Effect.sleep(millis)
        ),
        Effect.sync(() => child.kill("SIGCONT"))
      )
  }
})

const Execution = Schema.fromJsonString(
  Schema.Struct({ queue: Schema.String, id: Schema.String, of: Schema.String, attempt: Schema.Int })
)

const decodeExecution = Schema.decodeEffect(Execution)

const executionsIn = (directory: string) => {
  const file = join(directory, "executions")
  return Effect.forEach(existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [], (line) =>
    decodeExecution(line)
  )
}

const allOf = Effect.fnUntraced(function* (queue: string) {
  const store = yield* TaskStore.TaskStore
  const tasks: Array<Task.Task> = []
  let cursor: string | undefined
  do {
    const page = yield* store.list({ queue, cursor, limit: 1000 })
    tasks.push(...page.tasks)
    cursor = page.next
  } while (cursor !== undefined)
  return tasks
})

/** Approves what waits. */
const approveAll = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  const { tasks } = yield* store.list({ status: "in_review", limit: 1000 })
  const reviews = yield* Effect.fromNullishOr(store.reviews)
  yield* reviews.decide(tasks.map(({ id: taskId }) => ({ _tag: "Approve", taskId, by: "ann" })))
})

const check = Effect.fnUntraced(function* (directory: string, executions: number) {
  const store = yield* TaskStore.TaskStore
  const violations: Array<string> = []
  const lines = yield* executionsIn(directory)
  const ticks = yield* allOf("ticks")
  const works = [...(yield* allOf("first")), ...(yield* allOf("second"))]
  if (works.length !== 2 * executions) violations.push(`${works.length} tasks of ${2 * executions} steps`)
  for (const { id, status } of works) if (status !== "completed") violations.push(`${id} is ${status}`)
  const perTask = Map.groupBy(lines, ({ id }) => id)
  for (const { id } of [...works, ...ticks]) {
    const attempts = yield* store.attempts(id)
    const accepted = attempts.findIndex(({ outcome }) => outcome === "completed")
    if (accepted !== -1 && accepted < attempts.length - 1) violations.push(`${id} was executed after it was accepted`)
    const executed = perTask.get(id)?.length ?? 0
    if (executed > attempts.length)
      violations.push(`${id} was executed ${executed} times in ${attempts.length} attempts`)
  }
  const times = Map.groupBy(
    lines.filter(({ queue }) => queue === "ticks"),
    ({ of }) => of
  )
  for (const [time, found] of times) {
    const ids = new Set(found.map(({ id }) => id))
    if (ids.size > 1) violations.push(`the tick of ${time} started ${ids.size} executions`)
  }
  return { violations, ticks: ticks.length, executed: lines.length, repeated: lines.length - perTask.size }
})

/** How many executions have ended, in the tables of the engine. */
const ended = (url: string) =>
  Effect.scoped(
    Effect.provide(
      PgClient.PgClient.use(
        (sql) => sql<{ ended: number }>`
          SELECT count(*)::int AS ended FROM cluster_messages m JOIN cluster_replies r ON r.id = m.last_reply_id
          WHERE m.entity_type = 'Workflow/TwoSteps/1' AND m.tag = 'run' AND r.payload LIKE '%"Complete"%'`
      ),
      PgClient.layer({ url: Redacted.make(url) }),
      { local: true }
    )
  ).pipe(
    Effect.map(([row]) => row?.ended ?? 0),
    // During an outage, and before the first runner has made the tables.
    Effect.orElseSucceed(() => 0)
  )

/** The findings as a table, and the violations. */
export const workflowsReport = ({ violations, injected, seconds, ...found }: WorkflowsResult) =>
  [
    "| workflows | ticks | kills | freezes | cuts | restarts | executions of tasks | repeated | violations | s |",
    "|---|---|---|---|---|---|---|---|---|---|",
    `| ${[found.executions, found.ticks, injected.kill, injected.freeze, injected.cut, injected.restart, found.executed, found.repeated, violations.length, seconds].join(" | ")} |`,
    ...violations
  ].join("\n")

const pause = { min: 500, max: 4000 }

/** Ends when all faults were injected and all workflows have ended. Fails if that takes longer than `seconds`. */
export const workflowsTest = Effect.fnUntraced(function* (options: {
  readonly seed: number
  readonly executions: number
  readonly seconds: number
  /** The number of faults. */
  readonly faults: number
  /** Their kinds. Default: all. */
  readonly kinds?: ReadonlyArray<Fault> | undefined
  /** When the executions of a dead runner continue on another one. */
  readonly lockSeconds: number
  /** Where the output of the runners is kept. */
  readonly history: string | undefined
}) {
  const random = generator(options.seed)
  const directory = yield* folder
  const program = yield* Effect.promise(() =>
    bundleInto(join(directory, "program"), new URL("workflowRunner.ts", import.meta.url))
  )
  const server = yield* Effect.flatMap(startServer("postgres"), Effect.fromNullishOr)
  const env = {
    DATABASE_URL: server.url,
    EXECUTIONS: String(options.executions),
    // So that each fault meets workflows under way.
    START_WITHIN: String((options.faults * (pause.min + pause.max)) / 2),
    LOCK_SECONDS: String(options.lockSeconds)
  }
  const started = yield* Clock.currentTimeMillis
  const store = PostgresTaskStore.layer({ url: server.url })
  return yield* Effect.gen(function* () {
    const all = yield* Effect.forEach(Array.from({ length: runners }), () =>
      makeRunner(program, directory, env, options.history)
    )
    const injected = { kill: 0, freeze: 0, cut: 0, restart: 0 }
    const inject: { readonly [Name in Fault]: Effect.Effect<unknown, unknown> } = {
      kill: Effect.suspend(() => pick(random, all)?.kill ?? Effect.void),
      // Sometimes longer than the leases of tasks and the locks of the engine.
      freeze: Effect.suspend(
        () => pick(random, all)?.freeze(between(random, 500, 1200 * options.lockSeconds)) ?? Effect.void
      ),
      cut: Effect.scoped(
        Effect.provide(
          PgClient.PgClient.use(
            (sql) => sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`
          ),
          PgClient.layer({ url: Redacted.make(server.url) }),
          { local: true }
        )
        // Its own connection is new, and can fail while the server recovers.
      ).pipe(Effect.retry({ schedule: Schedule.spaced("500 millis"), times: 20 })),
      restart: Effect.uninterruptible(
        Effect.andThen(
          Effect.promise(() => (random() < 0.5 ? server.crash() : server.stop())),
          // A process of the killed server can still hold its memory.
          Effect.retry(
            Effect.tryPromise(() => server.start()),
            { schedule: Schedule.spaced("500 millis"), times: 20 }
          )
        )
      )
    }
    yield* approveAll.pipe(
      Effect.exit,
      Effect.andThen(Effect.forEach(all, ({ ensure }) => ensure)),
      Effect.andThen(Effect.sleep("300 millis")),
      Effect.forever,
      Effect.forkScoped
    )
    const injecting = yield* Effect.gen(function* () {
      let kinds: ReadonlyArray<Fault> = []
      for (let done = 0; done < options.faults; done++) {
        // Each kind once before one comes again.
        if (kinds.length === 0) kinds = shuffled(random, options.kinds ?? Fault.literals)
        yield* Effect.sleep(between(random, pause.min, pause.max))
        const [fault = "kill", ...others] = kinds
        kinds = others
        injected[fault]++
        yield* Effect.orDie(inject[fault])
      }
    }).pipe(Effect.forkScoped)
    const untilEnded = Effect.gen(function* () {
      yield* Fiber.join(injecting)
      while ((yield* ended(server.url)) < options.executions) yield* Effect.sleep("500 millis")
    })
    yield* Effect.timeoutOrElse(untilEnded, {
      duration: options.seconds * 1000,
      orElse: () =>
        Effect.flatMap(ended(server.url), (found) =>
          Effect.die(
            new Error(
              `${found} of ${options.executions} workflows ended within ${options.seconds} s, with ${Object.values(injected).reduce((sum, each) => sum + each)} faults. Repeat it with --seed ${options.seed} --history FOLDER, which keeps the output of the runners.`
            )
          )
        )
    })
    const found = yield* check(directory, options.executions)
    const seconds = Math.round(((yield* Clock.currentTimeMillis) - started) / 1000)
    return { ...found, executions: options.executions, injected, seconds } satisfies WorkflowsResult
  }).pipe(Effect.provide(store, { local: true }))
}, Effect.scoped)
