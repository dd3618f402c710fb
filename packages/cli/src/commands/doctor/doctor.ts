/**
 * Looks at everything that a run would need, before it is needed.
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import { Executor } from "@baton/core/Executor"
import { Verifier } from "@baton/core/Verifier"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fromConfig, part, type PartName, Project } from "../../settings/Project.ts"
import type { Given } from "../../settings/envFlag.ts"
import { StoreUrl } from "../../settings/storeUrl.ts"
import * as claude from "./claude.ts"
import * as machine from "./machine.ts"
import { program, shell } from "./program.ts"
import { store } from "./store.ts"

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
    { title: "This machine", found: yield* machine.examine },
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
