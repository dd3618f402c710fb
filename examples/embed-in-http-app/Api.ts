/** The HTTP API: add a task, get a task, count the tasks by status. */
import { Task, TaskStore } from "@baton/core"
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

export class TaskNotFound extends Schema.TaggedError<TaskNotFound>()(
  "TaskNotFound",
  { id: Task.TaskId },
  { httpApiStatus: 404 }
) {}

export class Tasks extends HttpApiGroup.make("tasks")
  .add(
    HttpApiEndpoint.post("add", "/", {
      payload: Schema.Struct({ id: Task.TaskId, description: Schema.NonEmptyString }),
      success: Schema.Struct({ id: Task.TaskId, isNew: Schema.Boolean })
    }),
    HttpApiEndpoint.get("get", "/:id", { params: { id: Task.TaskId }, success: Task.Task, error: TaskNotFound }),
    HttpApiEndpoint.get("counts", "/", { success: TaskStore.Counts })
  )
  .prefix("/tasks") {}

export class Api extends HttpApi.make("tasks-api").add(Tasks) {}
