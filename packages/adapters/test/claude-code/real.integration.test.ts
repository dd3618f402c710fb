/**
 * The executor with the real Claude Code, whose API is a server of our own. Runs where `claude` is in PATH or named by
 * BATON_TEST_CLAUDE, and is skipped elsewhere: it is too large a program to install for every run of the tests.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { error, reply } from "../claude/server/Answer.ts"
import * as Server from "../claude/server/server.ts"
import { directory, until } from "../command/fixtures.ts"
import { execute, failure, ledger, type Options } from "./fixtures.ts"

const program = process.env["BATON_TEST_CLAUDE"] ?? "claude"
const isThere = spawnSync(program, ["--version"]).status === 0

/** A server, and options with which Claude Code uses it, in a separate home directory. */
const setup = Effect.gen(function* () {
  const server = yield* Server.make()
  const path = yield* directory
  const options = (more: Options = {}): Options => ({
    program,
    cwd: path,
    model: "claude-sonnet-5-5",
    timeout: "25 seconds",
    ...more,
    env: {
      HOME: path,
      ANTHROPIC_BASE_URL: server.url,
      ANTHROPIC_AUTH_TOKEN: "key",
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_MAX_RETRIES: "1",
      ...more.env
    }
  })
  return { options, path, server }
})

/** Answers that have Claude Code run a command, with 5 000 tokens of output each. */
const bash = (command: string) => (_: unknown, n: number) =>
  reply("", {
    content: [{ type: "tool_use", id: `toolu_${n}`, name: "Bash", input: { command, description: "a test" } }],
    stopReason: "tool_use",
    usage: { output_tokens: 5000 }
  })

describe.skipIf(!isThere)(`the real Claude Code${isThere ? "" : " (not installed here)"}`, () => {
  it.live("answers, and reports its cost", () =>
    Effect.gen(function* () {
      const { options, server } = yield* setup
      server.script(() => reply("forty-two", { usage: { output_tokens: 5000 } }))
      const { metadata, output, usage } = yield* execute(options(), { task: { description: "Give the answer." } })
      assert.strictEqual(output, "forty-two")
      assert.isAbove(usage?.costUsd ?? 0, 0.05)
      assert.isAtLeast(usage?.outputTokens ?? 0, 5000)
      assert.deepInclude(metadata, { model: "claude-sonnet-5-5", turns: 1, terminalReason: "completed", exitCode: 0 })
      assert.include(JSON.stringify(server.messages()[0]?.body), "Give the answer.")
    })
  )

  it.live("works in its directory with the allowed tools", () =>
    Effect.gen(function* () {
      const { options, path, server } = yield* setup
      server.script((seen, n) => (n === 1 ? bash("touch done")(seen, n) : reply("done")))
      const { output } = yield* execute(options({ allowedTools: ["Bash(touch *)"] }))
      assert.strictEqual(output, "done")
      assert.isTrue(existsSync(join(path, "done")))
    })
  )

  it.live("stops after its turns and at its limit in money", () =>
    Effect.gen(function* () {
      const { options, server } = yield* setup
      server.script(bash("true"))
      const turns = yield* failure(options({ allowedTools: ["Bash"], maxTurns: 2 }))
      assert.strictEqual(turns.metadata?.["terminalReason"], "max_turns")
      assert.isAbove(turns.usage?.costUsd ?? 0, 0.1)
      const money = yield* failure(options({ allowedTools: ["Bash"], maxBudgetUsd: 0.12 }))
      assert.strictEqual(money.metadata?.["terminalReason"], "budget_exhausted")
      assert.isAbove(money.usage?.costUsd ?? 0, 0.12)
      assert.deepStrictEqual([turns.reason, money.reason], ["Failed", "Failed"])
    })
  )

  it.live("fails as the API does", () =>
    Effect.gen(function* () {
      const { options, server } = yield* setup
      const reasonOf = Effect.fnUntraced(function* (script: Server.Options["script"]) {
        if (script !== undefined) server.script(script)
        return (yield* failure(options())).reason
      })
      assert.strictEqual(yield* reasonOf(() => error(401)), "Fatal")
      assert.strictEqual(yield* reasonOf(() => error(400)), "Permanent")
      assert.strictEqual(yield* reasonOf(() => error(404)), "Fatal")
      assert.strictEqual(yield* reasonOf(() => error(529)), "Transient")
      assert.strictEqual(yield* reasonOf(() => error(429, { retryAfter: 1 })), "Transient")
      assert.strictEqual(yield* reasonOf(() => reply("I", { stopReason: "refusal" })), "Permanent")
      yield* Effect.promise(server.stop)
      assert.strictEqual(yield* reasonOf(undefined), "Transient")
    })
  )

  it.live("stops when the key is refused", () =>
    Effect.gen(function* () {
      const { options, server } = yield* setup
      server.script(() => error(401))
      const { reason } = yield* failure(options({ env: { CLAUDE_CODE_MAX_RETRIES: undefined } }))
      assert.strictEqual(reason, "Fatal")
      assert.isBelow(server.messages().length, 5)
    })
  )

  it.live("brings JSON of a schema, or fails", () =>
    Effect.gen(function* () {
      const { options, server } = yield* setup
      const jsonSchema = { type: "object", properties: { a: { type: "number" } }, required: ["a"] }
      server.script((_, n) =>
        n === 1
          ? reply("", {
              content: [{ type: "tool_use", id: "toolu_1", name: "StructuredOutput", input: { a: 1 } }],
              stopReason: "tool_use"
            })
          : reply("done")
      )
      assert.strictEqual((yield* execute(options({ jsonSchema }))).output, '{"a":1}')
      server.script(() => reply("no"))
      assert.match((yield* failure(options({ jsonSchema }))).message, /not with JSON of the schema/)
    })
  )

  it.live("reports its cost when it is stopped", () =>
    Effect.gen(function* () {
      const { options, path, server } = yield* setup
      server.script(bash(`touch started && '${process.execPath}' -e 'setTimeout(() => {}, 100000)'`))
      const { context, spent } = ledger()
      const fiber = yield* Effect.forkChild(execute(options({ allowedTools: ["Bash"] }), { attempt: context }))
      yield* until(() => (existsSync(join(path, "started")) ? true : undefined))
      yield* Fiber.interrupt(fiber)
      assert.isAbove(spent[0]?.costUsd ?? 0, 0.05)
    })
  )

  it.live("does not take an option that it does not know", () =>
    Effect.gen(function* () {
      const { options } = yield* setup
      const { message, reason } = yield* failure(options({ permissionMode: "nonsense" }))
      assert.strictEqual(reason, "Fatal")
      assert.match(message, /Allowed choices are/)
    })
  )
})
