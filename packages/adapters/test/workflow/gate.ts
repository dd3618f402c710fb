/** A workflow with a gate, the worker of its queue, and a person who decides. */
import { Review, TaskActivity } from "@baton/adapters/workflow"
import { TaskQueue, TaskStore } from "@baton/core"
import { Effect, Layer, Option, Schema } from "effect"
import { Workflow } from "effect/workflow"

export const Drafts = TaskQueue.make({
  name: "drafts",
  payload: Schema.Struct({ topic: Schema.String }),
  result: Schema.Struct({ text: Schema.String })
})

export const Publish = Workflow.make("Publish/1", {
  payload: { topic: Schema.String },
  idempotencyKey: ({ topic }) => topic,
  success: Schema.String,
  error: TaskActivity.Failed
})

const publish = Publish.toLayer(({ topic }) =>
  Effect.map(Review.gate(Drafts, { name: "draft", payload: { topic } }), ({ text }) => `published: ${text}`)
)

/** Each draft contains the number of its attempt, and the feedback that the attempt was given. */
export const parts = (options: { readonly review: boolean } = { review: true }) =>
  Layer.merge(
    publish,
    Drafts.toLayer(
      ({ topic }, { attempt, previous }) =>
        Effect.succeed({ text: [topic, attempt, ...(previous === undefined ? [] : [previous.feedback])].join(" ") }),
      { onEnd: "log", ...options }
    )
  ).pipe(Layer.provideMerge(Review.layer))

export const taskIdOf = (topic: string) =>
  Effect.map(Publish.executionId({ topic }), (execution) =>
    Drafts.taskId(TaskActivity.stepId(Publish, execution, "draft"))
  )

const taskOf = (topic: string) =>
  Effect.flatMap(taskIdOf(topic), (id) => TaskStore.TaskStore.use((store) => store.get(id)))

/** Waits until the task of the gate is in review, with at least this number of attempts. */
export const inReview = (topic: string, attempts = 1): Effect.Effect<void, unknown, TaskStore.TaskStore> =>
  Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    let seen = yield* store.awaitChange(-1)
    while (true) {
      const task = Option.getOrUndefined(yield* taskOf(topic))
      if (task?.status === "in_review" && task.attempts >= attempts) return
      seen = yield* store.awaitChange(seen)
    }
  })

type Decided =
  | { readonly _tag: "Approve" }
  | { readonly _tag: "Edit"; readonly text: string }
  | { readonly _tag: "Reject"; readonly comment: string; readonly giveUp?: boolean }

export const decide = Effect.fnUntraced(function* (topic: string, decision: Decided) {
  const { reviews } = yield* TaskStore.TaskStore
  const taskId = yield* taskIdOf(topic)
  const { decided } = yield* Effect.flatMap(Effect.fromNullishOr(reviews), (reviews) =>
    reviews.decide([{ ...decision, taskId, by: "ann" }])
  )
  return decided.length
})

export const statusOf = (topic: string) =>
  Effect.map(taskOf(topic), Option.match({ onNone: () => "missing", onSome: ({ status }) => status }))
