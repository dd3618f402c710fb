/** Tests the promises of a store: workers are killed and frozen while they work on it, and the results are checked. */
import { faultTest, type FaultTestResult, workers } from "@baton/crash/faultTest"
import { violations } from "@baton/crash/report"
import { TaskStore } from "@baton/core/TaskStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as References from "effect/References"
import { fileURLToPath } from "node:url"
import { storeFromUrl } from "../run/stores.ts"
import { EndedWith, exitCodes } from "../system/CommandFailed.ts"
import * as view from "../view/chaos.ts"
import { withoutPassword } from "../view/commandLine.ts"
import { safeText } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { writeLine } from "../view/stdout.ts"
import * as stores from "./stores.ts"

export interface Options {
  readonly store: string
  readonly tasks: number
  readonly seed: number
  /** Rounds are repeated until this time has passed; zero for one round. */
  readonly duration: Duration.Duration
}

/** The program is a file of the bundle, or the source when the command runs from source. */
const program = fileURLToPath(
  import.meta.url.endsWith(".ts")
    ? new URL("worker.ts", import.meta.url)
    : new URL("../chaosWorker.js", import.meta.url)
)

/** A round that takes longer does not end: 50 ms a task, and time for the takeovers. */
const secondsFor = (tasks: number) => 240 + tasks / 20

/** How much longer than the lease a takeover may take on a busy machine. */
const marginMillis = 5_000

/** Runs rounds, and prints a line for each and a table at the end. Ends with exit code 1 if a promise was broken. */
export const chaos = Effect.fnUntraced(function* (options: Options) {
  const end = (yield* Clock.currentTimeMillis) + Duration.toMillis(options.duration)
  const results: Array<FaultTestResult> = []
  let seed = options.seed
  do {
    const result = yield* Effect.scoped(round(options, seed))
    results.push(result)
    yield* writeLine(safeText(view.roundLine(result, seed)))
    if (result.findings.violations.length > 0) {
      yield* writeLine(safeText(violations(result)))
      yield* writeLine(safeText(view.repeatLine({ store: withoutPassword(options.store), tasks: options.tasks, seed })))
      return yield* new EndedWith({ exitCode: exitCodes.error })
    }
    seed++
  } while ((yield* Clock.currentTimeMillis) < end)
  for (const line of view.totalLines(results)) yield* writeLine(safeText(line))
})

const round = Effect.fnUntraced(function* (options: Options, seed: number) {
  const temporary = yield* stores.beside(options.store, `baton-chaos-${seed}-${process.pid}`)
  const services = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
  const open = storeFromUrl(temporary.url).pipe(
    Layer.provide(Layer.succeedContext(services)),
    Layer.catchTag("CommandFailed", (error) => Layer.effect(TaskStore, Effect.die(error)))
  )
  yield* printMessage(safeText(view.beginning({ workers, tasks: options.tasks, seed, where: temporary.description })))
  // Creates the store, or says why that is not possible.
  yield* Effect.provide(
    TaskStore.use(({ counts }) => counts),
    open,
    { local: true }
  ).pipe(Effect.onError(() => Effect.ignore(temporary.remove)))
  yield* Effect.addFinalizer(() =>
    Effect.catch(temporary.remove, (error) =>
      printMessage(safeText(`Remove ${temporary.description} yourself: ${error.message}`))
    )
  )
  return yield* faultTest(
    {
      name: temporary.isFile ? "sqlite" : options.store.slice(0, options.store.indexOf(":")),
      open: Layer.fresh(open),
      worker: { file: program, args: [] },
      placeOf: () => temporary.url,
      server: undefined,
      proxies: [],
      sharesLock: temporary.isFile
    },
    { seed, tasks: options.tasks, pace: 1, seconds: secondsFor(options.tasks), marginMillis, keep: undefined }
    // Each of its many connections would repeat the warnings of the first.
  ).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
})
