/**
 * Two processes under one limit of the API: the part of the limit that they use, and the part of their requests that is
 * refused. They share the limit through their store; with a store for each, they know nothing of each other.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { reply } from "../../packages/adapters/test/claude/server/Answer.ts"
import * as Server from "../../packages/adapters/test/claude/server/server.ts"
import { report } from "./measurement.ts"

const program = fileURLToPath(new URL("../../packages/cli/dist/baton.js", import.meta.url))
const perMinute = 600
const tasks = 1200

const measure = async (isShared: boolean) => {
  const dir = mkdtempSync(join(tmpdir(), "baton-pace-"))
  const times: Array<number> = []
  const server = await Server.start({
    limits: { requestsPerMinute: perMinute },
    script: () => {
      times.push(performance.now())
      return reply("Done.", { usage: { input_tokens: 20, output_tokens: 5 } })
    }
  })
  const env = { ...process.env, ANTHROPIC_API_KEY: "key", ANTHROPIC_BASE_URL: server.url }
  const baton = (folder: string, ...args: ReadonlyArray<string>) =>
    once(spawn(process.execPath, [program, ...args], { cwd: dir, env, stdio: "ignore" }), "close").then(() => folder)
  const list = (name: string, from: number, to: number) =>
    writeFileSync(join(dir, name), Array.from({ length: to - from }, (_, n) => `Task ${from + n}\n`).join(""))
  list("all.txt", 0, tasks)
  list("one.txt", 0, tasks / 2)
  list("two.txt", tasks / 2, tasks)
  const run = (source: string, store: string) =>
    baton(
      dir,
      "run",
      source,
      "--store",
      `sqlite:${store}.db`,
      "--executor",
      "claude",
      "--no-verify",
      "--no-cache",
      "-j",
      "32"
    )
  await Promise.all(
    isShared ? [run("all.txt", "all"), run("all.txt", "all")] : [run("one.txt", "one"), run("two.txt", "two")]
  )
  const refused = server.messages().filter(({ status }) => status === 429).length
  const answered = server.messages().filter(({ status }) => status === 200).length
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000
  await server.stop()
  rmSync(dir, { recursive: true })
  return { used: answered / (perMinute + (seconds * perMinute) / 60), refused: refused / (answered + refused) }
}

const apart = await measure(false)
const shared = await measure(true)
report({ what: "a store for each, part of the limit", value: 100 * apart.used, unit: "%" })
report({ what: "one store, part of the limit", value: 100 * shared.used, unit: "%", target: ">= 95 %" })
report({ what: "a store for each, refused requests", value: 100 * apart.refused, unit: "%" })
report({ what: "one store, refused requests", value: 100 * shared.refused, unit: "%", target: "< 5 %" })
