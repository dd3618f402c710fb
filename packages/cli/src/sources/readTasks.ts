/** Reads the tasks of one source. */
import { type NewTask, TaskId } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Draft from "./draft.ts"
import * as Entry from "./Entry.ts"
import * as ids from "./ids.ts"
import type { Format } from "./Format.ts"
import * as csv from "./formats/csv.ts"
import * as json from "./formats/json.ts"
import * as markdown from "./formats/markdown.ts"
import * as yaml from "./formats/yaml.ts"
import * as SourceError from "./SourceError.ts"
import * as Source from "./Source.ts"
import * as Template from "./template.ts"
import { existsSync } from "node:fs"

/** How sources are read. */
export interface ReadOptions {
  /** Renders each description from the fields of its record. */
  readonly template?: string | undefined
  /** Overrides the format for the file's extension. */
  readonly format?: Format | undefined
  /** The fields of records that the user chose for fields of the task. */
  readonly columns?: ReadonlyMap<Entry.TaskField, string> | undefined
  /** The character between the fields of a table; by default, it is found in the header row. */
  readonly delimiter?: string | undefined
  /** The names of the fields that identify a record, separated by commas. */
  readonly idFrom?: string | undefined
}

/** The options, with the parsed template. */
export interface Reading extends Omit<ReadOptions, "template" | "format" | "idFrom"> {
  readonly idFrom?: ReadonlyArray<string> | undefined
  readonly template?: Template.Template | undefined
}

/** A task and the line where it starts. */
export interface SourceTask {
  readonly line: number
  readonly task: NewTask
}

/** An entry of a source, read as a task. */
export type TaskEntry =
  | (SourceTask & {
      readonly _tag: "Task"
      /** Whether the source gives the id; otherwise it is made from the content. */
      readonly named: boolean
    })
  | {
      readonly _tag: "Finished"
      readonly line: number
      readonly id: string | undefined
      readonly status: "completed" | "cancelled"
    }
  | { readonly _tag: "Problem"; readonly line: number; readonly message: string }

/**
 * The unfinished tasks of a source, in order. Fails after the last task if the source has problems, or earlier if it cannot
 * be read.
 */
export const readTasks = (
  argument: string,
  options: ReadOptions = {}
): Stream.Stream<SourceTask, SourceError.SourceError, FileSystem.FileSystem | Stdio.Stdio> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const reading = yield* parseOptions(options)
      const source = yield* Source.open(argument, options)
      const problems = new SourceError.ProblemList()
      return readEntries(source, reading).pipe(
        Stream.mapAccum(
          () => problems,
          (problems, entry): readonly [SourceError.ProblemList, ReadonlyArray<SourceTask>] => {
            if (entry._tag === "Problem") problems.add(source.name, entry.line, entry.message)
            return [problems, entry._tag === "Task" ? [{ line: entry.line, task: entry.task }] : []]
          }
        ),
        Stream.concat(Stream.fromEffectDrain(problems.check))
      )
    })
  )

/** Parses the template. */
export const parseOptions = ({
  columns,
  delimiter,
  idFrom: names,
  template
}: ReadOptions): Effect.Effect<Reading, SourceError.SourceError> => {
  const idFrom = names?.split(",").map((name) => name.trim())
  return template === undefined
    ? Effect.succeed({ columns, delimiter, idFrom })
    : Effect.mapBoth(Effect.fromResult(Template.parse(template)), {
        onFailure: (message) => SourceError.make("--template", null, message),
        onSuccess: (template) => ({ columns, delimiter, idFrom, template })
      })
}

/** All entries of an open source. Ids made from content are the same every time the source is read. */
export const readEntries = (
  source: Source.Source,
  reading: Reading
): Stream.Stream<TaskEntry, SourceError.SourceError, FileSystem.FileSystem> =>
  Stream.mapAccum(
    readFormat(source, reading),
    () => new ids.FingerprintTable(),
    (occurrences, entry) => [occurrences, [toTask(entry, draftOptions(source, reading), occurrences)]]
  )

const draftOptions = ({ format }: Source.Source, reading: Reading): Draft.DraftOptions => ({
  ...reading,
  fileProblem,
  isTable: format === "csv" || format === "tsv"
})

/** Paths are relative to the working directory, as everywhere. */
const fileProblem = (path: string): string | undefined => {
  if (!/\.(?:png|jpe?g|gif|webp|pdf)$/i.test(path)) {
    return `the file "${path}" is not an image (png, jpg, gif, webp) or a PDF`
  }
  return existsSync(path) ? undefined : `the file "${path}" does not exist in ${process.cwd()}`
}

const readFormat = (source: Source.Source, reading: Reading) => {
  const { delimiter } = reading
  const checkColumns = (columns: ReadonlyArray<string>) => Draft.checkColumns(columns, draftOptions(source, reading))
  switch (source.format) {
    case "jsonl":
      return json.readLines(source)
    case "json":
      return json.readDocument(source)
    case "csv":
      return csv.read(source, { delimiter, checkColumns })
    case "tsv":
      return csv.read(source, { delimiter: delimiter ?? "\t", checkColumns })
    case "yaml":
      return yaml.read(source)
    case "md":
      return markdown.read(source)
    case "txt":
      return textLines(source)
  }
}

/** A task from each nonblank line. */
const textLines = (source: Source.Source) =>
  Source.lines(source).pipe(
    Stream.filter(({ text }) => text.trim() !== ""),
    Stream.map(({ number, text }) => Entry.described(number, text.trim()))
  )

const toTask = (entry: Entry.Entry, options: Draft.DraftOptions, occurrences: ids.FingerprintTable): TaskEntry => {
  const { line } = entry
  if (entry._tag === "Problem") return entry
  if (entry._tag === "Done") return { _tag: "Finished", line, id: undefined, status: "completed" }
  const draft = Draft.fromFields(entry.fields, options)
  if (Result.isFailure(draft)) return { _tag: "Problem", line, message: draft.failure }
  const { finished, id, task } = draft.success
  if (finished !== undefined) return { _tag: "Finished", line, id, status: finished }
  if (id !== undefined) return { _tag: "Task", line, named: true, task: { ...task, id: TaskId.make(id) } }
  const content = ids.ofContent(task)
  return {
    _tag: "Task",
    line,
    named: false,
    task: { ...task, id: TaskId.make(ids.ofOccurrence(content, occurrences.increment(content))) }
  }
}
