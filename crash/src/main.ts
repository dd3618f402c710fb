/**
 * Proves by killing that nothing is lost and nothing is settled twice.
 *
 *   node crash/src/main.ts                       all stores
 *   node crash/src/main.ts sqlite --tasks 500    one of them
 *
 * What happens at random depends on the seed, which is printed. Exit 1 when a promise was broken, or in CI when a store's
 * server is missing.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { prove, type Proof } from "./prove.ts"
import { repeat, table, violations } from "./report.ts"
import { servers, StoreName, storeNames } from "./stores.ts"

const usage = `Usage: node crash/src/main.ts [${storeNames.join(" | ")}]... [--seed N] [--tasks N] [--seconds N] [--pace N] [--history FOLDER]\n`

const say = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

const Whole = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))

const Arguments = Schema.Struct({
  positionals: Schema.Array(StoreName),
  values: Schema.Struct({
    seed: Schema.optionalKey(Whole),
    tasks: Schema.optionalKey(Whole),
    seconds: Schema.optionalKey(Whole),
    pace: Schema.optionalKey(Whole),
    history: Schema.optionalKey(Schema.String)
  })
})

const options = {
  seed: { type: "string" },
  tasks: { type: "string" },
  seconds: { type: "string" },
  pace: { type: "string" },
  history: { type: "string" }
} as const

const readArguments = Effect.try({
  try: () => parseArgs({ allowPositionals: true, options }),
  catch: String
}).pipe(Effect.flatMap(Schema.decodeUnknownEffect(Arguments)))

/** How long a takeover may take beyond the lease: a heartbeat of the others, which is a third of it, and the claim. */
const marginMillis = 1500

const isCi = process.env.CI === "true"

const main = Effect.gen(function* () {
  const { positionals, values } = yield* readArguments
  const { history, pace = 1, seconds = 240, seed = Date.now() % 1_000_000, tasks = 6000 } = values
  yield* say(`seed ${seed}, node ${process.version}`)
  if (history !== undefined) mkdirSync(history, { recursive: true })
  const keep = (store: StoreName) => (history === undefined ? undefined : join(history, `${store}.jsonl`))
  const proofs: Array<Proof> = []
  let failed = false
  for (const store of positionals.length > 0 ? positionals : storeNames) {
    const server = servers[store]
    if (server !== undefined && !server.isInstalled()) {
      yield* say(`\n${"!".repeat(80)}\n${server.missing} ${store.toUpperCase()} IS NOT PROVED.\n${"!".repeat(80)}\n`)
      failed ||= isCi
      continue
    }
    yield* say(`${store}: ${tasks} tasks ...`)
    const proof = yield* Effect.scoped(prove({ store, seed, tasks, pace, seconds, marginMillis, keep: keep(store) }))
    proofs.push(proof)
    if (proof.findings.violations.length === 0) continue
    failed = true
    yield* say(violations(proof))
    yield* say(`To repeat it: ${repeat({ store, seed, tasks, pace })}`)
  }
  if (proofs.length > 0) yield* say(`\n${table(proofs)}`)
  yield* Effect.sync(() => {
    process.exitCode = failed ? 1 : 0
  })
})

main.pipe(
  Effect.catch((error) =>
    Effect.sync(() => {
      process.stderr.write(`${typeof error === "string" ? error : error.message}\n${usage}`)
      process.exitCode = 1
    })
  ),
  NodeRuntime.runMain({ teardown: (_, done) => done(Number(process.exitCode ?? 1)) })
)
