/**
 * Checks that processes that share a budget never spend more than it, and use most of it, although they are killed: four
 * processes of `baton run --max-cost`, several `kill -9`, and reruns. A server counts its bill.
 *
 *   node crash/src/budget.ts                     all stores
 *   node crash/src/budget.ts sqlite --kills 8    one store
 *   node crash/src/budget.ts --rpm 60 --concurrency 16    most requests wait for a rate limit
 *
 * Build Baton first (`npx -y pnpm@12 build`). Exits with 1 if a bill exceeded the budget or was below 95 % of it.
 */
import { Effect, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { reply } from "../../packages/adapters/test/claude/server/Answer.ts"
import * as Claude from "../../packages/adapters/test/claude/server/server.ts"
import { readArguments, runMain } from "./command.ts"
import { startServer, StoreName, storeNames } from "./stores.ts"

const usage = `Usage: node crash/src/budget.ts [${storeNames.join(" | ")}]... [--kills N] [--processes N] [--concurrency N] [--max-cost USD] [--rpm N]\n`

const Positive = Schema.NumberFromString.check(Schema.isGreaterThan(0))
const PositiveInt = Positive.check(Schema.isInt())

const Arguments = Schema.Struct({
  positionals: Schema.Array(StoreName),
  values: Schema.Struct({
    kills: Schema.optionalKey(PositiveInt),
    processes: Schema.optionalKey(PositiveInt),
    concurrency: Schema.optionalKey(PositiveInt),
    rpm: Schema.optionalKey(PositiveInt),
    "max-cost": Schema.optionalKey(Positive)
  })
})

const options = {
  kills: { type: "string" },
  processes: { type: "string" },
  concurrency: { type: "string" },
  rpm: { type: "string" },
  "max-cost": { type: "string" }
} as const

const program = fileURLToPath(new URL("../../packages/cli/dist/baton.js", import.meta.url))

/** What the server bills for a request: 100 tokens at $2 and 20 at $10 per million. */
const price = 0.0004

/** Long enough that a kill hits requests under way. */
const answerMillis = 500

interface Settings {
  readonly kills: number
  readonly processes: number
  readonly concurrency: number
  /** The requests per minute of all processes together: most of their requests wait for it. */
  readonly rpm: number | undefined
  readonly maxCost: number
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-budget-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const hasEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

const ended = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (hasEnded(child)) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

const test = Effect.fnUntraced(function* (store: StoreName, { concurrency, kills, maxCost, processes, rpm }: Settings) {
  const dir = yield* folder
  const own = yield* startServer(store)
  const requests = Math.floor(maxCost / price)
  writeFileSync(join(dir, "tasks.txt"), Array.from({ length: 2 * requests }, (_, index) => `Task ${index}\n`).join(""))
  const server = yield* Claude.make({
    script: () =>
      reply("Done.", {
        usage: { input_tokens: 100, output_tokens: 20 },
        before: new Promise((resolve) => setTimeout(resolve, answerMillis))
      })
  })
  const start = () =>
    spawn(
      process.execPath,
      [
        ...[program, "run", "tasks.txt", "--executor", "claude", "--no-verify", "--no-cache", "--quiet"],
        ...["--max-output-tokens", "200", "--max-cost", String(maxCost), "-j", String(concurrency), "--lease", "2s"],
        ...(rpm === undefined ? [] : ["--rpm", String(rpm)])
      ],
      {
        cwd: dir,
        stdio: "ignore",
        env: {
          PATH: process.env.PATH ?? "",
          BATON_STORE: own?.url ?? "sqlite:baton.db",
          ANTHROPIC_API_KEY: "sk-ant-test",
          ANTHROPIC_BASE_URL: server.url
        }
      }
    )
  const running = yield* Effect.acquireRelease(
    Effect.sync(() => Array.from({ length: processes }, start)),
    (running) =>
      Effect.sync(() => {
        for (const child of running) child.kill("SIGKILL")
      })
  )
  let killed = 0
  for (let kill = 1; kill <= kills; kill++) {
    const at = Math.floor((requests * (kill + 1)) / (kills + 3))
    const reached = Effect.promise(() => server.until(() => server.messages().length >= at))
    yield* Effect.raceFirst(reached, Effect.forEach(running, ended))
    const victim = running.find((child) => !hasEnded(child))
    if (victim === undefined) break
    // Not always in the moment in which a request arrives, when others of the same process are on their way.
    yield* Effect.sleep(Math.random() * answerMillis)
    victim.kill("SIGKILL")
    killed++
    yield* ended(victim)
    running.splice(running.indexOf(victim), 1)
    running.push(start())
  }
  yield* Effect.forEach(running, ended)
  for (let rerun = 1; rerun <= 2; rerun++) yield* ended(start())
  return {
    store,
    requests: server.messages().length,
    bill: server.messages().length * price,
    peak: server.peak(),
    killed
  }
}, Effect.scoped)

const print = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

const main = Effect.gen(function* () {
  const { positionals, values } = yield* readArguments(options, Arguments)
  const { concurrency = 4, kills = 5, "max-cost": maxCost = 0.05, processes = 4, rpm } = values
  let failed = false
  for (const store of positionals.length > 0 ? positionals : storeNames) {
    const { bill, killed, peak, requests } = yield* test(store, { concurrency, kills, maxCost, processes, rpm })
    const share = bill / maxCost
    failed ||= bill > maxCost + 1e-9 || share < 0.95
    yield* print(
      `${store.padEnd(8)}  ${killed} kills, ${requests} requests, at most ${peak} at once, $${bill.toFixed(5)} of $${maxCost} (${(100 * share).toFixed(1)} %)`
    )
  }
  yield* Effect.sync(() => {
    process.exitCode = failed ? 1 : 0
  })
})

runMain(main, usage)
