import type * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { BatchRecord } from "@baton/core/BatchJournal"
import * as Budget from "@baton/core/Budget"
import * as QueuePause from "@baton/core/QueuePause"
import type { TaskId } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import * as JsonScanner from "../../internal/JsonScanner.ts"
import { SavedTask, statusOf, toRecord } from "./savedTask.ts"

/** The unchanged texts of an object's fields, in their order. */
export type Fields = ReadonlyMap<string, string>

/** A task in a file. */
export interface Entry {
  readonly record: TaskRecord
  readonly text: string
  readonly fields: Fields
}

/** Settings of the whole store, in the field `baton` of the document. Defaults are omitted. */
const SavedSettings = Schema.Struct({
  paused: Schema.optional(Schema.Boolean),
  tokenFloor: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  budgets: Schema.optional(Schema.Array(Budget.Budget)),
  pauses: Schema.optional(Schema.Array(QueuePause.QueuePause)),
  batches: Schema.optional(Schema.Array(BatchRecord))
})

/** Settings of the whole store. */
export interface Settings {
  readonly paused: boolean
  /** The greatest lease token of the tasks that were deleted. */
  readonly tokenFloor: number
  readonly budgets: ReadonlyArray<Budget.Budget>
  readonly pauses: ReadonlyArray<QueuePause.QueuePause>
  readonly batches: ReadonlyArray<BatchRecord>
}

const readSettings = ({
  batches = [],
  budgets = [],
  paused = false,
  pauses = [],
  tokenFloor = 0
}: typeof SavedSettings.Type): Settings => ({
  paused,
  tokenFloor,
  budgets,
  pauses,
  batches
})

/** The settings as written: defaults are omitted. */
export const savedSettings = ({
  batches,
  budgets,
  paused,
  pauses,
  tokenFloor
}: Settings): typeof SavedSettings.Encoded => ({
  ...(paused ? { paused } : undefined),
  ...(tokenFloor > 0 ? { tokenFloor } : undefined),
  ...(budgets.length > 0 ? { budgets: encodeBudgets(budgets) } : undefined),
  ...(pauses.length > 0 ? { pauses: encodePauses(pauses) } : undefined),
  ...(batches.length > 0 ? { batches } : undefined)
})

const encodeBudgets = Schema.encodeSync(Schema.Array(Budget.Budget))

const encodePauses = Schema.encodeSync(Schema.Array(QueuePause.QueuePause))

/** The contents of a file. */
export interface Document {
  readonly fields: Fields
  /** The text after the last brace. */
  readonly ending: string
  /** Whether the file contains only ASCII, as Python writes it. Then it is also written so. */
  readonly isAscii: boolean
  readonly settings: Settings
  readonly entries: ReadonlyArray<Entry>
}

/** The contents of a file that does not exist. */
const empty: Document = { fields: new Map(), ending: "", isAscii: true, settings: readSettings({}), entries: [] }

/** Reads the text of a file that was last written at `writtenAt`. The error is the position and the problem. */
export const read = (text: string, writtenAt: DateTime.Utc): Result.Result<Document, string> =>
  text.trim() === ""
    ? Result.succeed(empty)
    : Result.mapError(
        Result.flatMap(JsonScanner.scan(text, scanTasks), (scanned) => decode(text, scanned, writtenAt)),
        ({ offset, problem }) => `${position(text, offset)}: ${problem}`
      )

const position = (text: string, offset: number): string => {
  const { column, line } = JsonScanner.position(text, offset)
  return `${line}:${column}`
}

interface Scanned {
  readonly root: JsonScanner.ObjectSpan
  readonly tasks: ReadonlyArray<JsonScanner.ObjectSpan>
}

const scanTasks = (scanner: JsonScanner.JsonScanner): Scanned => {
  let tasks: ReadonlyArray<JsonScanner.ObjectSpan> = []
  if (scanner.next() !== "{") scanner.expected('an object that contains "tasks"')
  const root = scanner.object((name) => {
    if (name !== "tasks") return scanner.value()
    const found: Array<JsonScanner.ObjectSpan> = []
    if (scanner.next() !== "[") scanner.expected('a list as "tasks"')
    const list = scanner.list(() => {
      if (scanner.next() !== "{") scanner.expected("a task, which is an object")
      found.push(scanner.object(() => scanner.value()))
    })
    tasks = found
    return list
  })
  return { root, tasks }
}

const Root = Schema.Struct({ baton: Schema.optional(SavedSettings) })

const decode = (
  text: string,
  { root, tasks }: Scanned,
  writtenAt: DateTime.Utc
): Result.Result<Document, JsonScanner.JsonFault> => {
  const whole = decodeRoot(text, root, "")
  if (Result.isFailure(whole)) return Result.fail(whole.failure)
  const found = new Map<TaskId, { readonly task: SavedTask; readonly span: JsonScanner.ObjectSpan }>()
  for (const [index, span] of tasks.entries()) {
    const decoded = decodeTask(text, span, `tasks[${index}]`)
    if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
    const task = decoded.success
    const other = found.get(task.id)
    if (other !== undefined) {
      const first = position(text, startOf(other.span, "id"))
      return fault(span, "id", `the id ${JSON.stringify(task.id)} is already used at ${first}`)
    }
    found.set(task.id, { task, span })
  }
  for (const { span, task } of found.values()) {
    // Where `waitsFor` is written, the other dependencies may have been deleted.
    const open = task.baton?.waitsFor === undefined ? task.baton?.dependsOn : undefined
    const unknown = open?.find((id) => !found.has(id))
    if (unknown !== undefined) {
      return fault(span, "baton", `the task depends on ${JSON.stringify(unknown)}, which is not in the file`)
    }
  }
  const isCompleted = (id: TaskId) => {
    const dependency = found.get(id)
    return dependency !== undefined && statusOf(dependency.task) === "completed"
  }
  return Result.succeed({
    fields: fieldsOf(text, root),
    ending: text.slice(root.end),
    isAscii: /^[\0-\x7f]*$/.test(text),
    settings: readSettings(whole.success.baton ?? {}),
    entries: Array.from(found.values(), ({ span, task }) => ({
      record: toRecord(task, { writtenAt, isCompleted }),
      text: text.slice(span.start, span.end),
      fields: fieldsOf(text, span)
    }))
  })
}

const fieldsOf = (text: string, { fields }: JsonScanner.ObjectSpan): Fields =>
  new Map(Array.from(fields, ([name, { end, start }]) => [name, text.slice(start, end)]))

const startOf = (object: JsonScanner.ObjectSpan, field: string): number =>
  object.fields.get(field)?.start ?? object.start

const fault = (object: JsonScanner.ObjectSpan, field: string, problem: string) =>
  Result.fail(new JsonScanner.JsonFault(startOf(object, field), problem))

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes the fields of an object that a schema knows, and ignores the others. */
const decoder = <S extends Schema.Codec<unknown, unknown> & { readonly fields: object }>(schema: S) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  const names = Object.keys(schema.fields)
  return (
    text: string,
    object: JsonScanner.ObjectSpan,
    path: string
  ): Result.Result<S["Type"], JsonScanner.JsonFault> => {
    const known = names.flatMap((name) => {
      const span = object.fields.get(name)
      return span === undefined ? [] : [`${JSON.stringify(name)}:${text.slice(span.start, span.end)}`]
    })
    return Result.mapError(decode(`{${known.join(",")}}`), ({ issue }) => {
      const [first] = issuesOf(issue).issues
      const [field, ...inner] = first?.path ?? []
      const place = [field, ...inner].map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
      const expected = (first?.message ?? "").replace(/^[A-Z]/, (letter) => letter.toLowerCase())
      return new JsonScanner.JsonFault(
        startOf(object, String(field)),
        `${(path + place.join("")).replace(/^\./, "")}: ${expected.replace(" | undefined", "")}`
      )
    })
  }
}

const decodeTask = decoder(SavedTask)
const decodeRoot = decoder(Root)
