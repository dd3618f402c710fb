/** The resources of the MCP server: queues and tasks as JSON, and whole results as text. */
import { QueueName } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as McpSchema from "effect/ai/McpSchema"
import * as McpServer from "effect/ai/McpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { TaskNotFound } from "../../ApiError.ts"
import * as Model from "../model.ts"
import * as Operations from "../operations.ts"

const json = { mimeType: "application/json" }

const Progress = Schema.Struct({ queues: Schema.Array(Model.Queue), control: Model.Control })

const encodeProgress = Schema.encodeEffect(Schema.fromJsonString(Progress))
const encodeQueue = Schema.encodeEffect(Schema.fromJsonString(Model.Queue))
const encodeTask = Schema.encodeEffect(Schema.fromJsonString(Model.TaskWithAttempts))

export const layer: Layer.Layer<never, never, TaskStore | McpServer.McpServer> = Layer.unwrap(
  Effect.map(TaskStore, (store) => {
    const operations = Operations.make(store)
    return Layer.mergeAll(
      McpServer.resource({
        uri: "baton://queues",
        name: "queues",
        description: "The queues with their number of tasks per status, and the control state of the store",
        ...json,
        content: Effect.flatMap(operations.overview, encodeProgress)
      }),
      McpServer.resource`baton://queues/${McpSchema.param("queue", QueueName)}`({
        name: "queue",
        description: "A queue with its number of tasks per status, its budget and its pause",
        ...json,
        content: (_, name) =>
          Effect.gen(function* () {
            const { queues } = yield* operations.overview
            const found = queues.find(({ queue }) => queue === name)
            if (found !== undefined) return yield* encodeQueue(found)
            return yield* new TaskNotFound({ message: `There is no queue ${JSON.stringify(name)}.` })
          })
      }),
      McpServer.resource`baton://tasks/${McpSchema.param("id", Schema.NonEmptyString)}`({
        name: "task",
        description: "A task with its attempts. Encode the id: prompts/1 is prompts%2F1",
        ...json,
        content: (_, id) => Effect.flatMap(operations.task(id), encodeTask)
      }),
      McpServer.resource`baton://tasks/${McpSchema.param("id", Schema.NonEmptyString)}/result`({
        name: "result",
        description: "The whole result of a completed task. Encode the id: prompts/1 is prompts%2F1",
        mimeType: "text/plain",
        content: (_, id) => operations.output(id, undefined)
      })
    )
  })
)
