/**
 * A task: one unit of work, from the moment it is added until it is completed or given up.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"
import { Usage } from "./Usage.ts"

/** Fields that records of older versions do not have. */
const withDefault = <S extends Schema.Constraint>(value: S["Type"]) =>
  Schema.withDecodingDefaultTypeKey<S>(Effect.succeed(value))

/**
 * Identifies a task within its store. Adding a task with an existing id adds nothing.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskId = Schema.NonEmptyString.pipe(Schema.brand("@baton/core/TaskId"))

/** @since 0.1.0 */
export type TaskId = typeof TaskId.Type

/**
 * The id in the store of a task that is called `id` within its queue: `queue/id`, so that the tasks of two queues can have
 * the same ids. Tasks of the queue `default` keep their names.
 *
 * @category constructors
 * @since 0.1.0
 */
export const idInQueue = (queue: string, id: string): TaskId =>
  TaskId.make(queue === defaultQueue ? id : `${queue}/${id}`)

/**
 * What a task is called within its queue: its id, without the name of the queue.
 *
 * @category getters
 * @since 0.1.0
 */
export const localId = ({ id, queue }: { readonly id: string; readonly queue: string }): string =>
  id.startsWith(`${queue}/`) && id.length > queue.length + 1 ? id.slice(queue.length + 1) : id

/**
 * The status of a task. `failed` is the dead-letter queue: a failed task keeps its feedback and its history until it is
 * requeued or pruned. A task that is `in_review` has an output and waits for a person, without a lease and for any time.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskStatus = Schema.Literals(["pending", "in_progress", "in_review", "completed", "failed", "cancelled"])

/** @since 0.1.0 */
export type TaskStatus = typeof TaskStatus.Type

/**
 * The statuses that a task leaves only on a request: requeue or prune.
 *
 * @category models
 * @since 0.1.0
 */
export const terminalStatuses = ["completed", "failed", "cancelled"] as const satisfies ReadonlyArray<TaskStatus>

/**
 * Whether a task with this status has ended.
 *
 * @category guards
 * @since 0.2.0
 */
export const isTerminal = (status: TaskStatus): boolean => terminalStatuses.some((terminal) => terminal === status)

/**
 * A JSON object that a user attaches to a task. Baton does not change it.
 *
 * @category models
 * @since 0.1.0
 */
export const Metadata = Schema.JsonObject

/** @since 0.1.0 */
export type Metadata = typeof Metadata.Type

/**
 * Names a queue: 1 to 100 characters, without control characters. Every task belongs to one queue, and a run works on the
 * queues that it was given.
 *
 * @category models
 * @since 0.1.0
 */
export const QueueName = Schema.String.check(
  Schema.makeFilter((name) => name.length > 0 && name.length <= 100 && !/\p{C}/u.test(name), {
    expected: "a name of 1 to 100 characters, without control characters"
  })
)

/**
 * The queue of tasks that name none.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultQueue = "default"

/**
 * What tasks share that must not run at the same time, such as a repository, a tenant or a host: 1 to 200 characters,
 * without control characters. At most `maxPerKey` tasks of one queue with the same key are in progress at a time, over all
 * workers, and keys take turns.
 *
 * @category models
 * @since 0.1.0
 */
export const ConcurrencyKey = Schema.String.check(
  Schema.makeFilter((key) => key.length > 0 && key.length <= 200 && !/[\p{Cc}\p{Surrogate}]/u.test(key), {
    expected: "a key of 1 to 200 characters, without control characters"
  })
)

/**
 * One turn of a conversation with a model. `content` is text or blocks such as `{"type": "text", "text": "…"}`. Images and
 * PDFs are blocks with a path, such as `{"type": "image", "path": "photo.png"}` and `{"type": "document", "path": "a.pdf"}`:
 * the executor reads the file when it sends the request.
 *
 * @category models
 * @since 0.1.0
 */
export const Message = Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.Union([Schema.String, Schema.Array(Schema.JsonObject)])
})

/** @since 0.1.0 */
export interface Message extends Schema.Schema.Type<typeof Message> {}

/**
 * Settings of one task, which take the place of those of the run that executes it.
 *
 * @category models
 * @since 0.1.0
 */
export const Overrides = Schema.Struct({
  /** Attempts, the first included. */
  maxAttempts: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  /** The longest execution of one attempt. */
  executionTimeoutMillis: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  /** The delay before each further attempt. */
  retryDelayMillis: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  /** The model, for an executor that has one. */
  model: Schema.optionalKey(Schema.String),
  /** The system prompt, for an executor that has one. */
  system: Schema.optionalKey(Schema.String),
  /** The conversation to send in place of the description, for an executor that has one. */
  messages: Schema.optionalKey(Schema.Array(Message))
})

/** @since 0.1.0 */
export interface Overrides extends Schema.Schema.Type<typeof Overrides> {}

/**
 * A task as a store returns it.
 *
 * @category models
 * @since 0.1.0
 */
export const Task = Schema.Struct({
  id: TaskId,
  queue: QueueName.pipe(withDefault(defaultQueue)),
  /** The prompt. */
  description: Schema.String,
  /** The input of a task of a typed queue; absent when there is none. */
  payload: optionalNullOr(Schema.Json),
  overrides: Overrides.pipe(withDefault({})),
  status: TaskStatus,
  /** The accepted output; absent unless the task is completed. */
  result: optionalNullOr(Schema.String),
  /** Attempts used since the task was added or last requeued; the one under way included. */
  attempts: Schema.Int,
  metadata: Metadata,
  /** Higher is claimed first. */
  priority: Schema.Int,
  /** Not claimed before this time. */
  availableAt: Schema.DateTimeUtcFromString,
  /** Not claimed before all of these are completed. */
  dependsOn: Schema.Array(TaskId),
  /** Not claimed while `maxPerKey` tasks of its queue with this key are in progress; absent when it has none. */
  concurrencyKey: optionalNullOr(ConcurrencyKey),
  /** Why the last attempt failed, which the next attempt gets; absent when there is none. */
  feedback: optionalNullOr(Schema.String),
  /** Whether a verifier accepted the result. A completed task can be unverified only when the run had no verifier. */
  verified: Schema.Boolean,
  /** The number of times the task was requeued or revised. */
  requeues: Schema.Int,
  /** What all attempts together used; absent when nothing was metered. */
  usage: optionalNullOr(Usage),
  createdAt: Schema.DateTimeUtcFromString,
  updatedAt: Schema.DateTimeUtcFromString,
  /** When the attempt under way started. A task in progress without it is claimed and waits for its worker. */
  startedAt: Schema.optionalKey(Schema.DateTimeUtcFromString)
})

/** @since 0.1.0 */
export interface Task extends Schema.Schema.Type<typeof Task> {}

/**
 * A task to be added. Everything except `id` and `description` has a default: the queue `default`, no payload, no metadata,
 * priority 0, available at once, no dependencies, no concurrency key. What identifies the work of a task is its payload, or its description
 * where it has no payload: adding an id again with the same work adds nothing, and with other work is refused.
 *
 * @category models
 * @since 0.1.0
 */
export const NewTask = Schema.Struct({
  id: TaskId,
  queue: Schema.optionalKey(QueueName),
  description: Schema.String,
  payload: Schema.optionalKey(Schema.Json),
  overrides: Schema.optionalKey(Overrides),
  metadata: Schema.optionalKey(Metadata),
  priority: Schema.optionalKey(Schema.Int),
  availableAt: Schema.optionalKey(Schema.DateTimeUtcFromString),
  dependsOn: Schema.optionalKey(Schema.Array(TaskId)),
  concurrencyKey: Schema.optionalKey(ConcurrencyKey)
})

/** @since 0.1.0 */
export interface NewTask extends Schema.Schema.Type<typeof NewTask> {}

/**
 * Makes a `NewTask` from plain strings. Throws on an empty id: use `Schema.decodeUnknownEffect(NewTask)` for input that
 * you do not control.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeNew = (
  options: Omit<NewTask, "id" | "dependsOn"> & { readonly id: string; readonly dependsOn?: ReadonlyArray<string> }
): NewTask => {
  const { dependsOn, id, ...rest } = options
  return {
    ...rest,
    id: TaskId.make(id),
    ...(dependsOn === undefined ? undefined : { dependsOn: dependsOn.map((id) => TaskId.make(id)) })
  }
}
