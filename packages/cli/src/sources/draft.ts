/**
 * Turns a record into what a task is made of.
 *
 * @since 0.1.0
 */
import * as Task from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { isJsonObject, show } from "./Entry.ts"
import * as jsonText from "./jsonText.ts"
import * as Template from "./template.ts"

/**
 * A task without an id of its own, or one with the id that its author gave it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draft {
  readonly id: string | undefined
  readonly task: Omit<Task.NewTask, "id">
  /** A saved task that is not to be run again. */
  readonly over: "completed" | "cancelled" | undefined
}

/**
 * Reads a record's fields, or says what is wrong with them.
 *
 * `id`, `description` (or `prompt`), `metadata`, `priority`, `availableAt` and `dependsOn` are a task's own; whatever else
 * a record has is added to the metadata. With a template the description is what it renders, and the fields it was rendered
 * from stay in the metadata.
 *
 * A record with an id, a status and a count of attempts is a task that Baton or the lab's orchestrator saved: where it stood
 * is not carried over, except that a completed or cancelled one is `over`.
 *
 * @category converting
 * @since 0.1.0
 */
export const fromFields = (
  record: Schema.JsonObject,
  template: Template.Template | undefined
): Result.Result<Draft, string> => {
  const fields = unpack(record)
  const own = Result.all({
    id: readId(fields["id"]),
    description: readDescription(fields, template),
    metadata: readMetadata(fields["metadata"]),
    priority: readPriority(fields["priority"]),
    availableAt: readAvailableAt(fields["availableAt"]),
    dependsOn: readDependsOn(fields["dependsOn"])
  })
  if (Result.isFailure(own)) return Result.fail(own.failure)
  const { availableAt, dependsOn, description, id, priority } = own.success
  const metadata = withOthers(own.success.metadata, fields, description)
  if (!isWithin(metadata, maxDepth)) return Result.fail(`its fields are nested deeper than ${maxDepth} levels`)
  return Result.succeed({
    id,
    task: {
      description,
      ...(Object.keys(metadata).length === 0 ? undefined : { metadata }),
      ...(priority === undefined ? undefined : { priority }),
      ...(availableAt === undefined ? undefined : { availableAt }),
      ...(dependsOn.length === 0 ? undefined : { dependsOn })
    },
    over: isSaved(fields) ? overStatus(fields["status"]) : undefined
  })
}

/**
 * Says what is missing among a table's columns, if the rows cannot become tasks.
 *
 * @category getters
 * @since 0.1.0
 */
export const checkColumns = (
  columns: ReadonlyArray<string>,
  template: Template.Template | undefined
): string | undefined => {
  if (template !== undefined) return Template.missingColumn(template, columns)
  return columns.includes("description") || columns.includes("prompt")
    ? undefined
    : `there is no column "description" among ${Template.list(columns)}; ${templateHint(columns)}`
}

type Field = Schema.Json | undefined

const ownFields = new Set(["id", "metadata", "priority", "availableAt", "dependsOn"])

/** What a saved task has beyond a new one. */
const savedFields = new Set([
  "status",
  "result",
  "attempts",
  "max_attempts",
  "feedback",
  "verified",
  "requeues",
  "usage",
  "createdAt",
  "updatedAt"
])

const statuses: ReadonlySet<Field> = new Set(Task.TaskStatus.literals)

const isSaved = (fields: Schema.JsonObject): boolean =>
  statuses.has(fields["status"]) && fields["id"] !== undefined && /^\d+$/.test(String(fields["attempts"]))

/** In the file of a JSON store, what the lab has no field for is in an object of its own. */
const unpack = (fields: Schema.JsonObject): Schema.JsonObject => {
  const { baton, ...rest } = fields
  if (!isJsonObject(baton) || !isSaved(fields)) return fields
  const { availableAt = null, cancelled, dependsOn = null, priority = null } = baton
  const { status = null } = rest
  return {
    availableAt,
    dependsOn,
    priority,
    ...rest,
    status: cancelled === true && status === "failed" ? "cancelled" : status
  }
}

const overStatus = (status: Field) => (status === "completed" || status === "cancelled" ? status : undefined)

/** An empty cell of a table says nothing, as does null. */
const isAbsent = (value: Field): value is undefined | null | "" =>
  value === undefined || value === null || (typeof value === "string" && value.trim() === "")

const none = Result.succeed(undefined)

const readId = (value: Field): Result.Result<string | undefined, string> => {
  if (isAbsent(value)) return none
  if (typeof value === "string") return Result.succeed(value.trim())
  return Number.isSafeInteger(value)
    ? Result.succeed(String(value))
    : Result.fail(`"id" must be text, got ${show(value)}; put it in double quotes`)
}

const readDescription = (
  fields: Schema.JsonObject,
  template: Template.Template | undefined
): Result.Result<string, string> => {
  // What the author builds a description from may be empty here and there; that is for them to judge, and to be told of.
  if (template !== undefined) return Template.render(template, fields)
  const name = Object.hasOwn(fields, "description") ? "description" : "prompt"
  const value = fields[name]
  if (value === undefined) {
    const names = Object.keys(fields)
    return Result.fail(`there is no "description" among the fields ${Template.list(names)}; ${templateHint(names)}`)
  }
  if (isAbsent(value)) return Result.fail(`the ${name} is empty; say what is to be done`)
  return typeof value === "string"
    ? Result.succeed(value)
    : Result.fail(`"${name}" must be text, got ${show(value)}; put it in double quotes`)
}

const templateHint = (names: ReadonlyArray<string>) =>
  `add one, or build it from others with --template '… {{${names.find((name) => name !== "id") ?? "title"}}} …'`

const readMetadata = (value: Field): Result.Result<Schema.JsonObject, string> => {
  if (isAbsent(value)) return Result.succeed({})
  const object = typeof value === "string" ? Result.getOrElse(jsonText.parse(value), () => value) : value
  return isJsonObject(object)
    ? Result.succeed(object)
    : Result.fail(`"metadata" must be an object, such as {"team": "docs"}; got ${show(value)}`)
}

/** The metadata with the fields that mean nothing to Baton; a text that became the description is not repeated. */
const withOthers = (metadata: Schema.JsonObject, fields: Schema.JsonObject, description: string): Task.Metadata => {
  const saved = isSaved(fields)
  const others = Object.entries(fields).filter(
    ([name, value]) =>
      !ownFields.has(name) &&
      !(saved && savedFields.has(name)) &&
      !((name === "description" || name === "prompt") && value === description)
  )
  return Object.fromEntries([...others, ...Object.entries(metadata)])
}

/** Deeper than any data that someone means, and far from where walking through it would exhaust the stack. */
const maxDepth = 100

const isWithin = (value: Schema.Json, depth: number): boolean =>
  typeof value !== "object" ||
  value === null ||
  (depth > 0 && Object.values(value).every((child: Schema.Json) => isWithin(child, depth - 1)))

const readPriority = (value: Field): Result.Result<number | undefined, string> => {
  if (isAbsent(value)) return none
  const number = typeof value === "string" && /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : value
  return typeof number === "number" && Number.isSafeInteger(number)
    ? Result.succeed(number)
    : Result.fail(`"priority" must be a whole number (higher runs first), got ${show(value)}`)
}

/** With a zone, so that a list means the same on every machine; a date alone is its midnight in UTC. */
const isoTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/

const readAvailableAt = (value: Field): Result.Result<DateTime.Utc | undefined, string> => {
  if (isAbsent(value)) return none
  const time =
    typeof value === "string" && isoTime.test(value.trim()) ? DateTime.make(value.trim()) : Option.none<DateTime.Utc>()
  return Option.match(time, {
    onNone: () => Result.fail(`"availableAt" must be a time such as 2026-03-01T09:00:00Z, got ${show(value)}`),
    onSome: (at) => Result.succeed(DateTime.toUtc(at))
  })
}

const readDependsOn = (value: Field): Result.Result<ReadonlyArray<Task.TaskId>, string> => {
  if (isAbsent(value)) return Result.succeed([])
  const items = typeof value === "string" ? value.split(/[,;]/).filter((id) => id.trim() !== "") : value
  const ids = Array.isArray(items)
    ? items.map((item: Schema.Json) => Option.getOrUndefined(Result.getSuccess(readId(item))))
    : [undefined]
  return ids.includes(undefined)
    ? Result.fail(`"dependsOn" must be a list of ids, such as ["a", "b"] or "a, b"; got ${show(value)}`)
    : Result.succeed([...new Set(ids)].flatMap((id) => (id === undefined ? [] : [Task.TaskId.make(id)])))
}
