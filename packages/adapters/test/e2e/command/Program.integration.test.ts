import { Program } from "@baton/adapters/command"
import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { Effect, Fiber, Sink, Stream } from "effect"
import { ChildProcessSpawner } from "effect/process"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { bundle } from "../../bundle.ts"
import { directory, sh, until, untilGone, untilPids } from "../../command/fixtures.ts"

const interruptThenTerminate = [
  { signal: "SIGINT", grace: "10 seconds" },
  { signal: "SIGTERM", grace: "10 seconds" }
] as const

const exitWhileRunning = await bundle(new URL("../../command/programs/exit-while-running.ts", import.meta.url))

/** Runs a script, and returns its output so far at any time. */
const start = Effect.fnUntraced(function* (script: string, options: Partial<Program.Options>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  let printed = ""
  const push = (chunk: Uint8Array) => {
    printed += Buffer.from(chunk).toString()
    return true
  }
  const fiber = yield* Effect.forkChild(
    Program.run(spawner, {
      command: sh(script),
      stdin: "",
      stdout: push,
      stderr: () => true,
      stop: [{ signal: "SIGTERM", grace: "5 seconds" }],
      ...options
    })
  )
  const untilPrinted = (text: string) => TestClock.withLive(until(() => (printed.includes(text) ? true : undefined)))
  return { fiber, printed: () => printed, untilPrinted }
})

describe("Program.run", () => {
  it.layer(NodeServices.layer)((it) => {
    it.effect("keeps a program that prints from time to time, and stops it once it is silent", () =>
      Effect.gen(function* () {
        const go = join(yield* directory, "go")
        const script = `echo first; while [ ! -e '${go}' ]; do sleep 0.02; done; echo second; exec sleep 1000`
        const { fiber, untilPrinted } = yield* start(script, { idleTimeout: "1 minute" })
        yield* untilPrinted("first")
        yield* TestClock.adjust("50 seconds")
        writeFileSync(go, "")
        yield* untilPrinted("second")
        yield* TestClock.adjust("59 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.deepInclude(yield* Fiber.join(fiber), {
          endedBy: "idleTimeout",
          signal: "SIGTERM",
          durationMillis: 110_000
        })
      })
    )

    it.effect("sends the signals in order, and reads what the program still has to say", () =>
      Effect.gen(function* () {
        const script = `
          trap 'echo interrupted' INT; trap 'echo terminated; exit 7' TERM; echo ready; while :; do sleep 0.02; done`
        const { fiber, printed, untilPrinted } = yield* start(script, {
          timeout: "1 hour",
          stop: interruptThenTerminate
        })
        yield* untilPrinted("ready")
        yield* TestClock.adjust("1 hour")
        yield* untilPrinted("interrupted")
        assert.notInclude(printed(), "terminated")
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* Fiber.join(fiber), { endedBy: "timeout", exitCode: 7, signal: null })
        assert.strictEqual(printed(), "ready\ninterrupted\nterminated\n")
      })
    )

    it.effect("does the same when interrupted", () =>
      Effect.gen(function* () {
        const script = `
          trap 'echo interrupted' INT; trap 'yes | head -c 1000000; echo terminated; exit' TERM
          echo ready; while :; do sleep 0.02; done`
        const { fiber, printed, untilPrinted } = yield* start(script, {
          stop: interruptThenTerminate
        })
        yield* untilPrinted("ready")
        const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* untilPrinted("interrupted")
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(interruption)
        assert.match(printed(), /^ready\ninterrupted\n(y\n){500000}terminated\n$/)
      })
    )

    it.effect("sends no further signal to a program that ends at the first", () =>
      Effect.gen(function* () {
        const script = `trap 'echo interrupted; exit 0' INT; echo ready; while :; do sleep 0.02; done`
        const { fiber, printed, untilPrinted } = yield* start(script, {
          timeout: "1 hour",
          stop: interruptThenTerminate
        })
        yield* untilPrinted("ready")
        yield* TestClock.adjust("1 hour")
        assert.deepInclude(yield* Fiber.join(fiber), { endedBy: "timeout", exitCode: 0, signal: null })
        assert.strictEqual(printed(), "ready\ninterrupted\n")
      })
    )
  })

  it.effect("notices a limit that the last of the output exceeds when the program has already ended", () =>
    Effect.gen(function* () {
      const handle = ChildProcessSpawner.makeHandle({
        pid: ChildProcessSpawner.ProcessId(2 ** 30),
        exitCode: Effect.succeed(ChildProcessSpawner.ExitCode(0)),
        isRunning: Effect.succeed(false),
        kill: () => Effect.void,
        stdin: Sink.drain,
        stdout: Stream.fromEffect(Effect.as(Effect.repeat(Effect.yieldNow, { times: 100 }), new Uint8Array(1))),
        stderr: Stream.empty,
        all: Stream.empty,
        getInputFd: () => Sink.drain,
        getOutputFd: () => Stream.empty,
        unref: Effect.succeed(Effect.void)
      })
      const ended = yield* Program.run(
        ChildProcessSpawner.make(() => Effect.succeed(handle)),
        {
          command: sh(""),
          stdin: "",
          stdout: () => false,
          stderr: () => true,
          stop: [{ signal: "SIGTERM", grace: "5 seconds" }]
        }
      )
      assert.deepInclude(ended, { endedBy: "outputLimit", exitCode: 0 })
    })
  )

  it.live("leaves no program behind when this process exits in the middle", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "pids")
      const child = spawn(process.execPath, [exitWhileRunning, file], { stdio: "inherit" })
      const [code] = yield* Effect.promise(() => once(child, "exit"))
      assert.strictEqual(code, 3)
      const [pid = 0] = yield* untilPids(file, 1)
      yield* untilGone(pid)
    })
  )

  it.live("leaves no program behind when this process is killed, and not the children of the program", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "pids")
      const child = spawn(process.execPath, [exitWhileRunning, file, "kill"], { stdio: "inherit" })
      const [, signal] = yield* Effect.promise(() => once(child, "exit"))
      assert.strictEqual(signal, "SIGKILL")
      const [pid = 0] = yield* untilPids(file, 1)
      yield* untilGone(pid)
    })
  )
})
