/** Tasks as JSON, the stable format for other programs. */
import * as Attempt from "@baton/core/Attempt"
import * as Task from "@baton/core/Task"
import { AttemptProgress } from "@baton/core/AttemptProgress"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { PlatformError } from "effect/PlatformError"
import type * as Stdio from "effect/Stdio"
import { writeLines } from "./stdout.ts"

/** A task, with its attempts if requested. */
export const TaskWithHistory = Schema.Struct({
  ...Task.Task.fields,
  /** The attempts, the oldest first. */
  history: Schema.optionalKey(Schema.Array(Attempt.Attempt)),
  /** What the attempt under way has reported. */
  progress: Schema.optionalKey(AttemptProgress),
  /** In an export: the fields of a result that is a JSON object. */
  fields: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})

export interface TaskWithHistory extends Schema.Schema.Type<typeof TaskWithHistory> {}

const encodeAll = Schema.encodeEffect(Schema.NonEmptyArray(TaskWithHistory))

/** One line of JSON per task. A task that cannot be encoded is a bug in the store. */
const lines = <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapArrayEffect(tasks, (page) =>
    // Encoding a page and then stringifying is faster: a codec per task that returns text takes 50 % longer.
    Effect.map(Effect.orDie(encodeAll(page)), (encoded) => Arr.map(encoded, (task) => JSON.stringify(task)))
  )

/** JSON lines: one task per line. */
export const jsonLines = <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>): Stream.Stream<string, E, R> =>
  Stream.map(lines(tasks), (line) => `${line}\n`)

/** A JSON array with one task per line; `[]` without tasks. */
export const jsonArray = <E, R>(tasks: Stream.Stream<TaskWithHistory, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapAccumArray(
    lines(tasks),
    () => "[\n",
    (before, page) => [",\n", page.map((line, index) => (index === 0 ? before : ",\n") + line)],
    { onHalt: (before) => [before === "[\n" ? "[]\n" : "\n]\n"] }
  )

/** Prints an encoded object on one line. */
export const printJson = <A, I>(
  schema: Schema.Codec<A, I>,
  value: A
): Effect.Effect<void, PlatformError, Stdio.Stdio> =>
  Schema.encodeEffect(Schema.fromJsonString(schema))(value).pipe(
    // A result that does not match its schema is a bug in the command.
    Effect.orDie,
    Effect.flatMap((line) => writeLines([line]))
  )
