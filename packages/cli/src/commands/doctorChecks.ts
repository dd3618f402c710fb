/** Checks everything that a run needs. */
import * as Diagnosis from "@baton/core/Diagnosis"
import { Executor } from "@baton/core/Executor"
import { Verifier } from "@baton/core/Verifier"
import { TaskStore } from "@baton/core/TaskStore"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { availableParallelism, freemem, totalmem } from "node:os"
import { fromConfig, part, type PartName, Project } from "../settings/Project.ts"
import { type DoctorFlags, type Given, StoreUrl } from "../settings/flags.ts"
import * as claude from "../models/claude/preflight.ts"
import * as openai from "../models/openai/examine.ts"
import manifest from "../../package.json" with { type: "json" }
import { canvas } from "../view/stdout.ts"
import { locate, missing, remedy } from "../system/programs.ts"
import * as Shell from "../system/shell.ts"
import * as terminal from "../view/terminal.ts"
import type { Section } from "../view/doctorReport.ts"
import { locate as locateStore, storeFromUrl } from "../run/stores.ts"

/** Checks this machine, the configuration, the store, the executor and the verifier. */
export const examine = Effect.fnUntraced(function* (flags: DoctorFlags) {
  const project = yield* Project
  const url = yield* StoreUrl
  const notified = yield* notifications(flags)
  return [
    { title: "This machine", found: yield* machine },
    {
      title: "Configuration",
      found: [
        project.name === null
          ? Diagnosis.ok("file", "There is no baton.config.ts in this directory. `baton init` creates one.")
          : Diagnosis.ok("file", `${project.name} is valid.`)
      ]
    },
    { title: "Store", found: yield* store(url) },
    { title: "Executor", found: yield* executor(flags) },
    { title: "Verifier", found: yield* verifier(flags) },
    ...(notified.length === 0 ? [] : [{ title: "Notifications", found: notified }])
  ] satisfies ReadonlyArray<Section>
})

const executor = Effect.fnUntraced(function* ({ baseUrl, exec, executor, model, shell: script }: DoctorFlags) {
  if (executor?.value === "claude") return yield* claude.examine("executor", model)
  if (executor?.value === "openai") return yield* openai.examine("executor", model, baseUrl)
  if (executor?.value === "claude-code") return [yield* program("claude-code", "claude")]
  if (executor?.value === fromConfig) return [yield* built("executor", Executor)]
  if (executor !== undefined) return [Diagnosis.ok("executor", `The executor is ${executor.value}.`)]
  if (script !== undefined) return [yield* shell(script.by)]
  if (exec !== undefined) return [yield* program(exec.by, exec.value)]
  return [
    Diagnosis.warn(
      "executor",
      "No executor is configured.",
      "Add --exec or --executor to check it, or set `exec` or `executor` in baton.config.ts."
    )
  ]
})

const verifier = Effect.fnUntraced(function* ({ baseUrl, judgeModel, noVerify, verifier, verify }: DoctorFlags) {
  if (noVerify) return [Diagnosis.ok("verifier", "Outputs are not verified (--no-verify).")]
  if (verifier?.value === fromConfig) return [yield* built("verifier", Verifier)]
  if (verifier?.value === "claude") return yield* claude.examine("verifier", judgeModel)
  if (verifier?.value === "openai") return yield* openai.examine("verifier", judgeModel, baseUrl)
  if (verifier !== undefined) return [Diagnosis.ok("verifier", `The verifier is ${verifier.value}.`)]
  if (verify !== undefined) return [yield* program(verify.by, verify.value)]
  return [
    Diagnosis.warn(
      "verifier",
      "No verifier is configured: outputs are not verified.",
      "Add --verify or --verifier, or add --no-verify to accept every output."
    )
  ]
})

const notifications = Effect.fnUntraced(function* (flags: DoctorFlags) {
  const { notify, onComplete, onEnd, onFail, onRetry, onStart, webhook } = flags
  const commands = [onStart, onRetry, onComplete, onFail, onEnd].filter((given) => given !== undefined)
  const programs = yield* Effect.forEach(commands, ({ by, value }) => program(by, value))
  const posted = (given: Given<string> | undefined, what: string) =>
    given === undefined ? [] : [Diagnosis.ok(given.by, `${what} to ${new URL(given.value).host}.`)]
  return [...programs, ...posted(webhook, "Events are posted"), ...posted(notify, "A message about each run is posted")]
})

/** Checks a layer of the configuration by building it. */
const built = <Id, Service>(name: PartName, service: Context.Key<Id, Service>) =>
  Effect.gen(function* () {
    const project = yield* Project
    yield* Layer.build(part(name, service))
    return Diagnosis.ok(name, `The layer \`${name}\` in ${project.name} builds.`)
  }).pipe(
    Effect.catch(({ message }) => Effect.succeed(Diagnosis.fail(name, message, "Fix the configuration."))),
    Effect.scoped
  )

const minimumNode = 24

/** With less free memory, the system starts to swap or to kill processes. */
const lowMemory = 256 * 1024 * 1024

/** Checks this machine. */
const machine = Effect.gen(function* () {
  return [node(process.versions.node), memory(freemem(), totalmem()), yield* screen]
})

const node = (version: string): Diagnosis.Diagnosis => {
  const found = `Baton ${manifest.version} on Node ${version}, ${process.platform} ${process.arch}.`
  return Number(version.split(".")[0]) >= minimumNode
    ? Diagnosis.ok("node", found)
    : Diagnosis.fail("node", found, `Install Node ${minimumNode} or newer from https://nodejs.org.`)
}

const memory = (free: number, total: number): Diagnosis.Diagnosis => {
  const gigabytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GB`
  const cores = availableParallelism()
  const found = `${cores === 1 ? "1 core" : `${cores} cores`}, ${gigabytes(free)} of ${gigabytes(total)} memory free.`
  return free < lowMemory
    ? Diagnosis.warn(
        "memory",
        found,
        "Close other programs, or the programs of tasks may be killed for lack of memory."
      )
    : Diagnosis.ok("memory", found)
}

const screen = Effect.gen(function* () {
  const { canAnimate, size } = yield* terminal.stderr
  const { style } = yield* canvas
  const { columns, rows } = size()
  if (columns === Infinity) {
    return Diagnosis.ok("terminal", "Standard error is not a terminal: progress is printed line by line.")
  }
  const found = `${columns} × ${rows}${style.bold("x") === "x" ? ", without colours" : ""}.`
  if (!canAnimate) return Diagnosis.ok("terminal", `${found} Progress is printed line by line.`)
  return columns < 40 || rows < 10
    ? Diagnosis.warn("terminal", found, "Enlarge the terminal: the live view needs at least 40 × 10.")
    : Diagnosis.ok("terminal", found)
})

/** Checks that the program of a command line exists and is executable. */
const program = Effect.fnUntraced(function* (by: string, commandLine: string) {
  const { Command } = yield* Effect.promise(() => import("@baton/adapters/command"))
  const parsed = Command.parse(commandLine)
  if (Result.isFailure(parsed)) return Diagnosis.fail(by, parsed.failure.message, "Fix the command line.")
  const name = parsed.success._tag === "Shell" ? "sh" : parsed.success.program
  const found = yield* locate(name)
  if (found !== undefined) return Diagnosis.ok(by, found === name ? `${name} exists.` : `${name} is ${found}.`)
  return Diagnosis.fail(by, missing(name), remedy(name))
})

/** Checks the shell for `--shell`. */
const shell = (by: string) =>
  Effect.map(Shell.find, (found) =>
    found === undefined
      ? Diagnosis.fail(by, "/bin/sh and bash do not have the option `pipefail`.", Shell.remedy)
      : Diagnosis.ok(by, `Scripts run in ${found.program}, and a pipe fails if any of its commands fails.`)
  )

/** Checks the store of a URL. */
const store = Effect.fnUntraced(function* (url: string) {
  const located = yield* Effect.option(locateStore(url))
  const diagnose = Option.isSome(located) ? located.value.scheme.diagnose : undefined
  return Option.isNone(located) || diagnose === undefined
    ? [yield* opened(url)]
    : yield* diagnose(located.value.location)
})

/** For stores without their own checks: opens the store and reads from it. */
const opened = (url: string): Effect.Effect<Diagnosis.Diagnosis, never, Effect.Services<ReturnType<typeof open>>> =>
  Effect.match(open(url), {
    onSuccess: () =>
      url === "memory:"
        ? Diagnosis.warn(
            "store",
            "Tasks are kept in memory and are lost when the process exits.",
            "Use a file: --store sqlite:PATH."
          )
        : Diagnosis.ok("store", "The store opens and responds."),
    onFailure: ({ message }) => Diagnosis.fail("store", message, "Fix --store or the configuration.")
  })

const open = (url: string) =>
  TaskStore.use((store) => store.counts).pipe(Effect.provide(storeFromUrl(url)), Effect.scoped)
