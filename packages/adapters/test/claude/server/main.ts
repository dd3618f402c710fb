/**
 * The server as a separate process. It prints its address as a line and runs until it is killed.
 *
 *   node packages/adapters/test/claude/server/main.ts [--port N] [--key KEY] [--script FILE] [--no-journal]
 *     [--rate-429 0.2] [--rate-500 0.2] [--rate-drop 0.2] [--latency MILLIS] [--seed N]
 *     [--requests-per-minute N] [--input-tokens-per-minute N] [--output-tokens-per-minute N]
 *
 * Each flag can come from the environment: CLAUDE_SERVER_PORT, CLAUDE_SERVER_RATE_429. A script is a module whose default
 * export is a `Script`. The journal is at GET /_journal, and DELETE /_journal empties it.
 */
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { chaos } from "./chaos.ts"
import { start } from "./server.ts"

const names = [
  "port",
  "key",
  "script",
  "rate-429",
  "rate-500",
  "rate-drop",
  "latency",
  "seed",
  "requests-per-minute",
  "input-tokens-per-minute",
  "output-tokens-per-minute"
] as const
const options: Record<string, { readonly type: "boolean" | "string" }> = {
  ...Object.fromEntries(names.map((name) => [name, { type: "string" }])),
  "no-journal": { type: "boolean" }
}
const { values } = parseArgs({ options })
const text = (name: (typeof names)[number]): string | undefined => {
  const value = values[name] ?? process.env[`CLAUDE_SERVER_${name.toUpperCase().replace(/-/g, "_")}`]
  return typeof value === "string" ? value : undefined
}
const number = (name: (typeof names)[number]): number | undefined => {
  const value = text(name)
  return value === undefined ? undefined : Number(value)
}

const file = text("script")
const script = file === undefined ? undefined : (await import(pathToFileURL(file).href)).default
const server = await start({
  port: number("port"),
  apiKey: text("key"),
  journal: values["no-journal"] !== true,
  limits: {
    requestsPerMinute: number("requests-per-minute"),
    inputTokensPerMinute: number("input-tokens-per-minute"),
    outputTokensPerMinute: number("output-tokens-per-minute")
  },
  script: chaos(
    {
      rateLimited: number("rate-429") ?? 0,
      failing: number("rate-500") ?? 0,
      dropped: number("rate-drop") ?? 0,
      latencyMillis: number("latency") ?? 0,
      seed: number("seed") ?? 1
    },
    script
  )
})
process.stdout.write(`${server.url}\n`)
