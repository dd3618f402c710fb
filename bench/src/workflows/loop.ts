/** A workflow of many steps, for the measurement of takeovers. */
import { TaskActivity } from "@baton/adapters/workflow"
import { TaskQueue } from "@baton/core"
import { Schema } from "effect"
import { Workflow } from "effect/workflow"

const N = Schema.Struct({ n: Schema.Int })

export const Steps = TaskQueue.make({ name: "steps", payload: N, result: N })

export const Loop = Workflow.make("Loop/1", {
  payload: { n: Schema.Int },
  idempotencyKey: ({ n }) => String(n),
  error: TaskActivity.Failed
})
