import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { chmodSync, mkdirSync } from "node:fs"
import { delimiter, join } from "node:path"
import { baton, folder } from "./baton.ts"
import * as Shell from "./shell.ts"
import { pages } from "../docs/pages.ts"

/** What each stand-in accepts, the words before its flags and the flags of the real program, and what it prints. */
const standIns = {
  codex: {
    words: ["exec"],
    options: { sandbox: "string", json: "boolean", model: "string", cd: "string", "output-last-message": "string" },
    print: `process.stderr.write("tokens used: 1,234\\n"); console.log("done: " + task)`
  },
  gemini: {
    words: [],
    options: { "approval-mode": "string", "output-format": "string", model: "string", prompt: "string" },
    print: `
      const stats = { models: { "gemini-x": { tokens: { total: 9 } } } }
      console.log(JSON.stringify({ response: "done: " + task, stats }, null, 2))`
  },
  opencode: {
    words: ["run"],
    options: { auto: "boolean", format: "string", model: "string", agent: "string" },
    print: `
      const event = (type, part) => console.log(JSON.stringify({ type, timestamp: 1, sessionID: "ses_1", part }))
      event("step_start", { type: "step-start" })
      event("step_finish", { type: "step-finish", reason: "tool-calls", cost: 0.25, tokens: { input: 1, output: 2 } })
      event("text", { type: "text", text: "done: " + task })
      event("step_finish", { type: "step-finish", reason: "stop", cost: 0.125, tokens: { input: 1, output: 2 } })`
  },
  aider: {
    words: [],
    options: { "yes-always": "boolean", "no-pretty": "boolean", "no-stream": "boolean", "message-file": "string" },
    print: `console.log("done: " + task)`
  }
} as const

type Agent = keyof typeof standIns

const agents = Object.keys(standIns) as ReadonlyArray<Agent>

const scriptOf = ({ options, print, words }: (typeof standIns)[Agent]) => `#!${process.execPath}
const { readFileSync } = require("node:fs")
const { parseArgs } = require("node:util")
const options = Object.fromEntries(Object.entries(${JSON.stringify(options)}).map(([name, type]) => [name, { type }]))
const { positionals, values } = parseArgs({ options, allowPositionals: true })
const words = positionals.filter((word) => word !== "-")
if (words.join(" ") !== ${JSON.stringify(words.join(" "))}) throw new Error("unknown words: " + words)
const task = readFileSync(values["message-file"] ?? 0, "utf8").trim()
${print}
`

/** A folder with the stand-in on its PATH, three tasks and a check. */
const prepared = (agent: Agent) =>
  Effect.map(folder, (dir) => {
    const bin = join(dir.path, "bin")
    mkdirSync(bin)
    const executable = (name: string, text: string) => {
      dir.write(name, text)
      chmodSync(join(dir.path, name), 0o755)
    }
    executable(`bin/${agent}`, scriptOf(standIns[agent]))
    executable("check.sh", "#!/bin/sh\ngrep -q '^done: '\n")
    dir.write("tasks.txt", "one\ntwo\nthree\n")
    return { ...dir, env: { PATH: [bin, process.env["PATH"]].join(delimiter) } }
  })

const recipes = pages.flatMap(({ blocks }) =>
  blocks.flatMap(({ code, info }) => agents.filter((agent) => agent === info).map((agent) => ({ agent, code })))
)

const Listed = Schema.Array(
  Schema.Struct({
    result: Schema.optionalKey(Schema.String),
    usage: Schema.optionalKey(Schema.Struct({ costUsd: Schema.optionalKey(Schema.NullOr(Schema.Number)) }))
  })
)
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Listed))

const results = ({ path }: { readonly path: string }) =>
  Effect.map(baton(path, ["list", "--json"]), ({ stdout }) => decode(stdout))

describe("the recipes for agents", () => {
  it("are one for each agent", () => {
    assert.sameMembers(
      recipes.map(({ agent }) => agent),
      [...agents]
    )
  })

  it.live.each(recipes)("$agent: works with a program that has its flags", ({ agent, code }) =>
    Effect.gen(function* () {
      const dir = yield* prepared(agent)
      const shell = yield* Shell.make
      const ended = yield* shell(dir.path, code, dir.env)
      assert.strictEqual(ended.code, 0, ended.stderr)
      const tasks = yield* results(dir)
      assert.deepStrictEqual(
        tasks.map(({ result }) => result),
        ["done: one", "done: two", "done: three"]
      )
      const cost = agent === "opencode" ? 0.375 : undefined
      assert.deepStrictEqual(
        tasks.map(({ usage }) => usage?.costUsd),
        [cost, cost, cost]
      )
    })
  )
})

describe("--cost-from", () => {
  const live = (name: string, test: (dir: Effect.Success<ReturnType<typeof prepared>>) => Effect.Effect<void>) =>
    it.live(name, () => Effect.flatMap(prepared("opencode"), test))

  const command = ["run", "tasks.txt", "--no-verify", "-j", "1", "--exec", "opencode run --format json"]
  const costs = ["--cost-from", "$..part.cost"]

  live("lets a budget stop the run before it is exceeded", (dir) =>
    Effect.gen(function* () {
      const limits = ["--max-cost", "1", "--max-cost-per-attempt", "0.5"]
      const { code, stderr } = yield* baton(dir.path, [...command, ...costs, ...limits], dir.env)
      assert.strictEqual(code, 3, stderr)
      assert.strictEqual((yield* results(dir)).filter(({ result }) => result !== undefined).length, 2)
    })
  )

  live("is required for a budget, and needs the most that an attempt can cost", (dir) =>
    Effect.gen(function* () {
      const without = yield* baton(dir.path, [...command, "--max-cost", "1"], dir.env)
      assert.strictEqual(without.code, 1)
      assert.include(without.stderr, "Add --cost-from JSONPATH if it prints its cost as JSON")
      const unlimited = yield* baton(dir.path, [...command, ...costs, "--max-cost", "1"], dir.env)
      assert.strictEqual(unlimited.code, 1)
      assert.include(unlimited.stderr, "--max-cost needs --max-cost-per-attempt with --exec")
    })
  )

  live("is refused if it is not a path", (dir) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* baton(dir.path, [...command, "--cost-from", "$.["], dir.env)
      assert.strictEqual(code, 1)
      assert.include(stderr, '--cost-from is "$.[": it takes a JSONPath such as')
    })
  )

  live("does not hide that --result-from found nothing", (dir) =>
    Effect.gen(function* () {
      const path = ["--result-from", "$.nothere", "--max-attempts", "1"]
      const { code, stderr } = yield* baton(dir.path, [...command, ...costs, ...path], dir.env)
      assert.strictEqual(code, 2)
      assert.include(stderr, "The command printed no result")
      assert.strictEqual((yield* results(dir))[0]?.usage?.costUsd, 0.375)
    })
  )
})
