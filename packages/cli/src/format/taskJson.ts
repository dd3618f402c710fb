/**
 * Tasks as JSON: the stable form for other programs.
 *
 * @since 0.1.0
 */
import * as Attempt from "@baton/core/Attempt"
import * as Task from "@baton/core/Task"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/**
 * A task, with its ledger where that was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export const TaskRecord = Schema.Struct({
  ...Task.Task.fields,
  /** Its attempts, the oldest first. */
  history: Schema.optionalKey(Schema.Array(Attempt.Attempt))
})

/** @since 0.1.0 */
export interface TaskRecord extends Schema.Schema.Type<typeof TaskRecord> {}

const encodeAll = Schema.encodeEffect(Schema.Array(TaskRecord))

/** What a store returns always has an encoding; anything else is a bug in the store. */
const texts = (tasks: ReadonlyArray<TaskRecord>) =>
  // A codec per task that also makes the text takes half as long again.
  Effect.map(Effect.orDie(encodeAll(tasks)), (encoded) => encoded.map((task) => JSON.stringify(task)))

/**
 * JSON lines: one task a line.
 *
 * @category streams
 * @since 0.1.0
 */
export const jsonLines = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapArrayEffect(tasks, (page) => Effect.map(texts(page), (lines) => [`${lines.join("\n")}\n`] as const))

/**
 * One JSON array, a task a line: `[]` for none.
 *
 * @category streams
 * @since 0.1.0
 */
export const jsonArray = <E, R>(tasks: Stream.Stream<TaskRecord, E, R>): Stream.Stream<string, E, R> =>
  tasks.pipe(
    Stream.mapAccumArrayEffect(
      () => "[\n",
      (before, page) => Effect.map(texts(page), (lines) => [",\n", [before + lines.join(",\n")]] as const),
      { onHalt: (before) => [before === "[\n" ? "[]\n" : "\n]\n"] }
    )
  )
