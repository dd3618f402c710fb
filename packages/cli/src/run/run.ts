/** The commands `baton run` and `baton worker`. */
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { fstatSync } from "node:fs"
import { hostname } from "node:os"
import { CommandFailed } from "../system/CommandFailed.ts"
import { LogFormatFlag, QueueFlag, type RunFlags, type WorkerFlags } from "../settings/flags.ts"
import { allSources, type SourceOptions } from "../settings/commandFlags.ts"
import { importedText } from "../view/quantity.ts"
import * as notices from "../view/notices.ts"
import { safeText } from "../view/safeText.ts"
import * as importProgress from "../view/importProgress.ts"
import * as terminal from "../view/terminal.ts"
import { Keyboard } from "../system/keyboard.ts"
import { decideBy } from "./onChanged.ts"
import { importSources } from "../sources/importSources.ts"
import * as Pipeline from "../pipelines/Pipeline.ts"
import * as falseAcceptLimit from "./falseAcceptLimit.ts"
import * as queueLimits from "./queueLimits.ts"
import * as queues from "./queues.ts"
import * as store from "./stores.ts"
import * as RunParts from "./runParts.ts"
import { runTasks } from "./runTasks.ts"

/** Imports the sources and runs all tasks. */
export const run = Effect.fnUntraced(function* (given: RunFlags & SourceOptions) {
  const sources = yield* allSources(given)
  const flags = { ...given, sources }
  const pipeline = yield* findPipeline(sources)
  if (pipeline !== undefined) {
    yield* checkOutput(flags)
    const module = yield* Effect.promise(() => import("./pipeline.ts"))
    const running = module.run({ ...pipeline, flags, terminalFor: terminalFor(flags) })
    return yield* Effect.provide(running, store.layer)
  }
  const parts = yield* prepare(flags, { endless: false })
  const work = Effect.gen(function* () {
    const shown = yield* terminalFor(flags)
    const whole = yield* TaskStore
    if (Arr.isReadonlyArrayNonEmpty(sources)) yield* queueLimits.checkQueues(flags, yield* queues.ofSources(sources))
    const imported = sources.length === 0 ? null : yield* importAll(flags, shown)
    const chosen = Arr.isReadonlyArrayNonEmpty(sources)
      ? yield* queues.ofSources(sources)
      : yield* queues.unfinished(whole)
    const budgeted = yield* queueLimits.apply(parts, flags, whole, chosen)
    const limited = falseAcceptLimit.apply(budgeted, flags, whole, chosen)
    const running = runTasks({ parts: limited, flags, imported, endless: false, terminal: shown, queues: chosen })
    yield* Effect.provideService(running, TaskStore, inQueues(whole, chosen))
  })
  // Without keys if standard input contains the tasks.
  const withKeys = sources.includes("-") ? Effect.provideService(work, Keyboard, Effect.undefined) : work
  // Without sources, the store must exist: creating an empty one would hide that this is the wrong directory.
  yield* Effect.provide(withKeys, sources.length === 0 ? store.layerAllQueues : store.layer)
})

/** Runs the tasks of the store and waits for new ones. */
export const work = Effect.fnUntraced(function* (flags: WorkerFlags) {
  if (flags.workflows) {
    const module = yield* Effect.promise(() => import("./workflows.ts"))
    return yield* module.work(flags)
  }
  const parts = yield* prepare(flags, { endless: true })
  const work = Effect.gen(function* () {
    const whole = yield* TaskStore
    const queue = yield* QueueFlag
    // A worker may start before its queue has tasks.
    const chosen: Arr.NonEmptyReadonlyArray<string> = queue === undefined ? yield* queues.unfinished(whole) : [queue]
    const shown = yield* terminalFor(flags)
    const budgeted = yield* queueLimits.apply(parts, flags, whole, chosen)
    const limited = falseAcceptLimit.apply(budgeted, flags, whole, chosen)
    const running = runTasks({ parts: limited, flags, imported: null, endless: true, terminal: shown, queues: chosen })
    yield* Effect.provideService(running, TaskStore, inQueues(whole, chosen))
  })
  yield* Effect.provide(work, store.layerPatient)
})

/** The pipeline among the sources. */
const findPipeline = Effect.fnUntraced(function* (sources: ReadonlyArray<string>) {
  for (const file of sources) {
    const text = yield* Pipeline.textOf(file)
    if (text === undefined) continue
    if (sources.length === 1) return { file, text }
    return yield* new CommandFailed({
      message: `${file} is a pipeline, which runs by itself. Run it without other sources: its stages name theirs.`
    })
  }
  return undefined
})

const checkOutput = Effect.fnUntraced(function* (flags: RunFlags) {
  if (flags.json && flags.output.value === "ndjson") {
    return yield* new CommandFailed({
      message:
        "--json and --output ndjson both write to standard output. Remove --json: the last event contains the same result."
    })
  }
})

const prepare = Effect.fnUntraced(function* (flags: RunFlags, options: { readonly endless: boolean }) {
  yield* falseAcceptLimit.check(flags)
  yield* checkOutput(flags)
  return yield* RunParts.make(flags, `${hostname()}/${process.pid}`, options)
})

/**
 * Disables the live view if events are written to standard output, unless it is a file. Events on a terminal would break
 * the view, and a program that reads a pipe, such as `jq`, usually prints to the same terminal.
 */
export const terminalFor = Effect.fnUntraced(function* (flags: Pick<RunFlags, "output" | "plain">) {
  const shown = yield* terminal.stderr
  const isDisturbed = flags.output.value === "ndjson" && ((yield* (yield* Stdio.Stdio).stdoutIsTerminal) || isPipe())
  return { ...shown, canAnimate: shown.canAnimate && !flags.plain && !isDisturbed }
})

const isPipe = () => {
  const stdout = fstatSync(process.stdout.fd)
  return stdout.isFIFO() || stdout.isSocket()
}

const importAll = Effect.fnUntraced(function* (flags: RunFlags & SourceOptions, shown: terminal.Terminal) {
  const isLogged = (yield* LogFormatFlag) === "json"
  const { onProgress, screen } = yield* importProgress.make(shown, { isHidden: isLogged || flags.quiet })
  const { added, existing, perSource, skipped, warnings } = yield* importSources(flags.sources, {
    ...flags,
    queueOf: yield* queues.sourceQueues,
    decide: decideBy(flags.onChanged, screen, flags),
    onProgress
  })
  if (isLogged) {
    for (const warning of warnings) yield* Effect.logWarning(safeText(warning))
    for (const result of perSource) {
      yield* Effect.logInfo("A source was imported").pipe(Effect.annotateLogs({ ...result }))
    }
    return { added, existing, skipped }
  }
  const canvas = { style: shown.style, columns: Infinity }
  for (const text of warnings) screen.line(notices.toLine({ mark: "attention", text }, canvas))
  if (!flags.quiet) {
    for (const result of perSource) screen.line(`${safeText(result.source)}: ${importedText(result)}`)
  }
  return { added, existing, skipped }
}, Effect.scoped)
