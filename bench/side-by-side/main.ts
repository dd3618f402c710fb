/**
 * The same 400 prompts through Baton, promptfoo and the bare SDK with its own retries, on one local server. Prints a table in
 * Markdown.
 *
 *   node bench/side-by-side/main.ts PROMPTFOO     the path of promptfoo's program; without it, promptfoo is left out
 *
 * Build Baton first (`npx -y pnpm@12 build`).
 */
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const promptfoo = process.argv[2]
const count = 400
const prompts = Array.from({ length: count }, (_, index) => `Describe package ${index} in one sentence.`)

interface Bill {
  readonly requests: number
  readonly refused: number
  readonly dollars: number
  readonly prompts: number
  readonly twice: number
}

/** A program that does the list in a folder; the same call continues after a kill as far as the program can. */
interface Tool {
  readonly name: string
  readonly start: (folder: string, url: string, again: boolean) => ChildProcess
  readonly results: (folder: string) => number
}

const run = (folder: string, program: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  spawn(program, args, {
    cwd: folder,
    stdio: "ignore",
    detached: true,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...env }
  })

const baton: Tool = {
  name: "Baton",
  start: (folder, url) =>
    run(folder, process.execPath, [
      ...[here("../../packages/cli/dist/baton.js"), "run", "prompts.txt", "--executor", "openai", "--no-verify"],
      ...["--model", "bench", "--base-url", `${url}/v1`, "--price", "bench=2,10", "--max-output-tokens", "200"],
      ...["-j", "16", "--quiet"]
    ]),
  results: (folder) => {
    const path = join(folder, "out.jsonl")
    return existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").length : 0
  }
}

const sdk: Tool = {
  name: "bare SDK",
  start: (folder, url) => run(folder, process.execPath, [here("sdk.ts"), "prompts.txt", "results.jsonl", `${url}/v1`]),
  results: (folder) => {
    const path = join(folder, "results.jsonl")
    if (!existsSync(path)) return 0
    const lines = readFileSync(path, "utf8").trim().split("\n")
    return new Set(lines.map((line) => JSON.parse(line)[0])).size
  }
}

const foo: Tool = {
  name: "promptfoo",
  start: (folder, url, again) => {
    writeFileSync(
      join(folder, "promptfooconfig.json"),
      JSON.stringify({
        prompts: ["{{prompt}}"],
        providers: [
          { id: "openai:chat:bench", config: { apiBaseUrl: `${url}/v1`, apiKey: "none", max_tokens: 200, cost: 0 } }
        ],
        tests: prompts.map((prompt) => ({ vars: { prompt } }))
      })
    )
    const args = ["eval", "-j", "16", "-o", "results.json", "--no-table", "--no-progress-bar"]
    return run(folder, process.execPath, [promptfoo ?? "", ...args, ...(again ? ["--resume"] : [])], {
      PROMPTFOO_DISABLE_TELEMETRY: "1",
      PROMPTFOO_DISABLE_UPDATE: "1",
      PROMPTFOO_DISABLE_REMOTE_GENERATION: "1",
      PROMPTFOO_CONFIG_DIR: join(folder, ".promptfoo")
    })
  },
  results: (folder) => {
    const path = join(folder, "results.json")
    if (!existsSync(path)) return 0
    const { results } = JSON.parse(readFileSync(path, "utf8"))
    const rows: ReadonlyArray<{ vars: { prompt: string }; response?: { output?: unknown } }> = results.results
    return new Set(rows.filter(({ response }) => response?.output === "An answer.").map(({ vars }) => vars.prompt)).size
  }
}

const ended = (child: ChildProcess) => new Promise<void>((resolve) => child.once("exit", () => resolve()))

const billOf = async (url: string): Promise<Bill> => (await fetch(`${url}/bill`)).json() as Promise<Bill>

const measure = async (tool: Tool, faults: number, perSecond: number, kill: boolean) => {
  const folder = mkdtempSync(join(tmpdir(), "side-by-side-"))
  writeFileSync(join(folder, "prompts.txt"), `${prompts.join("\n")}\n`)
  const server = spawn(process.execPath, [here("server.ts"), String(faults), String(perSecond)])
  const url = await new Promise<string>((resolve) =>
    server.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()))
  )
  const start = performance.now()
  if (kill) {
    const first = tool.start(folder, url, false)
    const exit = ended(first)
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      if ((await billOf(url)).prompts >= count / 2) break
    }
    if (first.pid !== undefined) process.kill(-first.pid, "SIGKILL")
    await exit
  }
  await ended(tool.start(folder, url, kill))
  const seconds = (performance.now() - start) / 1000
  if (tool === baton)
    await ended(
      run(folder, process.execPath, [
        here("../../packages/cli/dist/baton.js"),
        "export",
        "--status",
        "completed",
        "-o",
        "out.jsonl"
      ])
    )
  const bill = await billOf(url)
  const lost = count - tool.results(folder)
  server.kill()
  rmSync(folder, { recursive: true, force: true })
  return { seconds, lost, ...bill }
}

const scenarios = [
  ["no faults", 0, 0, false],
  ["5 % faults", 0.05, 0, false],
  ["20 % faults", 0.2, 0, false],
  ["20 requests per second", 0, 20, false],
  ["`kill -9` in the middle, then again", 0, 0, true]
] as const

process.stdout.write(
  "| | | time | requests | refused | billed | answered twice | results lost |\n|---|---|---|---|---|---|---|---|\n"
)
for (const [name, faults, perSecond, kill] of scenarios) {
  for (const tool of promptfoo === undefined ? [baton, sdk] : [baton, foo, sdk]) {
    const { dollars, lost, refused, requests, seconds, twice } = await measure(tool, faults, perSecond, kill)
    process.stdout.write(
      `| ${name} | ${tool.name} | ${seconds.toFixed(1)} s | ${requests} | ${refused} | $${dollars.toFixed(3)} | ${twice} | ${lost} |\n`
    )
  }
}
