/**
 * A pipeline: stages of tasks, where the outputs of one stage are the input of the next.
 *
 * Each stage is a queue with its own executor, verifier and budget. A stage has a task for each record of a source, a task
 * for each task of an earlier stage (`from`), or one task for all tasks of an earlier stage (`reduce`).
 */
import { QueueName } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Yaml from "yaml"
import type { Given, RunFlags } from "../settings/flags.ts"
import { type SettingName, settingOf } from "../settings/settings.ts"
import { queueOf } from "../sources/queueOf.ts"
import { ProblemList, type SourceError } from "../sources/SourceError.ts"
import * as Template from "../sources/template.ts"
import { sortByDependency } from "../sources/validateSources.ts"
import { nearest } from "../system/nearest.ts"

/** A pipeline as its file describes it. */
export interface Pipeline {
  readonly file: string
  readonly name: string
  /** The limits of all stages together. */
  readonly maxCost: Given<number> | undefined
  readonly maxTokens: Given<number> | undefined
  /** Each stage comes after the one that it gets its input from. */
  readonly stages: ReadonlyArray<Stage>
}

export interface Stage {
  readonly name: string
  readonly queue: string
  readonly line: number
  readonly input: Input
  readonly template: { readonly text: string; readonly parsed: Template.Template; readonly line: number } | undefined
  /** The settings of the stage, and those of the pipeline that it does not set. */
  readonly settings: ReadonlyMap<SettingName, Given<unknown> | boolean>
}

/** What a stage makes its tasks of. */
export type Input =
  /** A task for each record of the sources. */
  | { readonly _tag: "Sources"; readonly sources: ReadonlyArray<string> }
  /** A task for each task of a stage. */
  | { readonly _tag: "Each"; readonly stage: string }
  /** One task for all tasks of a stage. */
  | { readonly _tag: "All"; readonly stage: string }

/** The settings that a stage can have, and a pipeline for all of its stages. */
export const stageSettings = [
  "exec",
  "shell",
  "executor",
  "verify",
  "verifier",
  "noVerify",
  "maxCost",
  "maxTokens",
  "timeout",
  "idleTimeout",
  "verifyTimeout",
  "permanentExitCodes",
  "resultFrom",
  "costFrom",
  "model",
  "fallbackModel",
  "baseUrl",
  "judgeModel",
  "system",
  "systemFile",
  "criteria",
  "confirm",
  "minConfidence",
  "maxOutputTokens",
  "effort",
  "webSearch",
  "webFetch",
  "codeExecution",
  "outputSchema",
  "permissionMode",
  "allowedTools",
  "cwd",
  "maxTurns",
  "maxCostPerAttempt"
] as const satisfies ReadonlyArray<SettingName & keyof RunFlags>

const isStageSetting = (key: string): key is (typeof stageSettings)[number] =>
  stageSettings.some((name) => name === key)

const inputKeys = ["from", "each", "reduce"] as const

/** A key of the top level that begins the stages. YAML has no other text at the beginning of a line. */
const stagesKey = /^(?:stages|"stages"|'stages')[ \t]*:/m

/** The text of a source, if it is the file of a pipeline. */
export const textOf = Effect.fnUntraced(function* (
  source: string
): Effect.fn.Return<string | undefined, never, FileSystem.FileSystem> {
  if (!/\.ya?ml$/i.test(source)) return undefined
  const fs = yield* FileSystem.FileSystem
  // A file that cannot be read is reported as a source.
  const info = yield* Effect.option(fs.stat(source))
  if (Option.isNone(info) || info.value.type !== "File") return undefined
  const text = yield* Effect.orElseSucceed(fs.readFileString(source), () => "")
  return stagesKey.test(text) ? text : undefined
})

/** Reads a pipeline, or fails with all of its problems and their lines. */
export const parse = Effect.fnUntraced(function* (options: {
  readonly file: string
  readonly text: string
  /** Used instead of the name in the file. */
  readonly name: string | undefined
}): Effect.fn.Return<Pipeline, SourceError> {
  const yaml = yield* Effect.promise(() => import("yaml"))
  const problems = new ProblemList()
  const pipeline = read(yaml, options, (line, message) => problems.add(options.file, line, message))
  yield* problems.check
  return pipeline ?? (yield* Effect.die(new Error("a pipeline without problems was not read")))
})

type Report = (line: number, message: string) => void

interface Entry {
  readonly key: string
  readonly line: number
  readonly value: unknown
}

const read = (
  yaml: typeof Yaml,
  { file, name: given, text }: { readonly file: string; readonly text: string; readonly name: string | undefined },
  report: Report
): Pipeline | undefined => {
  const lineCounter = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter, prettyErrors: false, logLevel: "error" })
  const lineAt = (offset: number | undefined) => Math.max(1, lineCounter.linePos(offset ?? 0).line)
  const lineOf = (node: unknown) => (yaml.isNode(node) ? lineAt(node.range?.[0]) : 1)
  const [error] = document.errors
  if (error !== undefined) {
    report(lineAt(error.pos[0]), `not valid YAML: ${error.message}`)
    return undefined
  }

  /** The entries of a mapping; an alias stands for the node that it refers to. */
  const entriesOf = (node: unknown): ReadonlyArray<Entry> | undefined =>
    yaml.isMap(node)
      ? node.items.map(({ key, value }) => ({
          key: yaml.isScalar(key) ? String(key.value) : "",
          line: lineOf(key),
          value: yaml.isAlias(value) ? value.resolve(document) : value
        }))
      : undefined

  /** The text of a value, as a flag takes it. A list is written with commas. */
  const textOf = (value: unknown): string | undefined => {
    const texts = listOf(value)
    return texts === undefined || texts.length === 0 ? undefined : texts.join(",")
  }

  const listOf = (value: unknown): ReadonlyArray<string> | undefined => {
    const items: ReadonlyArray<unknown> = yaml.isSeq(value) ? value.items : [value]
    const texts = items.flatMap((item) => (yaml.isScalar(item) && item.value !== null ? [String(item.value)] : []))
    return texts.length === items.length ? texts : undefined
  }

  const readSetting = (
    { key, line, value }: Entry,
    origin: Given<unknown>["origin"]
  ): Given<unknown> | boolean | undefined => {
    const name = isStageSetting(key) ? key : undefined
    const kind = name === undefined ? undefined : settingOf(name).kind
    const text = textOf(value)
    const found = text === undefined ? undefined : kind?.read(text)
    if (found === undefined) {
      report(line, `${key}${text === undefined ? "" : ` is "${text}", but`} takes ${kind?.expected ?? "a value"}`)
      return undefined
    }
    return typeof found === "boolean" ? found : { value: found, by: `${key} in ${file}:${line}`, origin }
  }

  const root = entriesOf(document.contents) ?? []
  const defaults = new Map<SettingName, Given<unknown> | boolean>()
  let name = given ?? queueOf(file)
  let written: ReadonlyArray<Entry> = []
  let stagesLine = 1
  for (const entry of root) {
    if (entry.key === "stages") {
      stagesLine = entry.line
      written = entriesOf(entry.value) ?? []
      if (written.length === 0) {
        report(entry.line, "stages takes a mapping from the name of each stage to its settings")
      }
    } else if (entry.key === "name") {
      name = given ?? textOf(entry.value) ?? name
    } else if (isStageSetting(entry.key)) {
      const setting = readSetting(entry, "file")
      if (setting !== undefined) defaults.set(entry.key, setting)
    } else unknownKey(entry, ["name", "stages", ...stageSettings], report)
  }

  const names = written.map(({ key }) => key)
  const stages = written.flatMap(({ key, line, value }) => {
    if (!/^[A-Za-z][\w-]*$/.test(key)) {
      report(line, `"${key}" is not the name of a stage: use letters, digits, - and _, beginning with a letter`)
      return []
    }
    const queue = `${name}/${key}`
    if (!isQueueName(queue)) {
      report(
        line,
        `the queue of this stage would be "${queue}", which is longer than 100 characters; use shorter names`
      )
    }
    const entries = entriesOf(value)
    if (entries === undefined) {
      report(line, `the stage ${key} takes a mapping with from, each or reduce, such as {from: ${earlier(names, key)}}`)
      return []
    }
    const stage = readStage({ key, line, queue, entries })
    return stage === undefined ? [] : [stage]
  })

  function readStage(of: {
    readonly key: string
    readonly line: number
    readonly queue: string
    readonly entries: ReadonlyArray<Entry>
  }): Stage | undefined {
    const { entries, key, line, queue } = of
    const settings = new Map<SettingName, Given<unknown> | boolean>()
    let template: Stage["template"]
    const inputs: Array<Input> = []
    for (const entry of entries) {
      if (entry.key === "template") {
        const text = textOf(entry.value)
        const parsed = text === undefined ? Result.fail("takes a text") : Template.parse(text)
        if (text === undefined || Result.isFailure(parsed)) {
          report(entry.line, `template: ${Result.isFailure(parsed) ? parsed.failure : "takes a text"}`)
        } else template = { text, parsed: parsed.success, line: entry.line }
      } else if (isInputKey(entry.key)) {
        const input = readInput(entry, key)
        if (input !== undefined) inputs.push(input)
      } else if (isStageSetting(entry.key)) {
        const setting = readSetting(entry, "flag")
        if (setting !== undefined) settings.set(entry.key, setting)
      } else unknownKey(entry, [...inputKeys, "template", ...stageSettings], report)
    }
    const given = entries.filter(({ key }) => isInputKey(key))
    const [input] = inputs
    if (given.length !== 1) {
      report(
        line,
        given.length === 0
          ? `the stage ${key} has no input: add from (a file or a stage), each (a pattern of files) or reduce (a stage)`
          : `the stage ${key} has ${given.map(({ key }) => key).join(" and ")}: keep one of them`
      )
    }
    if (input === undefined) return undefined
    return { name: key, queue, line, input, template, settings: withDefaults(settings, defaults) }
  }

  function readInput(entry: Entry, stage: string): Input | undefined {
    const { key, line, value } = entry
    const texts = listOf(value)
    const [first, ...others] = texts ?? []
    if (texts === undefined || first === undefined) {
      report(line, `${key} takes ${key === "reduce" ? "the name of a stage" : "the name of a stage, or files"}`)
      return undefined
    }
    if (key === "each") return { _tag: "Sources", sources: texts.map((pattern) => `each:${pattern}`) }
    if (others.length === 0 && names.includes(first)) return { _tag: key === "from" ? "Each" : "All", stage: first }
    const isSource = key === "from" && texts.every((text) => text === "-" || /[./:\\]/.test(text))
    if (isSource) return { _tag: "Sources", sources: texts }
    const unknown = texts.find((text) => !names.includes(text)) ?? first
    const stages = names.filter((name) => name !== stage)
    const [meant] = nearest(unknown, stages)
    const known = stages.length === 0 ? "there is no other stage" : `the other stages are ${stages.join(", ")}`
    report(
      line,
      names.includes(unknown)
        ? `${key} takes one stage`
        : `${key} is "${unknown}", which is not a stage${key === "from" ? " or a file" : ""}; ${
            meant === undefined ? known : `did you mean ${meant}?`
          }`
    )
    return undefined
  }

  const byName = new Map(stages.map((stage) => [stage.name, stage]))
  const { cycles, order } = sortByDependency(
    new Map(stages.map(({ input, name }) => [name, input._tag === "Sources" ? [] : [input.stage]]))
  )
  for (const cycle of cycles) {
    const first = byName.get(cycle[0] ?? "")
    const isOne = cycle.length === 1
    report(
      first?.line ?? stagesLine,
      isOne
        ? `the stage ${cycle[0]} gets its input from itself; name an earlier stage or a file`
        : `these stages wait for each other, so none can start: ${[...cycle, cycle[0]].join(" → ")}; change the input of one of them`
    )
  }
  checkTemplates(byName, report)
  const limit = (name: "maxCost" | "maxTokens"): Given<number> | undefined => {
    const found = defaults.get(name)
    return typeof found === "object" && typeof found.value === "number" ? { ...found, value: found.value } : undefined
  }
  return {
    file,
    name,
    maxCost: limit("maxCost"),
    maxTokens: limit("maxTokens"),
    stages: order.flatMap((name) => byName.get(name) ?? [])
  }
}

const isQueueName = Schema.is(QueueName)

const isInputKey = (key: string): key is (typeof inputKeys)[number] => inputKeys.some((name) => name === key)

const earlier = (names: ReadonlyArray<string>, stage: string): string =>
  names.find((name) => name !== stage) ?? "tasks.csv"

const unknownKey = ({ key, line }: Entry, known: ReadonlyArray<string>, report: Report) => {
  const [meant] = nearest(key, known)
  report(
    line,
    `unknown key ${key}${meant === undefined ? `; the keys are ${known.join(", ")}` : `; did you mean ${meant}?`}`
  )
}

/** Settings that exclude each other: one of a stage takes the place of all of the pipeline. */
const alternatives: ReadonlyArray<ReadonlyArray<SettingName>> = [
  ["exec", "shell", "executor"],
  ["verify", "verifier", "noVerify"]
]

/** The limits of the pipeline hold for all stages together, and are no defaults of each. */
const ofPipeline: ReadonlySet<SettingName> = new Set(["maxCost", "maxTokens"])

const withDefaults = (own: Stage["settings"], defaults: Stage["settings"]): Stage["settings"] => {
  const replaced = new Set(alternatives.filter((names) => names.some((name) => own.has(name))).flat())
  const inherited = [...defaults].filter(([name]) => !ofPipeline.has(name) && !replaced.has(name))
  return new Map([...inherited, ...own])
}

/** The stages that a stage gets its input from, directly or through others. */
export const ancestorsOf = (stage: Stage, byName: ReadonlyMap<string, Stage>): ReadonlySet<string> => {
  const found = new Set<string>()
  let { input } = stage
  while (input._tag !== "Sources" && !found.has(input.stage)) {
    found.add(input.stage)
    const next = byName.get(input.stage)
    if (next === undefined) break
    input = next.input
  }
  return found
}

const checkTemplates = (byName: ReadonlyMap<string, Stage>, report: Report) => {
  for (const stage of byName.values()) {
    if (stage.template === undefined || stage.input._tag === "Sources") continue
    const before = ancestorsOf(stage, byName)
    for (const name of Template.names(stage.template.parsed)) {
      const [head = name] = name.split(".")
      if (!byName.has(head) || before.has(head)) continue
      report(
        stage.template.line,
        `the template uses {{${name}}}, but the stage ${head} does not come before ${stage.name}; it can use ${[...before].join(", ")}`
      )
    }
  }
}

/** The flags of a stage. A flag of the command line overrides the file, and the file overrides the environment. */
export const flagsOf = (pipeline: Pipeline, stage: Stage, flags: RunFlags): RunFlags => {
  const isTyped = (name: SettingName) => {
    const given: unknown = Object.hasOwn(flags, name)
      ? Object.entries(flags).find(([key]) => key === name)?.[1]
      : undefined
    return (
      given === true || (typeof given === "object" && given !== null && "origin" in given && given.origin === "flag")
    )
  }
  const changes: Record<string, unknown> = { maxCost: undefined, maxTokens: undefined }
  for (const names of alternatives) {
    if (names.some(isTyped) || !names.some((name) => stage.settings.has(name))) continue
    for (const name of names) changes[name] = name === "noVerify" ? false : undefined
  }
  for (const [name, value] of stage.settings) {
    const group = alternatives.find((names) => names.includes(name)) ?? [name]
    if (ofPipeline.has(name) || !group.some(isTyped)) changes[name] = value
  }
  // The type of each value follows from its name, which the compiler cannot follow here.
  const merged = { ...flags, ...changes } as RunFlags
  const isFree = merged.costFrom === undefined && (merged.exec !== undefined || merged.shell !== undefined)
  // A command that reports no cost is free; all other stages take part in the limits of the pipeline.
  return isFree
    ? merged
    : {
        ...merged,
        maxCost: merged.maxCost ?? flags.maxCost ?? pipeline.maxCost,
        maxTokens:
          merged.maxTokens ?? (merged.costFrom === undefined ? (flags.maxTokens ?? pipeline.maxTokens) : undefined)
      }
}
