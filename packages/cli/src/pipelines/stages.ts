/** The executor and the verifier of a pipeline: those of the stage that a task is in, with the outputs of earlier stages. */
import type { AttemptContext } from "@baton/core/AttemptContext"
import { ExecutionError } from "@baton/core/ExecutionError"
import { Executor, type ExecutorService } from "@baton/core/Executor"
import type { Task } from "@baton/core/Task"
import { VerificationError } from "@baton/core/VerificationError"
import { Verifier, type VerifierService } from "@baton/core/Verifier"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Template from "../sources/template.ts"
import type { Pipeline, Stage } from "./Pipeline.ts"

/** The layers of a stage. */
export interface StageLayers<E, R> {
  readonly stage: Stage
  readonly executor: Layer.Layer<Executor, E, R>
  readonly verifier: Layer.Layer<Verifier, E, R>
}

interface Built {
  readonly stage: Stage
  readonly executor: ExecutorService
  readonly verifier: VerifierService
}

/** Executes and verifies each task with the parts of its stage. */
export const layer = <E, R>(
  pipeline: Pipeline,
  stages: ReadonlyArray<StageLayers<E, R>>
): Layer.Layer<Executor | Verifier, E, R> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const built = new Map<string, Built>()
      for (const { executor, stage, verifier } of stages) {
        // Built together, so that they share one client.
        const context = yield* Layer.build(Layer.merge(executor, verifier))
        built.set(stage.queue, {
          stage,
          executor: Context.get(context, Executor),
          verifier: Context.get(context, Verifier)
        })
      }
      const texts = new WeakMap<AttemptContext, string>()
      const of = (task: Task) => built.get(task.queue)
      const rendered = Effect.fnUntraced(function* (stage: Stage, task: Task, context: AttemptContext) {
        if (stage.input._tag === "Sources") return task
        const known = texts.get(context)
        if (known !== undefined) return { ...task, description: known }
        const description = yield* render(pipeline, task, context)
        texts.set(context, description)
        return { ...task, description }
      })
      return Context.make(Executor, {
        execute: Effect.fnUntraced(function* (task, context) {
          const parts = of(task)
          if (parts === undefined) return yield* new ExecutionError({ reason: "Permanent", message: noStage(task) })
          const ready = yield* Effect.mapError(
            rendered(parts.stage, task, context),
            (message) => new ExecutionError({ reason: "Permanent", message })
          )
          return yield* parts.executor.execute(ready, context)
        })
      }).pipe(
        Context.add(Verifier, {
          kind: "effectful",
          kindOf: (task) => {
            const verifier = of(task)?.verifier
            return verifier?.kindOf?.(task) ?? verifier?.kind ?? "effectful"
          },
          verify: Effect.fnUntraced(function* (task, execution, context) {
            const parts = of(task)
            if (parts === undefined)
              return yield* new VerificationError({ reason: "Permanent", message: noStage(task) })
            const ready = yield* Effect.mapError(
              rendered(parts.stage, task, context),
              (message) => new VerificationError({ reason: "Permanent", message })
            )
            return yield* parts.verifier.verify(ready, execution, context)
          })
        })
      )
    })
  )

const noStage = ({ queue }: Task): string => `The pipeline has no stage for the queue "${queue}".`

/** Outputs of several tasks, one after the other. */
const separator = "\n\n"

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))

/**
 * The description of a task with the outputs of earlier stages. Its text is that of the stage's template, so that outputs
 * and fields of records are never read as templates themselves.
 */
const render = Effect.fnUntraced(function* (
  { stages }: Pipeline,
  task: Task,
  context: AttemptContext
): Effect.fn.Return<string, string> {
  const template = yield* Effect.fromResult(Template.parse(task.description))
  const dependencies = yield* context.dependencies
  const fields: Record<string, Schema.Json> = { ...task.metadata }
  for (const name of Template.names(template)) {
    const [head = name, ...path] = name.split(".")
    const stage = stages.find((stage) => stage.name === head)
    const outputs = stage === undefined ? [] : dependencies.filter(({ id }) => id.startsWith(`${stage.queue}/`))
    if (outputs.length === 0) continue
    const texts: Array<string> = []
    for (const { id, output } of outputs) {
      if (output === undefined)
        return yield* Effect.fail(`The output of the task "${id}" was deleted: requeue or add it again.`)
      const text = path.length === 0 ? output : yield* Effect.fromResult(fieldOf(output, path, id))
      texts.push(text)
    }
    fields[name] = texts.join(separator)
  }
  return yield* Effect.fromResult(Template.render(template, fields))
})

/** A field of an output in JSON. */
const fieldOf = (output: string, path: ReadonlyArray<string>, id: string): Result.Result<string, string> => {
  const json = decodeJson(output)
  if (Option.isNone(json)) {
    return Result.fail(`The template uses the field ${path.join(".")} of the output of "${id}", which is not JSON.`)
  }
  const value = Template.at(json.value, path)
  return value === undefined
    ? Result.fail(`The template uses the field ${path.join(".")} of the output of "${id}", which does not have it.`)
    : Result.succeed(typeof value === "string" ? value : JSON.stringify(value))
}
