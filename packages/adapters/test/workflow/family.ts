/** Workflows that execute others, down to one whose step a test lets end. */
import { TaskActivity } from "@baton/adapters/workflow"
import { TaskQueue } from "@baton/core"
import { Effect, Layer, Schema } from "effect"
import { DurableDeferred, Workflow } from "effect/workflow"

export const Works = TaskQueue.make({
  name: "works",
  payload: Schema.Struct({ name: Schema.String }),
  result: Schema.Struct({ name: Schema.String })
})

const work = (name: string) => Effect.map(TaskActivity.make(Works, { name, payload: { name } }), (done) => done.name)

const define = <const Tag extends string>(tag: Tag) =>
  Workflow.make(tag, {
    payload: { name: Schema.String },
    idempotencyKey: ({ name }) => name,
    success: Schema.String,
    error: Schema.Union([TaskActivity.Failed, Schema.String])
  })

export const Grandchild = define("Grandchild/1")
export const Child = define("Child/1")
/** Its child runs while it works at something else. */
export const Parent = define("Parent/1")
/** Its child runs until the parent is told to fail, which begins it anew. */
export const Waiting = define("Waiting/1")
/** Starts a linked child and a detached one, works at something else, and starts another one to undo that. */
export const Starting = define("Starting/1")

export const Told = DurableDeferred.make("told", { error: Schema.String })

const together = { concurrency: "unbounded" } as const

/** `parentBegins` runs each time that a parent begins or continues. */
export const workflows = (parentBegins: Effect.Effect<void> = Effect.void) =>
  Layer.mergeAll(
    Grandchild.toLayer(({ name }) => work(name)),
    Child.toLayer(({ name }) => Grandchild.execute({ name })),
    Parent.toLayer(({ name }) =>
      Effect.andThen(
        parentBegins,
        Effect.map(Effect.all([Child.execute({ name }), work(`beside ${name}`)], together), String)
      )
    ),
    Waiting.toLayer(({ name }) =>
      Effect.map(Effect.all([Child.execute({ name }), DurableDeferred.await(Told)], together), String)
    ),
    Starting.toLayer(({ name }) =>
      Effect.gen(function* () {
        const undo = Child.execute({ name: `undoing ${name}` }, { discard: true })
        yield* Workflow.withCompensation(Effect.void, () => Effect.asVoid(undo))
        yield* Child.execute({ name: `linked ${name}` }, { discard: true })
        yield* Child.execute({ name: `detached ${name}` }, { discard: true, detached: true })
        return yield* work(`beside ${name}`)
      })
    )
  )
