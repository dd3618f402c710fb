/** Runs command lines in this process on an in-memory store that the test can access. */
import { NodeServices } from "@effect/platform-node"
import { Execution, Task, TaskStore, Usage, Verification } from "@baton/core"
import { it } from "@effect/vitest"
import {
  ConfigProvider,
  Duration,
  Effect,
  Layer,
  Option,
  Queue,
  Runtime,
  type Scope,
  Sink,
  Stdio,
  Stream,
  Terminal
} from "effect"
import { TerminalCapabilities } from "effect/cli"
import { TestClock, TestConsole } from "effect/testing"
import { run } from "../../src/main.ts"
import { StoreSchemes } from "../../src/run/stores.ts"

export interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

export interface Surroundings {
  /** The width of the terminal on standard output; without it, standard output is a pipe. */
  readonly columns?: number
  readonly color?: boolean
  /** The user's input; without it, there is no terminal to ask on. */
  readonly keys?: ReadonlyArray<string>
  readonly stdin?: string
  /** Additional stores, by the scheme of their URLs. */
  readonly stores?: Readonly<Record<string, TaskStore.TaskStore["Service"]>>
  /** Called with the output written to standard output. */
  readonly onStdout?: (text: string) => void
}

/** Runs a command line on `store` and returns its output and exit code. */
export const baton = Effect.fnUntraced(function* (args: ReadonlyArray<string>, surroundings: Surroundings = {}) {
  const store = yield* TaskStore.TaskStore
  const written: Array<string> = []
  const stdout = Sink.forEach((part: string | Uint8Array) =>
    Effect.sync(() => {
      const text = typeof part === "string" ? part : new TextDecoder().decode(part)
      written.push(text)
      surroundings.onStdout?.(text)
    })
  )
  const isTerminal = surroundings.columns !== undefined
  const services = Layer.mergeAll(
    Stdio.layerTest({
      stdout: () => stdout,
      stdin: Stream.succeed(new TextEncoder().encode(surroundings.stdin ?? "")),
      stdoutIsTerminal: Effect.succeed(isTerminal)
    }),
    Layer.effect(Terminal.Terminal, terminal(surroundings)),
    Layer.succeed(TerminalCapabilities.TerminalCapabilities, {
      canColor: surroundings.color ?? false,
      canAnimate: isTerminal,
      canPrompt: surroundings.keys !== undefined
    }),
    Layer.succeed(
      StoreSchemes,
      new Map(
        Object.entries({ memory: store, ...surroundings.stores }).map(([scheme, store]) => [
          scheme,
          { example: `${scheme}:`, open: () => Layer.succeed(TaskStore.TaskStore, store) }
        ])
      )
    ),
    ConfigProvider.layer(ConfigProvider.fromUnknown({ PATH: process.env["PATH"], BATON_STORE: "memory:" })),
    TestConsole.layer
  )
  const { exit, logged, errors } = yield* Effect.all({
    exit: Effect.exit(run(args)),
    logged: TestConsole.logLines,
    errors: TestConsole.errorLines
  }).pipe(Effect.provide(Layer.provideMerge(services, NodeServices.layer), { local: true }))
  let exitCode = -1
  Runtime.defaultTeardown(exit, (code) => {
    exitCode = code
  })
  const lines = (texts: ReadonlyArray<unknown>) => texts.map((text) => `${String(text)}\n`).join("")
  return { stdout: written.join("") + lines(logged), stderr: lines(errors), exitCode } satisfies Outcome
})

const terminal = Effect.fnUntraced(function* (surroundings: Surroundings) {
  const keys = yield* Queue.unbounded<Terminal.UserInput>()
  yield* Queue.offerAll(
    keys,
    (surroundings.keys ?? []).map((key) => ({
      input: Option.some(key),
      key: { name: key, ctrl: false, meta: false, shift: false }
    }))
  )
  return Terminal.make({
    columns: Effect.succeed(surroundings.columns ?? 0),
    rows: Effect.succeed(surroundings.columns === undefined ? 0 : 24),
    size: Effect.die("unused"),
    readInput: Effect.succeed(keys),
    readLine: Effect.die("unused"),
    display: () => Effect.void
  })
})

/** A test with a separate store. */
export const test = (name: string, effect: Effect.Effect<void, unknown, TaskStore.TaskStore | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(effect, TaskStore.layerMemory, { local: true }))

/** Joins lines as printed text. */
export const text = (...lines: ReadonlyArray<string>) => lines.map((line) => `${line}\n`).join("")

const lease = Duration.hours(1)

/** Claims the first task. */
export const claim = (owner = "worker-1") =>
  TaskStore.TaskStore.use((store) =>
    Effect.map(store.claim({ limit: 1, owner, lease }), ([claim]) => {
      if (claim === undefined) throw new Error("nothing to claim")
      return claim
    })
  )

/** Completes the first task. */
export const complete = Effect.fnUntraced(function* (output: string, options?: { readonly verified?: boolean }) {
  const store = yield* TaskStore.TaskStore
  const { task, token } = yield* claim()
  const verified = options?.verified ?? true
  const verification = verified ? Verification.pass() : undefined
  yield* store.settle([
    {
      _tag: "Complete",
      taskId: task.id,
      token,
      usage: task.usage,
      execution: Execution.make({ output }),
      verification,
      verified
    }
  ])
})

/** Fails the first task permanently. */
export const fail = Effect.fnUntraced(function* (feedback: string) {
  const store = yield* TaskStore.TaskStore
  const { task, token } = yield* claim()
  yield* store.settle([{ _tag: "Fail", taskId: task.id, token, feedback }])
})

export const add = (...tasks: ReadonlyArray<Parameters<typeof Task.makeNew>[0]>) =>
  TaskStore.TaskStore.use((store) => store.add(tasks.map(Task.makeNew)))

/** The start time of the tests. */
export const morning = TestClock.setTime(Date.UTC(2026, 0, 5, 9, 0, 0))

/**
 * A task of every kind: `parse` completed on the second attempt, `check` failed, `ship` is running, `notes` was cancelled,
 * `plan` is pending and `announce` waits for `ship`.
 */
export const everyKind = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* morning
  yield* add(
    { id: "parse", description: "Parse the report\nand count its sections", metadata: { team: "docs" } },
    { id: "check", description: "Check every link" }
  )
  const first = yield* claim()
  yield* TestClock.adjust("1500 millis")
  const usage: Usage.Usage = { ...Usage.zero, inputTokens: 1200, outputTokens: 34, costUsd: 0.0123 }
  const rejected = Execution.make({ output: "many", usage, metadata: { exitCode: 0, stderrTail: "line 1\nline 2\n" } })
  const verdict = Verification.reject("The count is not a number.", { confidence: 0.9, issues: ["no digit in it"] })
  yield* store.settle([
    {
      _tag: "Retry",
      taskId: first.task.id,
      token: first.token,
      attemptUsage: usage,
      usage,
      execution: rejected,
      verification: verdict,
      feedback: "The count is not a number.",
      // Without a delay it would be claimed before tasks that have not started.
      delay: Duration.seconds(5)
    }
  ])
  yield* fail("exit code 2: 3 links are dead\nhttps://a.example\nhttps://b.example")
  yield* TestClock.adjust("61 seconds")
  yield* complete("7")
  yield* add({ id: "ship", description: "Ship it", priority: 5 })
  yield* claim("worker-2")
  yield* add({ id: "notes", description: "Write the notes" })
  yield* store.cancel({ ids: [Task.TaskId.make("notes")] })
  yield* add(
    { id: "plan", description: "Plan the next release" },
    { id: "announce", description: "Announce it", dependsOn: ["ship"] }
  )
  yield* TestClock.adjust("3 minutes")
})
