/** `baton run` with a pipeline. */
import type { OrchestratorConfig } from "@baton/core/OrchestratorConfig"
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import * as Usage from "@baton/core/Usage"
import type * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Stdio from "effect/Stdio"
import { hash } from "node:crypto"
import { hostname } from "node:os"
import { addTasks } from "../pipelines/addTasks.ts"
import * as budgets from "./stageBudgets.ts"
import { compile } from "../pipelines/compile.ts"
import * as Pipeline from "../pipelines/Pipeline.ts"
import * as stages from "../pipelines/stages.ts"
import type { SourceOptions } from "../settings/commandFlags.ts"
import { LogFormatFlag, QueueFlag, type RunFlags } from "../settings/flags.ts"
import { decideBy } from "./onChanged.ts"
import * as SourceError from "../sources/SourceError.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as importProgress from "../view/importProgress.ts"
import { importedText } from "../view/quantity.ts"
import { safeText } from "../view/safeText.ts"
import type { ModelUse } from "../view/summary.ts"
import type * as terminal from "../view/terminal.ts"
import * as RunParts from "./runParts.ts"
import { runTasks } from "./runTasks.ts"

type Flags = RunFlags & SourceOptions

/** Adds the tasks of the pipeline and runs them. */
export const run = Effect.fnUntraced(function* (options: {
  readonly file: string
  readonly text: string
  readonly flags: Flags
  readonly terminalFor: Effect.Effect<terminal.Terminal, never, Stdio.Stdio>
}) {
  const { file, flags, text } = options
  yield* checkFlags(file, flags)
  const pipeline = yield* Pipeline.parse({ file, text, name: yield* QueueFlag })
  const ofStages = yield* Effect.forEach(
    pipeline.stages,
    Effect.fnUntraced(function* (stage) {
      const ofStage = Pipeline.flagsOf(pipeline, stage, flags)
      if (ofStage.exec === undefined && ofStage.shell === undefined && ofStage.executor === undefined) {
        return yield* SourceError.make(
          file,
          stage.line,
          `the stage ${stage.name} has no executor; add exec: COMMAND or executor: claude, or --executor fake to try the pipeline`
        )
      }
      const parts = yield* RunParts.make(ofStage, `${hostname()}/${process.pid}`, { endless: false })
      return { stage, flags: ofStage, parts }
    })
  )
  const parts = yield* partsOf(pipeline, ofStages)
  const [first, ...others] = pipeline.stages.map(({ queue }) => queue)
  const queues: Arr.NonEmptyReadonlyArray<string> = [first ?? pipeline.name, ...others]
  const whole = yield* TaskStore
  const shown = yield* options.terminalFor
  const imported = yield* importAll(pipeline, flags, shown)
  const part = inQueues(whole, queues)
  const limited = yield* budgets.apply(parts, pipeline, flags, ofStages, part)
  const running = runTasks({ parts: limited, flags, imported, endless: false, terminal: shown, queues })
  yield* Effect.provideService(running, TaskStore, part)
})

/** Flags that a pipeline says for each of its stages. */
const checkFlags = (file: string, flags: Flags) => {
  const wrong = [
    ...(flags.template === undefined ? [] : ["--template"]),
    ...(flags.format === undefined ? [] : ["--format"]),
    ...(flags.idFrom === undefined ? [] : ["--id-from"]),
    ...(flags.delimiter === undefined ? [] : ["--delimiter"]),
    ...(flags.columns.size === 0 ? [] : ["--column"])
  ]
  const [first] = wrong
  if (first !== undefined) {
    return Effect.fail(
      new CommandFailed({
        message: `${first} does not work with ${file}, which is a pipeline. Remove ${first}${first === "--template" ? ", and set template in its stages" : ""}.`
      })
    )
  }
  if (!flags.batch) return Effect.void
  return Effect.fail(
    new CommandFailed({ message: `--batch does not work with ${file}, which is a pipeline. Remove --batch.` })
  )
}

const partsOf = Effect.fnUntraced(function* (
  pipeline: Pipeline.Pipeline,
  ofStages: ReadonlyArray<{ readonly stage: Pipeline.Stage; readonly parts: RunParts.RunParts }>
): Effect.fn.Return<RunParts.RunParts> {
  const [first] = ofStages
  if (first === undefined) return yield* Effect.die(new Error("a pipeline without stages was read"))
  const all = ofStages.map(({ parts }) => parts)
  const layer = stages.layer(
    pipeline,
    ofStages.map(({ parts, stage }) => ({ stage, executor: parts.executor, verifier: parts.verifier }))
  )
  const longest = (timeoutOf: (config: OrchestratorConfig) => Duration.Input | undefined) =>
    all.map(({ config }) => Duration.fromInputUnsafe(timeoutOf(config) ?? 0)).reduce(Duration.max)
  const executors = all.map(({ config }) => config.executorId ?? null)
  return {
    ...first.parts,
    executor: layer,
    verifier: layer,
    config: {
      ...first.parts.config,
      executionTimeout: longest(({ executionTimeout }) => executionTimeout),
      verificationTimeout: longest(({ verificationTimeout }) => verificationTimeout),
      executorId: hash("sha256", JSON.stringify(executors), "hex").slice(0, 12)
    },
    noVerify: all.every(({ noVerify }) => noVerify),
    modelUse: () => mergeUse(all.flatMap(({ modelUse }) => modelUse())),
    rateLimitedSince: (id) => {
      const times = all.flatMap(({ rateLimitedSince }) => rateLimitedSince(id) ?? [])
      return times.length === 0 ? undefined : Math.min(...times)
    }
  }
})

/** The use of each model by all stages. */
const mergeUse = (uses: ReadonlyArray<ModelUse>): ReadonlyArray<ModelUse> =>
  Array.from(
    Map.groupBy(uses, ({ model }) => model),
    ([model, ofModel]) => ({
      model,
      requests: ofModel.reduce((sum, { requests }) => sum + requests, 0),
      cached: ofModel.reduce((sum, { cached }) => sum + cached, 0),
      usage: ofModel.reduce((sum, { usage }) => Usage.add(sum, usage) ?? sum, Usage.zero)
    })
  )

const importAll = Effect.fnUntraced(function* (pipeline: Pipeline.Pipeline, flags: Flags, shown: terminal.Terminal) {
  const isLogged = (yield* LogFormatFlag) === "json"
  const { onProgress, screen } = yield* importProgress.make(shown, { isHidden: isLogged || flags.quiet })
  let checked = 0
  const tasks = yield* compile(pipeline, (more) => {
    checked += more
    onProgress({ step: "checking", tasks: checked })
  })
  const perStage = yield* addTasks(pipeline, tasks, decideBy(flags.onChanged, screen, flags))
  for (const result of perStage) {
    if (isLogged) yield* Effect.logInfo("A stage was imported").pipe(Effect.annotateLogs({ ...result }))
    else if (!flags.quiet) screen.line(`${safeText(result.source)}: ${importedText(result)}`)
  }
  const sum = (count: (result: (typeof perStage)[number]) => number) =>
    perStage.reduce((total, result) => total + count(result), 0)
  return { added: sum(({ added }) => added), existing: sum(({ existing }) => existing), skipped: 0 }
}, Effect.scoped)
