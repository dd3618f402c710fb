/**
 * Checks that no task is lost and none is settled twice while workers and servers crash.
 *
 *   node crash/src/main.ts                       all stores
 *   node crash/src/main.ts sqlite --tasks 500    one store
 *   node crash/src/main.ts workflows             workflows on three runners
 *   node crash/src/main.ts workflows --fault cut    the same, with one kind of faults
 *
 * The faults depend on the seed, which is printed. Exits with 1 if a promise was broken or, in CI, if a server is missing.
 */
import { Effect, Schema } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { readArguments, runMain } from "./command.ts"
import { crashTest } from "./crashTest.ts"
import type { FaultTestResult } from "./faultTest.ts"
import { repeatCommand, table, violations } from "./report.ts"
import { servers, StoreName, storeNames } from "./stores.ts"
import { Fault, workflowsReport, workflowsTest } from "./workflows.ts"

const workflows = "workflows"

const usage = `Usage: node crash/src/main.ts [${[...storeNames, workflows].join(" | ")}]... [--seed N] [--tasks N] [--seconds N] [--pace N] [--history FOLDER] [--fault ${Fault.literals.join(" | ")}]...\n`

const print = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

const NonNegativeInt = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))

const Arguments = Schema.Struct({
  positionals: Schema.Array(Schema.Union([StoreName, Schema.Literal(workflows)])),
  values: Schema.Struct({
    seed: Schema.optionalKey(NonNegativeInt),
    tasks: Schema.optionalKey(NonNegativeInt),
    seconds: Schema.optionalKey(NonNegativeInt),
    pace: Schema.optionalKey(NonNegativeInt),
    history: Schema.optionalKey(Schema.String),
    fault: Schema.optionalKey(Schema.NonEmptyArray(Fault))
  })
})

const options = {
  seed: { type: "string" },
  tasks: { type: "string" },
  seconds: { type: "string" },
  pace: { type: "string" },
  history: { type: "string" },
  fault: { type: "string", multiple: true }
} as const

/** How much longer than the lease a takeover may take: a heartbeat of another worker (a third of the lease) and its claim. */
const marginMillis = 1500

const isCi = process.env.CI === "true"

const main = Effect.gen(function* () {
  const { positionals, values } = yield* readArguments(options, Arguments)
  const { history, pace = 1, seconds = 240, seed = Date.now() % 1_000_000, tasks = 6000 } = values
  yield* print(`seed ${seed}, node ${process.version}`)
  if (history !== undefined) mkdirSync(history, { recursive: true })
  const keep = (store: StoreName) => (history === undefined ? undefined : join(history, `${store}.jsonl`))
  const results: Array<FaultTestResult> = []
  let failed = false
  for (const store of positionals.length > 0 ? positionals : ([...storeNames, workflows] as const)) {
    if (store === workflows) {
      if (servers.postgres?.isInstalled() !== true) continue
      // A workflow takes as long as some hundred tasks of a store alone.
      const executions = Math.max(20, Math.round(tasks / 60))
      yield* print(`workflows: ${executions} executions ...`)
      const result = yield* workflowsTest({
        seed,
        executions,
        seconds: 3 * seconds,
        // Each kind equally often.
        faults: 4 * Math.ceil(executions / 15),
        kinds: values.fault,
        lockSeconds: 15,
        history
      })
      yield* print(`\n${workflowsReport(result)}`)
      failed ||= result.violations.length > 0
      continue
    }
    const server = servers[store]
    if (server !== undefined && !server.isInstalled()) {
      yield* print(`\n${"!".repeat(80)}\n${server.missing} ${store.toUpperCase()} IS NOT TESTED.\n${"!".repeat(80)}\n`)
      failed ||= isCi
      continue
    }
    yield* print(`${store}: ${tasks} tasks ...`)
    const result = yield* Effect.scoped(
      crashTest(store, { seed, tasks, pace, seconds, marginMillis, keep: keep(store) })
    )
    results.push(result)
    if (result.findings.violations.length === 0) continue
    failed = true
    yield* print(violations(result))
    yield* print(`Repeat it with: ${repeatCommand({ store, seed, tasks, pace })}`)
  }
  if (results.length > 0) yield* print(`\n${table(results)}`)
  yield* Effect.sync(() => {
    process.exitCode = failed ? 1 : 0
  })
})

runMain(main, usage)
