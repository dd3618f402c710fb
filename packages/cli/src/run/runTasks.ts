/** Runs the tasks of a store, shows the progress, and prints the summary. */
import * as Hooks from "@baton/core/Hooks"
import * as Orchestrator from "@baton/core/Orchestrator"
import * as Redactor from "@baton/core/Redactor"
import { type Counts, TaskStore } from "@baton/core/TaskStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as account from "../models/claude/account.ts"
import { key as openaiKey } from "../models/openai/account.ts"
import * as environment from "../system/environment.ts"
import { Project } from "../settings/Project.ts"
import { EndedWith, exitCodes } from "../system/CommandFailed.ts"
import { isBrokenPipe } from "../view/errors.ts"
import { type RunFlags, LogFormatFlag, StoreUrl } from "../settings/flags.ts"
import * as Display from "../view/Display.ts"
import { eventJson, withEvents } from "../view/events.ts"
import type { Limits } from "../view/live/View.ts"
import * as LogDisplay from "../view/LogDisplay.ts"
import { LogLines } from "../view/logger.ts"
import { safeText } from "../view/safeText.ts"
import { writeFile } from "../view/writeFile.ts"
import { exitCode, quietSummary, RunSummary, summary } from "../view/summary.ts"
import { writeLines } from "../view/stdout.ts"
import type { Terminal } from "../view/terminal.ts"
import * as childGroups from "../system/process.ts"
import { signalExitCode } from "../system/process.ts"
import * as Telemetry from "../system/Telemetry.ts"
import { commandLine, commandName } from "../view/commandLine.ts"
import type { RunParts } from "./runParts.ts"

/** The options of a run. */
export interface Options {
  readonly parts: RunParts
  readonly flags: RunFlags
  readonly terminal: Terminal
  readonly imported: RunSummary["imported"]
  /** Whether to wait for new tasks. */
  readonly endless: boolean
  /** The queues whose tasks are run. */
  readonly queues: ReadonlyArray<string>
}

/** Runs all tasks, or waits for new ones if `endless`. Fails with the exit code if it is not zero. */
export const runTasks = Effect.fnUntraced(function* (options: Options) {
  const { endless, flags, parts } = options
  yield* parts.warnings
  const counts = yield* (yield* TaskStore).counts
  const display = yield* makeDisplay(options, counts)

  const flagHooks = yield* Effect.provideService(
    parts.hooks({ queues: options.queues, endless }),
    LogLines,
    display.line
  )
  const work = Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    const run = endless ? orchestrator.runForever : orchestrator.run
    yield* display.listen(orchestrator)
    if (flags.output.value !== "ndjson") return yield* run
    return yield* withEvents(run, orchestrator.events({ strategy: "suspend" }), (event) => `${eventJson(event)}\n`)
  }).pipe(
    Effect.scoped,
    Effect.tapError((error) =>
      Effect.sync(() => {
        if (isBrokenPipe(error)) display.line("standard output was closed; the run has ended")
      })
    ),
    Effect.provide(
      layerOf(
        options,
        [display.hook, logEvent, ...(yield* Project).hooks, ...flagHooks.hooks],
        yield* redactorOf(flags)
      ).pipe(
        // Provided to the orchestrator, which looks up the tracer when it is built.
        Layer.provideMerge(Telemetry.layer(flags.metricsPort?.value))
      )
    ),
    Effect.provideService(LogLines, display.line)
  )

  // The summary is printed after every end of a run, including a signal, so this part cannot be interrupted.
  yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(restore(work))
      const code = yield* printSummary(options, display)
      if (flags.report !== undefined) {
        yield* Effect.provideService(writeReport(flags.report.value), LogLines, display.line)
      }
      yield* Effect.provideService(flagHooks.finish, LogLines, display.line)
      yield* exit
      if (code !== exitCodes.ok) return yield* new EndedWith({ exitCode: code })
    })
  )
}, Effect.scoped)

/** Writes the report of `--report`, and does not fail the run if that is not possible. */
const writeReport = Effect.fnUntraced(function* (file: string) {
  const { build, formatOf } = yield* Effect.promise(() => import("../view/report/build.ts"))
  yield* writeFile(file, Stream.fromEffect(build(formatOf(file)))).pipe(
    Effect.catch(({ message }) =>
      Effect.logWarning("The report was not written").pipe(Effect.annotateLogs({ cause: safeText(message) }))
    )
  )
})

/** Logs every event with its short fields at the level debug. Descriptions, outputs and feedback are not logged. */
const logEvent: Hooks.Hook = ({ _tag, ...fields }) =>
  Effect.logDebug(_tag).pipe(
    Effect.annotateLogs(
      Object.fromEntries(Object.entries(fields).filter(([name, value]) => isShort(name) && typeof value !== "object"))
    )
  )

const isShort = (name: string): boolean => !["at", "description", "output", "feedback", "reason"].includes(name)

/** The display of the tasks in the store. */
export const makeDisplay = Effect.fnUntraced(function* (
  { endless, flags, parts, terminal }: Pick<Options, "endless" | "flags" | "parts" | "terminal">,
  counts: Counts
) {
  if ((yield* LogFormatFlag) === "json") return yield* LogDisplay.make(flags, counts)
  return yield* Display.make(
    {
      terminal,
      store: yield* TaskStore,
      lease: parts.lease,
      concurrency: parts.concurrency,
      maxAttempts: flags.maxAttempts.value,
      limits: limitsOf(flags, parts),
      rateLimitedSince: parts.rateLimitedSince,
      endless,
      quiet: flags.quiet
    },
    counts
  )
})

const limitsOf = (flags: RunFlags, { left }: Pick<RunParts, "left">): Limits => ({
  maxCostUsd: smaller(flags.maxCostPerRun?.value, left.maxCostUsd),
  maxTokens: smaller(flags.maxTokensPerRun?.value, left.maxTokens),
  maxIterations: flags.maxIterations?.value,
  maxConsecutiveFailures: flags.maxConsecutiveFailures?.value,
  maxDurationMillis: flags.maxDuration === undefined ? undefined : Duration.toMillis(flags.maxDuration.value)
})

const smaller = (first: number | undefined, second: number | undefined): number | undefined =>
  first === undefined || second === undefined ? (first ?? second) : Math.min(first, second)

/** Secrets of the environment are redacted by their values too, because programs inherit them and can print them. */
export const redactorOf = Effect.fnUntraced(function* ({ noRedact }: RunFlags) {
  if (noRedact) return Redactor.layerNone
  const ofClaude = Option.map(yield* account.find, ({ apiKey }) => apiKey)
  const keys = [ofClaude, yield* openaiKey].flatMap((key) => Option.toArray(key))
  return Redactor.layer({ secrets: [...keys, ...Redactor.secretsOf(yield* environment.variables)] })
})

const layerOf = ({ parts, queues }: Options, hooks: ReadonlyArray<Hooks.Hook>, redactor: Layer.Layer<never>) =>
  Orchestrator.layer({ ...parts.config, queues }).pipe(
    Layer.provide([parts.executor, parts.verifier, parts.safety, Hooks.layer(...hooks), redactor]),
    Layer.provide(childGroups.layer)
  )

/** Prints the summary and returns the exit code. */
const printSummary = Effect.fnUntraced(function* (options: Options, { flush, line, progress }: Display.Display) {
  const { ended } = progress
  if (ended === undefined) return exitCodes.error
  const store = yield* TaskStore
  const counts = yield* store.counts
  const code =
    exitCode({ ...ended, counts }, options) ??
    (ended.reason._tag === "Interrupted" ? signalExitCode() : exitCodes.error)
  const result = { ...ended, counts, exitCode: code, imported: options.imported, models: options.parts.modelUse() }
  if ((yield* LogFormatFlag) === "json") {
    yield* LogDisplay.logEnd(result)
  } else {
    const { size, style } = options.terminal
    const { quiet } = options.flags
    const lines = (quiet ? quietSummary : summary)(result, progress, {
      style,
      columns: size().columns,
      command: yield* commandName,
      again: yield* commandLine,
      endless: options.endless,
      noVerify: options.parts.noVerify,
      audit: options.flags.audit?.value,
      isTransient: (yield* StoreUrl).startsWith("memory:")
    })
    for (const text of lines) line(text)
    for (const text of quiet ? [] : yield* options.parts.closingLines) line(text)
  }
  yield* flush
  if (options.flags.json) yield* writeLines([encodeSummary(result)])
  return code
})

const encodeSummary = Schema.encodeSync(Schema.fromJsonString(RunSummary))
