import { Command } from "@baton/adapters/command"
import { TaskStore } from "@baton/core"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as hookCommand from "../../src/hooks/hookCommand.ts"
import { add } from "../commands/harness.ts"
import { completed } from "../view/events.ts"
import { baton } from "../run/harness.ts"
import { withLogs } from "./logs.ts"
import { receiver } from "./receiver.ts"

/** A test with a separate store, in real time. */
const live = (name: string, effect: Effect.Effect<void, unknown, TaskStore.TaskStore | Scope.Scope>) =>
  it.live(name, () => Effect.provide(Effect.scoped(effect), TaskStore.layerMemory, { local: true }))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-hooks-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const script = `
  const { appendFileSync, readFileSync } = require("node:fs")
  const { BATON_EVENT, BATON_TASK_ID, BATON_ATTEMPT, BATON_FEEDBACK, BATON_STOP_REASON } = process.env
  const variables = { BATON_EVENT, BATON_TASK_ID, BATON_ATTEMPT, BATON_FEEDBACK, BATON_STOP_REASON }
  // Slow, so that the end of the run is only recorded last if Baton waits for the other hooks.
  if (BATON_EVENT !== "RunEnded") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  appendFileSync(process.argv[2], JSON.stringify({ ...variables, event: JSON.parse(readFileSync(0, "utf8")) }) + "\\n")
`

/** A program that records its input, and a function that reads the record. */
const notes = Effect.map(folder, (path) => {
  const file = join(path, "notes")
  const program = join(path, "hook.cjs")
  writeFileSync(program, script)
  return {
    path,
    command: `'${process.execPath}' '${program}' '${file}'`,
    read: () =>
      existsSync(file)
        ? readFileSync(file, "utf8")
            .trimEnd()
            .split("\n")
            .map((line) => JSON.parse(line))
        : []
  }
})

const odd = "'$(touch pwned)' \"; exit"

describe("hooks of a run", () => {
  live(
    "receive events on standard input and in the environment, the end of the run last",
    Effect.gen(function* () {
      const { command, read } = yield* notes
      yield* add({ id: "good", description: "yes" }, { id: odd, description: "no" })
      const { exitCode, stderr } = yield* baton([
        ...["run", "--shell", "grep yes"],
        ...["--no-verify", "--max-attempts", "1"],
        ...["--on-complete", command, "--on-fail", command, "--on-end", command]
      ])
      assert.strictEqual(exitCode, 2)
      assert.notInclude(stderr, "WARN")
      const seen = read()
      const ofTask = (id: string) => seen.find(({ BATON_TASK_ID }) => BATON_TASK_ID === id)
      assert.deepInclude(ofTask("good"), { BATON_EVENT: "TaskCompleted", BATON_ATTEMPT: "1" })
      assert.deepInclude(ofTask("good")?.event, { event: "TaskCompleted", taskId: "good", output: "yes" })
      assert.deepInclude(ofTask(odd), { BATON_EVENT: "TaskFailed", BATON_ATTEMPT: "1" })
      assert.match(ofTask(odd)?.BATON_FEEDBACK, /exited with code 1/)
      assert.deepInclude(seen[2], { BATON_EVENT: "RunEnded", BATON_STOP_REASON: "Drained" })
      assert.strictEqual(seen.length, 3)
    })
  )

  live(
    "that fail are reported and do not stop the run",
    Effect.gen(function* () {
      yield* add(...["a", "b", "c"].map((id) => ({ id, description: "yes" })))
      const { exitCode, stderr } = yield* baton([
        ...["run", "--executor", "fake", "--no-verify"],
        ...["--on-complete", `'${process.execPath}' -e 'console.error("no disk"); process.exit(3)'`]
      ])
      assert.strictEqual(exitCode, 0)
      assert.include(stderr, "3 tasks completed")
      assert.strictEqual(
        stderr.match(/A hook failed hook=--on-complete cause=The program exited with code 3: no disk/g)?.length,
        1
      )
      assert.match(
        stderr,
        /A hook failed several times hook=--on-complete cause=The program exited with code 3 times=3/
      )
    })
  )

  live(
    "receive the events of a worker too",
    Effect.gen(function* () {
      const { command, read } = yield* notes
      const store = yield* TaskStore.TaskStore
      yield* add({ id: "a", description: "yes" })
      const { exitCode } = yield* baton(
        ["worker", "--executor", "fake", "--no-verify", "--output", "ndjson", "--on-end", command],
        { onStdout: (text) => (text.includes("TaskCompleted") ? Effect.orDie(store.request("stop")) : Effect.void) }
      )
      assert.strictEqual(exitCode, 0)
      assert.deepStrictEqual(
        read().map(({ BATON_STOP_REASON }) => BATON_STOP_REASON),
        ["Stopped"]
      )
    })
  )

  live(
    "do not slow down a run of many tasks, even if the receiver does not respond before its end",
    Effect.gen(function* () {
      const response = Promise.withResolvers<{ readonly status: number }>()
      const { received, url } = yield* receiver(() => response.promise)
      yield* add(...Array.from({ length: 24 }, (_, n) => ({ id: `t${n}`, description: "do it" })))
      let before = -1
      const { exitCode, stderr } = yield* baton(
        ["run", "--executor", "fake", "--no-verify", "--output", "ndjson", "--webhook", url],
        {
          onStdout: (text) => {
            if (!text.includes('{"event":"RunEnded"')) return Effect.void
            before = received.length
            return Effect.sync(() => response.resolve({ status: 200 }))
          }
        }
      )
      assert.strictEqual(exitCode, 0)
      assert.isAtMost(before, 8)
      assert.strictEqual(received.length, 25)
      assert.strictEqual(JSON.parse(received.at(-1)?.body ?? "").event, "RunEnded")
      assert.notInclude(stderr, "WARN")
    })
  )

  for (const [what, args, env, message] of [
    [
      "a pipe",
      ["--on-fail", "a | b"],
      {},
      /--on-fail cannot be run\. The operator "\|" needs a shell: put the command into a script/
    ],
    [
      "a URL that is not HTTP",
      ["--webhook", "ftp://host"],
      {},
      /it takes a URL that begins with https:\/\/ or http:\/\//
    ],
    [
      "a URL with a password",
      ["--webhook", "https://me:hidden@host/"],
      {},
      /^error: --webhook has a user name or password/m
    ],
    ["an invalid secret", ["--webhook", "https://host/"], { BATON_WEBHOOK_SECRET: "hidden" }, /openssl rand -base64 32/]
  ] as const) {
    live(
      `${what} is refused before the run starts`,
      Effect.gen(function* () {
        yield* add({ id: "a", description: "yes" })
        const { exitCode, stderr } = yield* baton(["run", "--executor", "fake", "--no-verify", ...args], { env })
        assert.strictEqual(exitCode, 1)
        assert.match(stderr, message)
        assert.notInclude(stderr, "hidden")
        const { pending } = yield* (yield* TaskStore.TaskStore).counts
        assert.strictEqual(pending, 1)
      })
    )
  }
})

describe("a hook program", () => {
  it.effect("is stopped after one minute", () =>
    withLogs((lines) =>
      Effect.gen(function* () {
        const { path } = yield* notes
        const pid = join(path, "pid")
        const { finish, hook } = yield* hookCommand.make({
          name: "--on-complete",
          command: Command.shell(`echo $$ > '${pid}'; exec sleep 1000`),
          event: "TaskCompleted"
        })
        yield* Effect.orDie(hook(completed(0, "a")))
        yield* TestClock.withLive(
          Effect.suspend(() => (existsSync(pid) ? Effect.void : Effect.fail("not yet"))).pipe(
            Effect.retry(Schedule.spaced("5 millis"))
          )
        )
        yield* TestClock.adjust("1 minute")
        const finished = yield* Effect.forkChild(finish)
        yield* Fiber.join(finished)
        assert.deepStrictEqual(lines, ["A hook failed hook=--on-complete cause=The program was stopped after 1m"])
      })
    ).pipe(Effect.provide(NodeServices.layer))
  )
})
