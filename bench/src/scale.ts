/** A million tasks in SQLite: the cost of a task, the memory, and the time to import a file. */
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Executor, Orchestrator, Safety, Verifier } from "@baton/core"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { createWriteStream, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { report } from "./measurement.ts"
import { add } from "./orchestrate.ts"

const folder = mkdtempSync(join(tmpdir(), "baton-bench-"))
const slice = 50_000

// A separate process fills the store, so that this process measures the memory of the work only.
if (process.argv[2] !== undefined) {
  const [, , filename, count] = process.argv
  await Effect.runPromise(
    Effect.provide(add(Number(count)), SqliteTaskStore.layer({ filename, synchronous: "NORMAL" }))
  )
  process.exit()
}

/** Runs `slice` tasks of a store that contains `queued`; the rest stay queued. */
const work = (filename: string, queued: number) =>
  Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    const start = performance.now()
    const { stats } = yield* orchestrator.run
    return { perSecond: (stats.tasksCompleted / (performance.now() - start)) * 1000 }
  }).pipe(
    Effect.provide(
      Orchestrator.layer({ concurrency: 64 }).pipe(
        Layer.provide([
          Executor.layerFake(),
          Verifier.layerAlwaysPass,
          Safety.layerCircuitBreaker({ maxIterations: slice })
        ]),
        Layer.provideMerge(SqliteTaskStore.layer({ filename, synchronous: "NORMAL" }))
      )
    ),
    (effect) => {
      spawnSync(process.execPath, [fileURLToPath(import.meta.url), filename, String(queued)], { stdio: "inherit" })
      return Effect.runPromise(effect)
    }
  )

const base = `sqlite, ${slice} tasks of ${slice}`
await work(join(folder, "warm-up.db"), slice)
const small = await work(join(folder, "small.db"), slice)
report({ what: base, value: small.perSecond, unit: "tasks/s" })
const large = await work(join(folder, "large.db"), 1_000_000)
report({
  what: `sqlite, ${slice} tasks of 1 000 000`,
  value: large.perSecond,
  unit: "tasks/s",
  against: base,
  target: ">= 0.8 x"
})

const source = join(folder, "million.jsonl")
await new Promise<void>((resolve) => {
  const file = createWriteStream(source)
  let line = 0
  const fill = (): void => {
    for (; line < 1_000_000; line++) {
      if (!file.write(`{"description":"the work of task ${line}"}\n`)) {
        line++
        file.once("drain", fill)
        return
      }
    }
    file.end(resolve)
  }
  fill()
})
const baton = fileURLToPath(new URL("../../packages/cli/dist/baton.js", import.meta.url))

/** Runs the built program; returns its elapsed time and peak memory. */
const run = (...args: ReadonlyArray<string>) => {
  const start = performance.now()
  const { stderr } = spawnSync("/usr/bin/time", ["-f", "%M", process.execPath, baton, ...args], { encoding: "utf8" })
  const seconds = (performance.now() - start) / 1000
  const peak = Number(stderr.trim().split("\n").at(-1)) / 1024
  if (!Number.isFinite(peak)) throw new Error(stderr)
  return { seconds, peak }
}

const imported = run("import", source, "--store", `sqlite:${join(folder, "import.db")}`)
report({ what: "baton import, 1 000 000 JSONL lines", value: 1_000_000 / imported.seconds, unit: "tasks/s" })
report({ what: "baton import, peak memory", value: imported.peak, unit: "MB", target: "< 700 MB" })
const worked = run(
  ...["run", "--store", `sqlite:${join(folder, "import.db")}`, "--executor", "fake", "--verifier", "always-pass"],
  ...["-j", "64", "--max-iterations", String(slice)]
)
report({
  what: "baton run with 1 000 000 tasks queued, peak memory",
  value: worked.peak,
  unit: "MB",
  target: "< 250 MB"
})
rmSync(folder, { recursive: true })
