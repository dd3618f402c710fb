/**
 * Looks at everything that a run would need, before it is needed.
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import { Executor } from "@baton/core/Executor"
import { Verifier } from "@baton/core/Verifier"
import { TaskStore } from "@baton/core/TaskStore"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Config from "effect/Config"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { availableParallelism, freemem, totalmem } from "node:os"
import { fromConfig, part, type PartName, Project } from "../../settings/Project.ts"
import type { Given } from "../../settings/envFlag.ts"
import { StoreUrl } from "../../settings/storeUrl.ts"
import * as claude from "../../claude/preflight.ts"
import manifest from "../../../package.json" with { type: "json" }
import { canvas } from "../../view/stdout.ts"
import * as terminal from "../../view/terminal.ts"
import { storeFromUrl, StoreSchemes } from "../../run/stores.ts"

/** What a run would be made of. */
export interface Parts {
  readonly exec: Given<string> | undefined
  readonly shell: Given<string> | undefined
  readonly executor: Given<string> | undefined
  readonly verify: Given<string> | undefined
  readonly verifier: Given<string> | undefined
  readonly noVerify: boolean
  readonly model: Given<string> | undefined
  readonly judgeModel: Given<string> | undefined
}

/** Findings under a common heading. */
export interface Section {
  readonly title: string
  readonly found: ReadonlyArray<Diagnosis.Diagnosis>
}

/**
 * What there is to say of this machine, the configuration, the store, and the parts of a run.
 *
 * @category running
 * @since 0.1.0
 */
export const examine = Effect.fnUntraced(function* (parts: Parts) {
  const project = yield* Project
  const url = yield* StoreUrl
  return [
    { title: "This machine", found: yield* machine },
    {
      title: "Configuration",
      found: [
        project.name === null
          ? Diagnosis.ok("file", "There is no baton.config.ts here; `baton init` writes one.")
          : Diagnosis.ok("file", `${project.name} was read.`)
      ]
    },
    { title: "Store", found: yield* store(url) },
    { title: "Executor", found: yield* executor(parts) },
    { title: "Verifier", found: yield* verifier(parts) }
  ] satisfies ReadonlyArray<Section>
})

const executor = Effect.fnUntraced(function* ({ exec, executor, model, shell: script }: Parts) {
  if (executor?.value === "claude") return yield* claude.examine("executor", model)
  if (executor?.value === "claude-code") return [yield* program("claude-code", "claude")]
  if (executor?.value === fromConfig) return [yield* built("executor", Executor)]
  if (executor !== undefined) return [Diagnosis.ok("executor", `The executor is ${executor.value}.`)]
  if (script !== undefined) return [yield* shell(script.by)]
  if (exec !== undefined) return [yield* program(exec.by, exec.value)]
  return [
    Diagnosis.warn(
      "executor",
      "Nothing says how a task is to be done.",
      "Give --exec or --executor here to have it checked, or put `exec` or `executor` into baton.config.ts."
    )
  ]
})

const verifier = Effect.fnUntraced(function* ({ judgeModel, noVerify, verifier, verify }: Parts) {
  if (noVerify) return [Diagnosis.ok("verifier", "Nothing checks what comes out, and that is meant.")]
  if (verifier?.value === fromConfig) return [yield* built("verifier", Verifier)]
  if (verifier?.value === "claude") return yield* claude.examine("verifier", judgeModel)
  if (verifier !== undefined) return [Diagnosis.ok("verifier", `The verifier is ${verifier.value}.`)]
  if (verify !== undefined) return [yield* program(verify.by, verify.value)]
  return [
    Diagnosis.warn(
      "verifier",
      "Nothing checks what comes out: tasks complete unverified.",
      "Give --verify or --verifier, or say with --no-verify that this is meant."
    )
  ]
})

/** A layer of the configuration is well when it can be built. */
const built = <Id, Service>(name: PartName, service: Context.Key<Id, Service>) =>
  Effect.gen(function* () {
    const project = yield* Project
    yield* Layer.build(part(name, service))
    return Diagnosis.ok(name, `The layer \`${name}\` of ${project.name} can be built.`)
  }).pipe(
    Effect.catch(({ message }) => Effect.succeed(Diagnosis.fail(name, message, "Correct the configuration."))),
    Effect.scoped
  )

const oldest = 24

/** Below this the system begins to swap, or to kill. */
const littleMemory = 256 * 1024 * 1024

/**
 * What there is to say of them.
 *
 * @category running
 * @since 0.1.0
 */
const machine = Effect.gen(function* () {
  return [node(process.versions.node), memory(freemem(), totalmem()), yield* screen]
})

const node = (version: string): Diagnosis.Diagnosis => {
  const found = `Baton ${manifest.version} on Node ${version}, ${process.platform} ${process.arch}.`
  return Number(version.split(".")[0]) >= oldest
    ? Diagnosis.ok("node", found)
    : Diagnosis.fail("node", found, `Install Node ${oldest} or newer from https://nodejs.org.`)
}

const memory = (free: number, total: number): Diagnosis.Diagnosis => {
  const gigabytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GB`
  const cores = availableParallelism()
  const found = `${cores === 1 ? "1 core" : `${cores} cores`}, ${gigabytes(free)} of ${gigabytes(total)} memory free.`
  return free < littleMemory
    ? Diagnosis.warn("memory", found, "Close something: programs that tasks run may be killed for lack of memory.")
    : Diagnosis.ok("memory", found)
}

const screen = Effect.gen(function* () {
  const { canAnimate, size } = yield* terminal.stderr
  const { style } = yield* canvas
  const { columns, rows } = size()
  if (columns === Infinity) {
    return Diagnosis.ok("terminal", "Standard error is no terminal: progress is told line by line.")
  }
  const found = `${columns} × ${rows}${style.bold("x") === "x" ? ", without colours" : ""}.`
  if (!canAnimate) return Diagnosis.ok("terminal", `${found} Progress is told line by line.`)
  return columns < 40 || rows < 10
    ? Diagnosis.warn("terminal", found, "Make it larger: the live view needs 40 × 10 to say something.")
    : Diagnosis.ok("terminal", found)
})

/**
 * Whether the program of a command line is there and may be run.
 *
 * @category running
 * @since 0.1.0
 */
const program = Effect.fnUntraced(function* (by: string, commandLine: string) {
  const { Command } = yield* Effect.promise(() => import("@baton/adapters/command"))
  const parsed = Command.parse(commandLine)
  if (Result.isFailure(parsed)) return Diagnosis.fail(by, parsed.failure.message, "Correct the command line.")
  const name = parsed.success._tag === "Shell" ? "sh" : parsed.success.program
  const found = yield* locate(name)
  if (found !== undefined) return Diagnosis.ok(by, `${name} is ${found === name ? "there" : found}.`)
  return Diagnosis.fail(
    by,
    `There is no program ${name}${name.includes("/") ? "" : " on the PATH"}, or it may not be run.`,
    name === "claude"
      ? "Install Claude Code: npm install -g @anthropic-ai/claude-code"
      : name.includes("/")
        ? `Correct the path, or make the file executable: chmod +x ${name}`
        : "Install it, or give its path."
  )
})

/**
 * Whether there is a shell for `--shell`.
 *
 * @category running
 * @since 0.1.0
 */
const shell = (by: string) => program(by, "/bin/sh")

/** Where the system would find a program. */
const locate = Effect.fnUntraced(function* (name: string) {
  const path = yield* Path.Path
  if (name.includes("/")) return (yield* isExecutable(name)) ? name : undefined
  const folders = yield* Effect.orElseSucceed(Config.String("PATH"), () => "")
  for (const folder of folders.split(":")) {
    const file = path.join(folder === "" ? "." : folder, name)
    if (yield* isExecutable(file)) return file
  }
  return undefined
})

const isExecutable = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const status = yield* Effect.option(fs.stat(file))
  return status._tag === "Some" && status.value.type === "File" && (status.value.mode & 0o111) !== 0
})

/**
 * What there is to say of the store that a URL names.
 *
 * @category running
 * @since 0.1.0
 */
const store = Effect.fnUntraced(function* (url: string) {
  const schemes = yield* StoreSchemes
  const colon = url.indexOf(":")
  const diagnose = schemes.get(url.slice(0, Math.max(0, colon)))?.diagnose
  return diagnose === undefined ? [yield* opened(url)] : yield* diagnose(url.slice(colon + 1))
})

/** A store that cannot tell more of itself: whether it opens and answers. */
const opened = (url: string): Effect.Effect<Diagnosis.Diagnosis, never, Effect.Services<ReturnType<typeof open>>> =>
  Effect.match(open(url), {
    onSuccess: () =>
      url === "memory:"
        ? Diagnosis.warn(
            "store",
            "Tasks are in memory, and gone with the process.",
            "Name a file: --store sqlite:PATH."
          )
        : Diagnosis.ok("store", "It opens, and answers."),
    onFailure: ({ message }) => Diagnosis.fail("store", message, "Correct --store, or the configuration.")
  })

const open = (url: string) =>
  TaskStore.use((store) => store.counts).pipe(Effect.provide(storeFromUrl(url)), Effect.scoped)
