/**
 * `baton mcp` with the real Claude Code, whose API is a server of our own. Runs where `claude` is in PATH or named by
 * BATON_TEST_CLAUDE.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { reply } from "../../../adapters/test/claude/server/Answer.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { folder, program, start } from "./baton.ts"

const claude = process.env["BATON_TEST_CLAUDE"] ?? "claude"
const isThere = spawnSync(claude, ["--version"]).status === 0

const tasks = Array.from({ length: 50 }, (_, index) => ({ description: `word ${index}` }))

const calls = [
  ["add_tasks", { queue: "words", tasks }],
  ["add_tasks", { queue: "words", tasks }],
  ["decide_review", { id: "words/1", decision: "approve" }],
  ["wait_for_tasks", { queue: "words", timeoutSeconds: 30 }],
  ["read_results", { queue: "words" }]
] as const

describe.skipIf(!isThere)(`baton mcp in Claude Code${isThere ? "" : " (not installed here)"}`, () => {
  it.live("is used for 50 tasks, and refuses to approve", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const server = yield* Server.make()
      server.script((_, n) => {
        const call = calls[n - 1]
        if (call === undefined) return reply("done")
        const [name, input] = call
        const use = { type: "tool_use", id: `toolu_${n}`, name: `mcp__baton__${name}`, input }
        return reply("", { content: [use], stopReason: "tool_use" })
      })
      dir.write(
        "mcp.json",
        JSON.stringify({ mcpServers: { baton: { command: process.execPath, args: [program, "mcp"] } } })
      )
      yield* start(dir.path, ["worker", "--queue", "words", "--exec", "tr a-z A-Z", "--no-verify"])
      const printed = yield* Effect.callback<string>((resume) => {
        const child = spawn(claude, ["-p", "Do it", "--mcp-config", "mcp.json", "--allowedTools", "mcp__baton"], {
          cwd: dir.path,
          env: {
            ...process.env,
            HOME: dir.path,
            ANTHROPIC_BASE_URL: server.url,
            ANTHROPIC_AUTH_TOKEN: "key",
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
          },
          stdio: ["ignore", "pipe", "pipe"]
        })
        let text = ""
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk: Buffer) => (text += chunk.toString()))
        child.on("close", () => resume(Effect.succeed(text)))
      })
      assert.strictEqual(printed.trim(), "done")
      const last = JSON.stringify(server.messages().at(-1)?.body)
      for (const found of [
        '\\"added\\":50',
        '\\"existing\\":50',
        "No such tool available: mcp__baton__decide_review",
        '\\"completed\\":50',
        "WORD 49"
      ]) {
        assert.include(last, found)
      }
    })
  )
})
