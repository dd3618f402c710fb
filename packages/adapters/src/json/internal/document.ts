import type * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type { TaskId } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import { SavedTask, statusOf, toRecord } from "./savedTask.ts"
import { Fault, type ObjectSpan, position, type Scan, scan } from "./scan.ts"

/** The texts of an object's fields, to the letter and in their order. */
export type Fields = ReadonlyMap<string, string>

/** A task in a file. */
export interface Entry {
  readonly record: TaskRecord
  readonly text: string
  readonly fields: Fields
}

/** What is kept for all tasks together, under `baton` of the whole. What has its default is left out. */
const SavedShared = Schema.Struct({
  paused: Schema.optional(Schema.Boolean),
  tokenFloor: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))
})

/** What is kept for all tasks together. */
export interface Shared {
  readonly paused: boolean
  /** The greatest lease token of the tasks that were removed. */
  readonly tokenFloor: number
}

const readShared = ({ paused = false, tokenFloor = 0 }: typeof SavedShared.Type): Shared => ({ paused, tokenFloor })

/** What a file says. */
export interface Document {
  readonly fields: Fields
  /** What follows the last brace. */
  readonly ending: string
  /** Whether it is all ASCII, as Python writes it; then it stays so. */
  readonly isAscii: boolean
  readonly shared: Shared
  readonly entries: ReadonlyArray<Entry>
}

/** What a file says that is not there. */
const empty: Document = { fields: new Map(), ending: "", isAscii: true, shared: readShared({}), entries: [] }

/** Reads the text of a file that was last written at `writtenAt`; fails with the place of a mistake and what it is. */
export const read = (text: string, writtenAt: DateTime.Utc): Result.Result<Document, string> =>
  text.trim() === ""
    ? Result.succeed(empty)
    : Result.mapError(
        Result.flatMap(scan(text), (scanned) => readScan(text, scanned, writtenAt)),
        ({ offset, problem }) => `${position(text, offset)}: ${problem}`
      )

const Root = Schema.Struct({ baton: Schema.optional(SavedShared) })

const readScan = (text: string, { root, tasks }: Scan, writtenAt: DateTime.Utc): Result.Result<Document, Fault> => {
  const whole = decodeRoot(text, root, "")
  if (Result.isFailure(whole)) return Result.fail(whole.failure)
  const found = new Map<TaskId, { readonly task: SavedTask; readonly span: ObjectSpan }>()
  for (const [index, span] of tasks.entries()) {
    const decoded = decodeTask(text, span, `tasks[${index}]`)
    if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
    const task = decoded.success
    const twin = found.get(task.id)
    if (twin !== undefined) {
      const first = position(text, startOf(twin.span, "id"))
      return fault(span, "id", `the id ${JSON.stringify(task.id)} is used a second time, after ${first}`)
    }
    found.set(task.id, { task, span })
  }
  for (const { span, task } of found.values()) {
    // Where it is written down what a task waits for, the rest may have been deleted.
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
    shared: readShared(whole.success.baton ?? {}),
    entries: Array.from(found.values(), ({ span, task }) => ({
      record: toRecord(task, { writtenAt, isCompleted }),
      text: text.slice(span.start, span.end),
      fields: fieldsOf(text, span)
    }))
  })
}

const fieldsOf = (text: string, { fields }: ObjectSpan): Fields =>
  new Map(Array.from(fields, ([name, { end, start }]) => [name, text.slice(start, end)]))

const startOf = (object: ObjectSpan, field: string): number => object.fields.get(field)?.start ?? object.start

const fault = (object: ObjectSpan, field: string, problem: string) =>
  Result.fail(new Fault(startOf(object, field), problem))

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Decodes the fields of an object that a schema knows; the others can be anything. */
const decoder = <S extends Schema.Codec<unknown, unknown> & { readonly fields: object }>(schema: S) => {
  const decode = Schema.decodeUnknownResult(Schema.fromJsonString(schema))
  const names = Object.keys(schema.fields)
  return (text: string, object: ObjectSpan, path: string): Result.Result<S["Type"], Fault> => {
    const known = names.flatMap((name) => {
      const span = object.fields.get(name)
      return span === undefined ? [] : [`${JSON.stringify(name)}:${text.slice(span.start, span.end)}`]
    })
    return Result.mapError(decode(`{${known.join(",")}}`), ({ issue }) => {
      const [first] = issuesOf(issue).issues
      const [field, ...inner] = first?.path ?? []
      const place = [field, ...inner].map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
      const wanted = (first?.message ?? "").replace(/^[A-Z]/, (letter) => letter.toLowerCase())
      return new Fault(
        startOf(object, String(field)),
        `${(path + place.join("")).replace(/^\./, "")}: ${wanted.replace(" | undefined", "")}`
      )
    })
  }
}

const decodeTask = decoder(SavedTask)
const decodeRoot = decoder(Root)
