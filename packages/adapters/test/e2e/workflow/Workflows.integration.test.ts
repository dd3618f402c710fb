import { Retention, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { TaskQueue, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Schema } from "effect"
import { Workflow, type WorkflowEngine } from "effect/workflow"
import { spawn } from "node:child_process"
import { existsSync, readFileSync, watch } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { join } from "node:path"
import { checkVersion } from "../../../src/workflow/internal/clusterServer.ts"
import { bundle } from "../../bundle.ts"
import { make as makePooler } from "../../postgres/pooler.ts"
import { isMissing } from "../../postgres/postgres.ts"
import { database, folder, freePort } from "../../workflow/servers.ts"

const program = await bundle(new URL("../../workflow/program.ts", import.meta.url))
const count = 20
const expected = JSON.stringify(Array.from({ length: count }, (_, n) => n + 2))

/** The tasks that were executed, in order. */
const executions = (directory: string): ReadonlyArray<string> => {
  const file = join(directory, "executions")
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : []
}

/** Waits until this many executions have begun. */
const begun = (directory: string, wanted: number) =>
  Effect.callback<void>((resume) => {
    const look = () => executions(directory).length >= wanted && resume(Effect.void)
    const watcher = watch(directory, look)
    look()
    return Effect.sync(() => watcher.close())
  })

/** Starts a runner, which is killed when the scope closes. */
const runner = Effect.fnUntraced(function* (
  role: "start" | "run",
  directory: string,
  env: Readonly<Record<string, string>> = {},
  port = 0
) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [program, role, directory, String(port)], {
        env: { ...process.env, COUNT: String(count), ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  let text = ""
  let errors = ""
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part))
  child.stderr.setEncoding("utf8").on("data", (part: string) => (errors += part))
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()))
  return {
    kill: Effect.andThen(
      Effect.sync(() => child.kill("SIGKILL")),
      Effect.promise(() => closed)
    ),
    /** Its output until its end. */
    ended: Effect.map(
      Effect.promise(() => closed),
      () => ({ code: child.exitCode, output: text + errors })
    )
  }
})

/** Every task was executed, and only those again that were under way when a runner was killed. */
const check = (directory: string, output: string) => {
  assert.include(output, expected)
  const all = executions(directory)
  assert.strictEqual(new Set(all).size, 2 * count)
  // Four at a time of each queue.
  assert.isAtMost(all.length, 2 * count + 8)
}

const Words = TaskQueue.make({
  name: "words",
  payload: Schema.Struct({ text: Schema.String }),
  result: Schema.Struct({ text: Schema.String })
})

const Shout = Workflow.make("Shout/1", {
  payload: { text: Schema.String },
  idempotencyKey: ({ text }) => text,
  success: Schema.String,
  error: TaskActivity.Failed
})

const shout = Shout.toLayer(({ text }) =>
  Effect.map(TaskActivity.make(Words, { name: "shout", payload: { text } }), (result) => result.text)
)

describe("workflows", () => {
  it.live("continue after kill -9 with the engine in a file", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const first = yield* runner("start", directory)
      yield* begun(directory, 9)
      yield* first.kill
      const second = yield* runner("start", directory)
      check(directory, (yield* second.ended).output)
    })
  )

  it.live("a second process with the same file is refused", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "workflows.db")
      yield* Layer.build(Workflows.layerSingle({ filename }))
      const error = yield* Effect.flip(Layer.build(Layer.fresh(Workflows.layerSingle({ filename }))))
      assert.strictEqual(
        error.message,
        `Another process uses ${filename}. Stop it, or use an engine on PostgreSQL for several processes.`
      )
    })
  )

  it.live.skipIf(isMissing)("continue on another runner when theirs is killed, with the engine on PostgreSQL", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const env = { DATABASE_URL: yield* database }
      yield* runner("run", directory, env, yield* freePort)
      const killed = yield* runner("start", directory, env, yield* freePort)
      yield* begun(directory, 9)
      yield* killed.kill
      const last = yield* runner("start", directory, env, yield* freePort)
      check(directory, (yield* last.ended).output)
    })
  )

  it.live("forgets executions that have ended, and finds the results of their tasks when they begin again", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "workflows.db")
      let calls = 0
      const worker = Words.toLayer(
        ({ text }) =>
          Effect.sync(() => {
            calls++
            return { text: `${text}!` }
          }),
        { onEnd: "log", concurrency: 4 }
      )
      const rows = Effect.sync(() => {
        const db = new DatabaseSync(filename)
        const count = (table: string) => Object.values(db.prepare(`SELECT count(*) FROM ${table}`).get() ?? {})[0]
        const counts = [count("cluster_messages"), count("cluster_replies")]
        db.close()
        return counts
      })
      const store = Context.get(yield* Layer.build(TaskStore.layerMemory), TaskStore.TaskStore)
      const texts = ["a", "b", "c"]
      const within = <A, E>(effect: Effect.Effect<A, E, WorkflowEngine.WorkflowEngine | Retention.Retention>) =>
        Effect.scoped(
          Effect.provide(
            effect,
            Layer.merge(shout, worker).pipe(
              Layer.provideMerge(Layer.fresh(Workflows.layerSingle({ filename }))),
              Layer.provide(Layer.succeed(TaskStore.TaskStore, store))
            ),
            { local: true }
          )
        )
      const all = Effect.forEach(texts, (text) => Shout.execute({ text }), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* within(all), ["a!", "b!", "c!"])
      assert.notDeepEqual(yield* rows, [0, 0])
      const forgotten = yield* within(
        Effect.forEach([...texts, "never"], (text) =>
          Effect.flatMap(Shout.executionId({ text }), (id) =>
            Retention.Retention.use(({ forget }) => forget(Shout, id))
          )
        )
      )
      assert.deepStrictEqual(forgotten, [true, true, true, false])
      assert.deepStrictEqual(yield* rows, [0, 0])
      assert.deepStrictEqual(yield* within(all), ["a!", "b!", "c!"])
      assert.strictEqual(calls, 3)
    })
  )

  it.live("an execution that continues with edited code keeps the results of its completed steps", () =>
    Effect.gen(function* () {
      const filename = join(yield* folder, "workflows.db")
      const store = Context.get(yield* Layer.build(TaskStore.layerMemory), TaskStore.TaskStore)
      const word = (name: string, text: string) =>
        Effect.map(TaskActivity.make(Words, { name, payload: { text } }), (result) => result.text)
      const executed: Array<string> = []
      const hangs = yield* Deferred.make<void>()
      /** A process whose worker never ends the words that it is given. */
      const within = <A, E>(
        hanging: string,
        code: () => Effect.Effect<
          string,
          TaskActivity.Failed,
          TaskStore.TaskStore | WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance
        >,
        effect: Effect.Effect<A, E, WorkflowEngine.WorkflowEngine>
      ) => {
        const worker = Words.toLayer(
          ({ text }) =>
            Effect.suspend(() => {
              executed.push(text)
              if (text === hanging) return Effect.andThen(Deferred.succeed(hangs, undefined), Effect.never)
              return Effect.succeed({ text: `${text}!` })
            }),
          { onEnd: "log", drainTimeout: 0 }
        )
        return Effect.scoped(
          Effect.provide(
            effect,
            Layer.merge(Shout.toLayer(code), worker).pipe(
              Layer.provideMerge(Layer.fresh(Workflows.layerSingle({ filename }))),
              Layer.provide(Layer.succeed(TaskStore.TaskStore, store))
            ),
            { local: true }
          )
        )
      }
      yield* within(
        "second",
        () => Effect.andThen(word("first", "first"), word("second", "second")),
        Effect.andThen(Shout.execute({ text: "a" }, { discard: true }), Deferred.await(hangs))
      )
      assert.deepStrictEqual(executed, ["first", "second"])

      // The payload of the first step is another one, there is a new step, and the second one is as before.
      const edited = yield* within(
        "",
        () =>
          Effect.all([word("first", "changed"), word("new", "new"), word("second", "second")]).pipe(Effect.map(String)),
        Shout.execute({ text: "a" })
      )
      assert.strictEqual(edited, "first!,new!,second!")
      assert.sameMembers(executed.splice(2), ["new", "second"])
    })
  )

  it.live("a server that cannot be reached is one sentence", () =>
    Effect.gen(function* () {
      const cluster = Workflows.layerCluster({
        url: "postgres://postgres@127.0.0.1:1/missing",
        host: "127.0.0.1",
        port: yield* freePort
      })
      const error = yield* Effect.flip(Layer.build(cluster))
      assert.match(error.message, /^The engine for workflows cannot start: .*ECONNREFUSED/)
    })
  )

  it.live.skipIf(isMissing)("two processes with one address, and with one port, are refused", () =>
    Effect.gen(function* () {
      const url = yield* database
      const port = yield* freePort
      const cluster = (host: string) => Layer.fresh(Workflows.layerCluster({ url, host, port }))
      yield* Layer.build(cluster("127.0.0.1"))
      const address = yield* Effect.flip(Layer.build(cluster("127.0.0.1")))
      assert.include(
        address.message,
        `The engine for workflows cannot start: another process has the address 127.0.0.1:${port}. Give each process its own address.`
      )
      const samePort = yield* Effect.flip(Layer.build(cluster("localhost")))
      assert.strictEqual(
        samePort.message,
        `The engine for workflows cannot start: another process uses the port ${port}. Give each process with workflows its own address.`
      )
    })
  )

  it.live.skipIf(isMissing)(
    "runs where the API of Kubernetes, which it is to ask for the health of runners, cannot be reached",
    () =>
      Effect.gen(function* () {
        const cluster = Workflows.layerCluster({
          url: yield* database,
          host: "127.0.0.1",
          port: yield* freePort,
          runnerHealth: "k8s"
        })
        const worker = Words.toLayer(({ text }) => Effect.succeed({ text: `${text}!` }), { onEnd: "log" })
        const parts = Layer.merge(shout, worker).pipe(Layer.provideMerge(Layer.merge(cluster, TaskStore.layerMemory)))
        assert.strictEqual(yield* Effect.provide(Shout.execute({ text: "a" }), parts, { local: true }), "a!")
      })
  )

  it.live.skipIf(isMissing)("a pooler in transaction mode is refused", () =>
    Effect.gen(function* () {
      const pooler = yield* makePooler(yield* database)
      const cluster = Workflows.layerCluster({ url: pooler.url, host: "127.0.0.1", port: yield* freePort })
      const error = yield* Effect.flip(Layer.build(cluster))
      assert.include(
        error.message,
        "The engine for workflows cannot start: a pooler in transaction mode is between it and PostgreSQL"
      )
      assert.include(error.message, "Use the address of the server itself")
    })
  )

  it.effect("a server older than PostgreSQL 14 is refused", () =>
    Effect.gen(function* () {
      yield* checkVersion(140_000)
      const error = yield* Effect.flip(checkVersion(130_012))
      assert.strictEqual(
        error.message,
        "The engine for workflows cannot start: it needs PostgreSQL 14 or newer, and the server has version 13. Upgrade the server."
      )
    })
  )
})
