import { TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { add } from "../commands/harness.ts"
import { baton } from "./harness.ts"

const standIn = fileURLToPath(new URL("../../../adapters/test/claude-code/stand-in.mjs", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "baton-claude-"))
const path = process.env["PATH"] ?? ""

beforeAll(() => {
  writeFileSync(join(folder, "claude"), `#!/bin/sh\nexec '${process.execPath}' '${standIn}' "$@"\n`, { mode: 0o755 })
  process.env["PATH"] = `${folder}${delimiter}${path}`
  process.env["STAND_IN"] = "ok"
})
afterAll(() => {
  process.env["PATH"] = path
  delete process.env["STAND_IN"]
  rmSync(folder, { recursive: true, force: true })
})

const live = (name: string, effect: Effect.Effect<void, unknown, TaskStore.TaskStore | Scope.Scope>) =>
  it.live(name, () => Effect.provide(Effect.scoped(effect), TaskStore.layerMemory, { local: true }))

const run = (...args: ReadonlyArray<string>) => baton(["run", "--executor", "claude-code", "--no-verify", ...args])
const tasks = (count: number) =>
  add(...Array.from({ length: count }, (_, n) => ({ id: `t${n}`, description: "do it" })))

describe("--executor claude-code", () => {
  live(
    "executes the tasks, records their cost, and stops at the budget",
    Effect.gen(function* () {
      yield* tasks(6)
      const { exitCode, stderr } = yield* run("--max-cost", "0.25", "--max-cost-per-attempt", "0.06")
      assert.strictEqual(exitCode, 3)
      assert.match(stderr, /\$0\.21012 of \$0\.25 spent, and the next call \(Claude Code\) can cost up to \$0\.09/)
      const store = yield* TaskStore.TaskStore
      const { completed, pending } = yield* store.counts
      assert.deepStrictEqual([completed, pending], [4, 2])
    })
  )

  live(
    "accepts its own flags and shared ones",
    Effect.gen(function* () {
      yield* tasks(1)
      const { exitCode, stderr } = yield* run(
        ...["--model", "opus", "--effort", "low", "--system", "Be brief", "--permission-mode", "acceptEdits"],
        ...["--allowed-tools", "Edit,Bash(npm test *)", "--cwd", folder, "--max-turns", "3"]
      )
      assert.strictEqual(exitCode, 0, stderr)
    })
  )

  for (const [args, message] of [
    [["--max-cost", "1"], "--max-cost needs --max-cost-per-attempt with --executor claude-code"],
    [["--max-cost-per-task", "1"], "--max-cost-per-task needs --max-cost-per-attempt"],
    [["--max-tokens", "1"], "--max-tokens does not work with --executor claude-code, which cannot limit tokens"],
    [
      ["--output-schema", "x.json"],
      "--output-schema only works with --executor claude or openai. Add --executor claude, or remove --output-schema."
    ]
  ] as const) {
    live(
      `refuses ${args[0]} with a message`,
      Effect.gen(function* () {
        yield* tasks(1)
        const { exitCode, stderr } = yield* run(...args)
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, message)
      })
    )
  }

  live(
    "has flags that other executors refuse",
    Effect.gen(function* () {
      yield* tasks(1)
      const { exitCode, stderr } = yield* baton(["run", "--executor", "fake", "--no-verify", "--max-turns", "3"])
      assert.strictEqual(exitCode, 1)
      assert.include(
        stderr,
        "--max-turns only works with --executor claude-code. Add --executor claude-code, or remove --max-turns."
      )
    })
  )

  live(
    "explains how to install the missing program, before a task starts",
    Effect.gen(function* () {
      yield* tasks(1)
      process.env["PATH"] = "/nowhere"
      yield* Effect.addFinalizer(() => Effect.sync(() => (process.env["PATH"] = `${folder}${delimiter}${path}`)))
      const { exitCode, stderr } = yield* run()
      assert.strictEqual(exitCode, 1)
      assert.include(
        stderr,
        "The program claude was not found on the PATH, or it is not executable. Install Claude Code: npm install -g @anthropic-ai/claude-code"
      )
      const { pending } = yield* (yield* TaskStore.TaskStore).counts
      assert.strictEqual(pending, 1)
    })
  )
})
