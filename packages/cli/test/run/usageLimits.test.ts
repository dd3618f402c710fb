/** Every source of usage limits, from its own words to the end of the run. */
import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Path, type PlatformError } from "effect"
import { TestClock } from "effect/testing"
import { fileURLToPath } from "node:url"
import { error as claudeError, reply as claudeReply } from "../../../adapters/test/claude/server/Answer.ts"
import * as Claude from "../../../adapters/test/claude/server/server.ts"
import * as OpenAi from "../../../adapters/test/openai/server.ts"
import { baton, file, test } from "./harness.ts"

/** When the limit ends, after the start of the test's clock. Only limits of more than five minutes pause a queue. */
const endSeconds = 600

interface Source {
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  /** Ends the limit. */
  readonly end: Effect.Effect<void, PlatformError.PlatformError>
}

const claude = (refusal: () => ReturnType<typeof claudeError>) =>
  Effect.gen(function* () {
    let isOver = false
    const server = yield* Claude.make({ script: () => (isOver ? claudeReply("done") : refusal()) })
    const source: Source = {
      args: ["--executor", "claude"],
      env: { ANTHROPIC_API_KEY: "sk-ant-x", ANTHROPIC_BASE_URL: server.url, BATON_NO_CACHE: "true" },
      end: Effect.sync(() => {
        isOver = true
      })
    }
    return source
  })

const openai = Effect.gen(function* () {
  let isOver = false
  const server = yield* OpenAi.make()
  server.script(() => (isOver ? OpenAi.reply("done") : OpenAi.error(429, {}, { "retry-after": String(endSeconds) })))
  const source: Source = {
    args: ["--executor", "openai", "--model", "gpt-x"],
    env: { OPENAI_API_KEY: "sk-x", OPENAI_BASE_URL: server.url, BATON_NO_CACHE: "true" },
    end: Effect.sync(() => {
      isOver = true
    })
  }
  return source
})

/** A program that refuses until a file exists. */
const program = Effect.fnUntraced(function* (name: string, refuse: string, work: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const script = yield* file(name)
  const over = path.join(path.dirname(script), "over")
  yield* fs.writeFileString(script, `#!/bin/sh\nif [ -e '${over}' ]; then\n${work}\nelse\n${refuse}\nfi\n`)
  yield* fs.chmod(script, 0o755)
  return { script, folder: path.dirname(script), end: fs.writeFileString(over, "") }
})

const codex = Effect.gen(function* () {
  const words = "You've hit your usage limit. Upgrade to Pro, or try again in 10 minutes."
  const { end, script } = yield* program("codex.sh", `cat > /dev/null; echo "${words}" >&2; exit 75`, "cat")
  const source: Source = { args: ["--exec", script], end }
  return source
})

const claudeCode = Effect.gen(function* () {
  const standIn = fileURLToPath(new URL("../../../adapters/test/claude-code/stand-in.mjs", import.meta.url))
  const session = `exec '${process.execPath}' '${standIn}' "$@"`
  const { end, folder } = yield* program(
    "claude",
    `STAND_IN=limit STAND_IN_RESETS_AT=${endSeconds} ${session}`,
    `STAND_IN=ok ${session}`
  )
  const before = process.env["PATH"] ?? ""
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      process.env["PATH"] = `${folder}:${before}`
    }),
    () =>
      Effect.sync(() => {
        process.env["PATH"] = before
      })
  )
  const source: Source = { args: ["--executor", "claude-code"], end }
  return source
})

/** Lets what is ready run, in this process and in others. */
const step = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

describe("a usage limit is waited out, with a countdown and without an attempt", () => {
  for (const [name, make] of [
    ["of Claude's API, by retry-after", claude(() => claudeError(429, { retryAfter: endSeconds }))],
    [
      "of Claude's API for a subscription, by the time of its reset",
      claude(() =>
        claudeError(429, {
          headers: {
            "anthropic-ratelimit-unified-status": "rejected",
            "anthropic-ratelimit-unified-reset": String(endSeconds)
          }
        })
      )
    ],
    ["of an OpenAI-compatible API", openai],
    ["of Codex", codex],
    ["of Claude Code", claudeCode]
  ] as const) {
    test(
      name,
      Effect.gen(function* () {
        const { args, end, env = {} } = yield* make
        const tasks = yield* file("tasks.txt", "one", "two", "three")
        const run = yield* Effect.forkChild(
          baton(["run", tasks, ...args, "--no-verify", "-j", "2", "--max-attempts", "1"], { env })
        )
        const store = yield* TaskStore.TaskStore
        const isWaiting = Effect.gen(function* () {
          yield* step
          if (run.pollUnsafe() !== undefined) assert.fail((yield* Fiber.join(run)).stderr)
          const pauses = yield* store.pauses?.list ?? Effect.succeed([])
          return pauses.length === 1 && (yield* store.counts).in_progress === 0
        })
        yield* Effect.repeat(isWaiting, { until: (isTrue) => isTrue })
        const { stdout } = yield* baton(["status"])
        assert.match(stdout, /tasks waits for a usage limit until 1970-01-01 00:10:0\dZ \((?:10m|9m)[^)]* left\)/)
        yield* end
        for (let passed = 0; passed < endSeconds; passed += 20) {
          yield* TestClock.adjust("20 seconds")
          yield* step
        }
        // Programs need real time, so that a clock that ran on would end them.
        while (run.pollUnsafe() === undefined) {
          yield* TestClock.adjust("10 millis")
          yield* step
        }
        const { exitCode, stderr } = yield* Fiber.join(run)
        assert.strictEqual(exitCode, 0, stderr)
        assert.deepStrictEqual(
          (yield* store.list()).tasks.map(({ attempts, status }) => [attempts, status]),
          Array.from({ length: 3 }, () => [1, "completed"])
        )
      })
    )
  }
})
