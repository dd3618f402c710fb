/** Tasks as JSON: the stable form for other programs. */
import * as Attempt from "@baton/core/Attempt"
import * as Task from "@baton/core/Task"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { PlatformError } from "effect/PlatformError"
import type * as Stdio from "effect/Stdio"
import { writeLine } from "./stdout.ts"

/** A task, with its ledger where that was asked for. */
export const TaskRecord = Schema.Struct({
  ...Task.Task.fields,
  /** Its attempts, the oldest first. */
  history: Schema.optionalKey(Schema.Array(Attempt.Attempt))
})

export interface TaskRecord extends Schema.Schema.Type<typeof TaskRecord> {}

const encodeAll = Schema.encodeEffect(Schema.NonEmptyArray(TaskRecord))

/** One line of JSON a task. What a store returns always has an encoding; anything else is a bug in the store. */
const lines = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapArrayEffect(tasks, (page) =>
    // A codec per task that also makes the text takes half as long again.
    Effect.map(Effect.orDie(encodeAll(page)), (encoded) => Arr.map(encoded, (task) => JSON.stringify(task)))
  )

/** JSON lines: one task a line. */
export const jsonLines = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  Stream.map(lines(tasks), (line) => `${line}\n`)

/** One JSON array, a task a line: `[]` for none. */
export const jsonArray = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapAccumArray(
    lines(tasks),
    () => "[\n",
    (before, page) => [",\n", page.map((line, index) => (index === 0 ? before : ",\n") + line)],
    { onHalt: (before) => [before === "[\n" ? "[]\n" : "\n]\n"] }
  )

/** One object on one line, in the encoding of its schema. */
export const printJson = <A, I>(
  schema: Schema.Codec<A, I>,
  value: A
): Effect.Effect<void, PlatformError, Stdio.Stdio> =>
  Schema.encodeEffect(Schema.fromJsonString(schema))(value).pipe(
    // A command builds its result itself: one that does not fit its schema is a bug.
    Effect.orDie,
    Effect.flatMap(writeLine)
  )
