/** Turns a record into the fields of a task. */
import * as Task from "@baton/core/Task"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Kind from "../system/Kind.ts"
import { isJsonObject, show, type TaskField } from "./Entry.ts"
import * as jsonText from "./jsonText.ts"
import * as Messages from "./messages.ts"
import * as Template from "./template.ts"

/** A task before its id is made; `id` is the one given in the source, if any. */
export interface Draft {
  readonly id: string | undefined
  readonly task: Omit<Task.NewTask, "id">
  /** Set for a saved task that must not run again. */
  readonly finished: "completed" | "cancelled" | undefined
}

/** How records become tasks. */
export interface DraftOptions {
  /** Renders the description. */
  readonly template?: Template.Template | undefined
  /** The names of a record's fields for fields of the task. Without a name here, they have the same name. */
  readonly columns?: ReadonlyMap<TaskField, string> | undefined
  /** The names of the fields whose values are the id. */
  readonly idFrom?: ReadonlyArray<string> | undefined
  /** Describes why a file that a record names cannot be used; undefined if it can. */
  readonly fileProblem?: ((path: string) => string | undefined) | undefined
  /** Whether records are rows of a table, whose column names people write in any case. */
  readonly isTable?: boolean | undefined
}

/**
 * Reads a record's fields, or fails with a description of the problem.
 *
 * `id`, `description` (or `prompt`), `metadata`, `priority`, `availableAt`, `dependsOn` and `concurrencyKey` are fields of the
 * task, and `max_attempts`, `timeout`, `model`, `system` and `messages` are its overrides. All other fields are added to the metadata. A template
 * renders the description; the fields that it uses are data, never overrides, and remain in the metadata. In a table, a
 * priority that is not a number is data, unless the user chose its column.
 *
 * A record with an id, a status and a number of attempts is a task saved by Baton or by the lab's orchestrator. Its
 * progress is not imported, but a completed or cancelled task is marked as `finished`.
 */
export const fromFields = (record: Schema.JsonObject, options: DraftOptions = {}): Result.Result<Draft, string> => {
  const fields = unpack(record)
  const names = namesIn(Object.keys(fields), options)
  const priorityName = isData(fields, names.priority, options) ? undefined : names.priority
  const conversation = Messages.read(isOverride("messages", options.template) ? fields["messages"] : undefined, options)
  if (Result.isFailure(conversation)) return Result.fail(conversation.failure)
  const { messages } = conversation.success
  const own = Result.all({
    id: options.idFrom === undefined ? readId(valueOf(fields, names.id)) : joinedId(fields, options.idFrom),
    description: readDescription(fields, names.description, options.template, conversation.success),
    metadata: readMetadata(valueOf(fields, names.metadata)),
    priority: readPriority(valueOf(fields, priorityName)),
    availableAt: readAvailableAt(valueOf(fields, names.availableAt)),
    dependsOn: readDependsOn(valueOf(fields, names.dependsOn)),
    concurrencyKey: readConcurrencyKey(valueOf(fields, names.concurrencyKey)),
    overrides: Result.map(readOverrides(fields, options.template), (overrides) => ({
      ...conversation.success.system,
      ...overrides,
      ...(messages === undefined ? undefined : { messages })
    }))
  })
  if (Result.isFailure(own)) return Result.fail(own.failure)
  const { availableAt, concurrencyKey, dependsOn, description, id, overrides, priority } = own.success
  const metadata = withOtherFields(own.success.metadata, fields, {
    names: { ...names, priority: priorityName },
    description,
    template: options.template,
    hasMessages: messages !== undefined
  })
  if (!isWithin(metadata, maxDepth)) return Result.fail(`the fields are nested deeper than ${maxDepth} levels`)
  return Result.succeed({
    id,
    task: {
      description,
      ...(Object.keys(metadata).length === 0 ? undefined : { metadata }),
      ...(priority === undefined ? undefined : { priority }),
      ...(availableAt === undefined ? undefined : { availableAt }),
      ...(dependsOn.length === 0 ? undefined : { dependsOn }),
      ...(concurrencyKey === undefined ? undefined : { concurrencyKey }),
      ...(Object.keys(overrides).length === 0 ? undefined : { overrides })
    },
    finished: isSaved(fields) ? finishedStatus(fields["status"]) : undefined
  })
}

/** Describes which column is missing if the rows of a table cannot become tasks. */
export const checkColumns = (columns: ReadonlyArray<string>, options: DraftOptions): string | undefined => {
  for (const [field, name] of options.columns ?? []) {
    if (!columns.includes(name)) {
      return `--column ${field}=${name} names a column that does not exist; the columns are ${Template.list(columns)}`
    }
  }
  const missing = options.idFrom?.find((name) => !columns.includes(name))
  if (missing !== undefined) {
    return `--id-from names the column "${missing}", which does not exist; the columns are ${Template.list(columns)}`
  }
  if (options.template !== undefined) return Template.missingColumn(options.template, columns)
  if (namesIn(columns, options).description !== undefined || columns.includes("messages")) return undefined
  const separator = separatorOf(columns)
  return separator === undefined
    ? `the column "description" is missing; the columns are ${Template.list(columns)}; ${templateHint(columns)}`
    : `the columns are separated by ${separator.name}; add --delimiter '${separator.flag}'`
}

const separators = [
  { character: ";", name: "semicolons", flag: ";" },
  { character: ",", name: "commas", flag: "," },
  { character: "\t", name: "tabs", flag: "tab" },
  { character: "|", name: "bars", flag: "|" }
]

/** What separates the columns of a header row that was read as a single column. */
const separatorOf = ([header = "", ...others]: ReadonlyArray<string>) =>
  others.length > 0 ? undefined : separators.find(({ character }) => header.includes(character))

type Field = Schema.Json | undefined

type Names = { readonly [Name in TaskField]: string | undefined }

/** The field of a record for each field of a task. */
const namesIn = (names: ReadonlyArray<string>, { columns, isTable }: DraftOptions): Names => {
  const find = (field: TaskField, name: string = field): string | undefined => {
    const chosen = columns?.get(field)
    if (chosen !== undefined) return chosen
    if (names.includes(name)) return name
    const lower = name.toLowerCase()
    return isTable === true ? names.find((other) => other.toLowerCase() === lower) : undefined
  }
  return {
    id: find("id"),
    description: find("description") ?? find("description", "prompt"),
    metadata: find("metadata"),
    priority: find("priority"),
    availableAt: find("availableAt"),
    dependsOn: find("dependsOn"),
    concurrencyKey: find("concurrencyKey")
  }
}

const valueOf = (fields: Schema.JsonObject, name: string | undefined): Field =>
  name === undefined || !Object.hasOwn(fields, name) ? undefined : fields[name]

/** Whether a table's column `priority` holds words, such as `high`, instead of the priority of a task. */
const isData = (fields: Schema.JsonObject, name: string | undefined, { columns, isTable }: DraftOptions): boolean =>
  isTable === true && columns?.get("priority") === undefined && Result.isFailure(readPriority(valueOf(fields, name)))

/** The fields that a saved task has in addition to those of a new one. */
const savedFields = new Set([
  "status",
  "result",
  "attempts",
  "overrides",
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

/** The file of a JSON store has fields that the lab does not know in a separate object, `baton`. */
const unpack = (fields: Schema.JsonObject): Schema.JsonObject => {
  const { baton, ...rest } = fields
  if (!isJsonObject(baton) || !isSaved(fields)) return fields
  const { availableAt = null, cancelled, concurrencyKey = null, dependsOn = null, priority = null } = baton
  const { status = null } = rest
  return {
    availableAt,
    concurrencyKey,
    dependsOn,
    priority,
    ...rest,
    status: cancelled === true && status === "failed" ? "cancelled" : status
  }
}

const finishedStatus = (status: Field) => (status === "completed" || status === "cancelled" ? status : undefined)

/** An empty cell of a table counts as absent, as null does. */
const isAbsent = (value: Field): value is undefined | null | "" =>
  value === undefined || value === null || (typeof value === "string" && value.trim() === "")

const none = Result.succeed(undefined)

const readId = (value: Field): Result.Result<string | undefined, string> => {
  if (isAbsent(value)) return none
  if (typeof value === "string") return Result.succeed(value.trim())
  return Number.isSafeInteger(value)
    ? Result.succeed(String(value))
    : Result.fail(`"id" must be text, but is ${show(value)}; put it in double quotes`)
}

/** The values of several fields as an id. */
const joinedId = (fields: Schema.JsonObject, names: ReadonlyArray<string>): Result.Result<string, string> => {
  const values: Array<string> = []
  for (const name of names) {
    const value = valueOf(fields, name)
    if (isAbsent(value)) return Result.fail(`"${name}" is empty, but --id-from makes the id from it`)
    values.push(typeof value === "string" ? value.trim() : JSON.stringify(value))
  }
  return Result.succeed(values.join("/"))
}

const readDescription = (
  fields: Schema.JsonObject,
  name: string | undefined,
  template: Template.Template | undefined,
  conversation: Messages.Conversation
): Result.Result<string, string> => {
  // A rendered description may be empty: the import warns instead of refusing it.
  if (template !== undefined) return Template.render(template, fields)
  const value = valueOf(fields, name)
  if (isAbsent(value) && conversation.lastText !== "") return Result.succeed(conversation.lastText)
  if (value === undefined) {
    const names = Object.keys(fields)
    return Result.fail(
      `the field "description" is missing; the fields are ${Template.list(names)}; ${templateHint(names)}`
    )
  }
  if (isAbsent(value)) return Result.fail(`the ${name ?? "description"} is empty; write what the task is to do`)
  return typeof value === "string"
    ? Result.succeed(value)
    : Result.fail(`"${name}" must be text, but is ${show(value)}; put it in double quotes`)
}

const templateHint = (names: ReadonlyArray<string>) =>
  `add it, or build it from others with --template '… {{${names.find((name) => name.toLowerCase() !== "id") ?? "title"}}} …'`

const readMetadata = (value: Field): Result.Result<Schema.JsonObject, string> => {
  if (isAbsent(value)) return Result.succeed({})
  const object = typeof value === "string" ? Result.getOrElse(jsonText.parse(value), () => value) : value
  return isJsonObject(object)
    ? Result.succeed(object)
    : Result.fail(`"metadata" must be an object, such as {"team": "docs"}, but is ${show(value)}`)
}

/** The metadata, and every field that Baton does not use itself. The text of the description is not repeated. */
const withOtherFields = (
  metadata: Schema.JsonObject,
  fields: Schema.JsonObject,
  options: {
    readonly names: Names
    readonly description: string
    readonly template: Template.Template | undefined
    readonly hasMessages: boolean
  }
): Task.Metadata => {
  const { description, hasMessages, template } = options
  const { description: descriptionName, ...names } = options.names
  const ownNames = new Set<string | undefined>(Object.values(names))
  const saved = isSaved(fields)
  const others = Object.entries(fields).filter(
    ([name, value]) =>
      !ownNames.has(name) &&
      !(isOverride(name, template) && (name !== "messages" || hasMessages)) &&
      !(saved && savedFields.has(name)) &&
      !((name === descriptionName || name === "prompt") && value === description)
  )
  return Object.fromEntries([...others, ...Object.entries(metadata)])
}

/** Real data is not this deep, and the recursion below stays far from the end of the stack. */
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
    : Result.fail(`"priority" must be a whole number (higher runs first), but is ${show(value)}`)
}

const isConcurrencyKey = Schema.is(Task.ConcurrencyKey)

/** A number is a key too, such as the number of a customer. */
const readConcurrencyKey = (value: Field): Result.Result<string | undefined, string> => {
  if (isAbsent(value)) return none
  const key = typeof value === "number" ? String(value) : value
  return isConcurrencyKey(key)
    ? Result.succeed(key)
    : Result.fail(
        `"concurrencyKey" must be text of 1 to 200 characters, without control characters, but is ${show(value)}`
      )
}

const overrideFields = new Set(["max_attempts", "timeout", "model", "system", "messages"])

const isOverride = (name: string, template: Template.Template | undefined): boolean =>
  overrideFields.has(name) && !(template !== undefined && Template.uses(template, name))

const readOverrides = (
  fields: Schema.JsonObject,
  template: Template.Template | undefined
): Result.Result<Task.Overrides, string> => {
  const field = (name: string): Field => (isOverride(name, template) ? fields[name] : undefined)
  const saved = isSaved(fields) ? Option.getOrUndefined(decodeOverrides(fields["overrides"])) : undefined
  return Result.map(
    Result.all({
      maxAttempts: readAs(Kind.count(1), "max_attempts", field("max_attempts")),
      timeout: readAs(Kind.duration(1), "timeout", field("timeout")),
      model: readAs(modelName, "model", field("model")),
      system: readAs(systemPrompt, "system", field("system"))
    }),
    ({ maxAttempts, model, system, timeout }) => ({
      ...saved,
      ...(maxAttempts === undefined ? undefined : { maxAttempts }),
      ...(timeout === undefined ? undefined : { executionTimeoutMillis: Math.ceil(Duration.toMillis(timeout)) }),
      ...(model === undefined ? undefined : { model: model.trim() }),
      ...(system === undefined ? undefined : { system })
    })
  )
}

const decodeOverrides = Schema.decodeUnknownOption(Task.Overrides)

const modelName = Kind.text("MODEL", "the name of a model")
const systemPrompt = Kind.text("TEXT", "text")

/** A value as a flag would take it. In JSON and YAML, numbers may be numbers. */
const readAs = <A>(
  { expected, read }: Kind.Kind<A>,
  name: string,
  value: Field
): Result.Result<A | undefined, string> => {
  if (isAbsent(value)) return none
  const found = typeof value === "string" || typeof value === "number" ? read(String(value)) : undefined
  return found === undefined
    ? Result.fail(`"${name}" must be ${expected}, but is ${show(value)}`)
    : Result.succeed(found)
}

/** A time needs a zone, so that it means the same on every machine; a date alone is midnight in UTC. */
const isoTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/

const readAvailableAt = (value: Field): Result.Result<DateTime.Utc | undefined, string> => {
  if (isAbsent(value)) return none
  const time =
    typeof value === "string" && isoTime.test(value.trim()) ? DateTime.make(value.trim()) : Option.none<DateTime.Utc>()
  return Option.match(time, {
    onNone: () => Result.fail(`"availableAt" must be a time such as 2026-03-01T09:00:00Z, but is ${show(value)}`),
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
    ? Result.fail(`"dependsOn" must be a list of ids, such as ["a", "b"] or "a, b", but is ${show(value)}`)
    : Result.succeed([...new Set(ids)].flatMap((id) => (id === undefined ? [] : [Task.TaskId.make(id)])))
}
