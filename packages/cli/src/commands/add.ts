/** `baton add` */
import { ConcurrencyKey, defaultQueue, Metadata, type NewTask, TaskId } from "@baton/core/Task"
import { inQueues, TaskStore } from "@baton/core/TaskStore"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as Kind from "../system/Kind.ts"
import { QueueFlag } from "../settings/flags.ts"
import * as options from "../settings/commandFlags.ts"
import { writeLines } from "../view/stdout.ts"
import * as ids from "../sources/ids.ts"
import * as store from "../run/stores.ts"
import { printJson } from "../view/json.ts"
import { printMessage } from "../view/stderr.ts"
import { safe } from "../view/safeText.ts"

const decodeMetadata = Schema.decodeUnknownOption(Schema.fromJsonString(Metadata))

const metadata: Kind.Kind<Metadata> = {
  metavar: "JSON",
  expected: `a JSON object, such as '{"team": "docs"}'`,
  read: (text) => Option.getOrUndefined(decodeMetadata(text))
}

const integer: Kind.Kind<number> = {
  metavar: "N",
  expected: "a whole number",
  read: (text) => (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined)
}

const concurrencyKey: Kind.Kind<string> = {
  metavar: "KEY",
  expected: "text of 1 to 200 characters, without control characters",
  read: (text) => (isConcurrencyKey(text) ? text : undefined)
}

const isConcurrencyKey = Schema.is(ConcurrencyKey)

const Result = Schema.Struct({
  id: TaskId,
  /** False if a task with this id and description already exists. */
  added: Schema.Boolean
})

/** Adds one task. */
export const add = Command.make(
  "add",
  {
    text: Argument.String("TEXT").pipe(Argument.withDescription("The task; - reads it from standard input")),
    id: options.value(
      "id",
      options.idKind,
      "The id (default: made from the content, so that adding the same task again has no effect)"
    ),
    priority: options.value("priority", integer, "Tasks with a higher priority run first (default 0)"),
    metadata: options.value("metadata", metadata, "Data to store with the task"),
    dependsOn: options.values(
      "depends-on",
      options.idKind,
      "Start only after this task has completed; can be repeated"
    ),
    key: options.value(
      "key",
      concurrencyKey,
      "The concurrency key: tasks with the same key do not run at the same time (see --max-per-key)"
    ),
    delay: options.value("delay", Kind.duration(), "Do not start the task before this time has passed"),
    json: options.json
  },
  Effect.fnUntraced(function* ({ dependsOn, delay, key, metadata, priority, ...input }) {
    const description = input.text === "-" ? yield* standardInput : input.text
    if (description.trim() === "") {
      return yield* new CommandFailed({
        message: "The task is empty. Write what it is to do, as in `baton add 'Summarise README.md'`."
      })
    }
    const task: Omit<NewTask, "id"> = {
      description,
      ...(metadata === undefined ? undefined : { metadata }),
      ...(priority === undefined ? undefined : { priority }),
      ...(dependsOn.length === 0 ? undefined : { dependsOn }),
      ...(key === undefined ? undefined : { concurrencyKey: key })
    }
    // The id does not include the start time, because the same delay is a different time on every call.
    const id = input.id ?? TaskId.make(ids.ofContent(task))
    const now = yield* DateTime.now
    const availableAt = delay === undefined ? undefined : { availableAt: DateTime.addDuration(now, delay) }
    const queue = (yield* QueueFlag) ?? defaultQueue
    const { added, different } = yield* TaskStore.use((store) =>
      inQueues(store, [queue]).add([{ ...task, ...availableAt, id }])
    )
    const isNew = added.length > 0
    if (!isNew) {
      yield* printMessage(
        different.length === 0
          ? safe`This task already exists, so nothing was added. To add it again, give it another id with --id.`
          : safe`A task with the id ${id} and the same text already exists with another priority, key, metadata or dependencies. It was not changed. See it with \`baton show ${id}\`, or give the new one another id with --id.`
      )
    }
    if (input.json) return yield* printJson(Result, { id, added: isNew })
    yield* writeLines([id])
  })
).pipe(
  Command.withDescription("Add a task and print its id."),
  Command.withShortDescription("Add a task"),
  Command.withExamples([
    { command: "baton add 'Summarise README.md in three sentences'", description: "Add a task for the next run" },
    { command: "git diff | baton add - --id review --priority 10", description: "Read the text from a pipe" },
    {
      command: "baton add 'Merge both' --depends-on part-1 --depends-on part-2",
      description: "Run the task after two others"
    },
    { command: "baton add 'Check the queue' --delay 8h", description: "Start the task in eight hours at the earliest" }
  ]),
  Command.provide(store.layer)
)

const standardInput = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const text = yield* Stream.mkString(Stream.decodeText(stdio.stdin))
  // The final line break of a pipe is not part of the text.
  return text.replace(/\r?\n$/, "")
})
