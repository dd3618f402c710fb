/**
 * `baton add`
 *
 * @since 0.1.0
 */
import { Metadata, type NewTask, TaskId } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as Kind from "../settings/Kind.ts"
import * as ownFlag from "../settings/ownFlag.ts"
import { idKind, json } from "../settings/taskFlags.ts"
import { writeLine } from "../view/stdout.ts"
import * as ids from "../sources/ids.ts"
import * as store from "../run/stores.ts"
import { printJson } from "../view/json.ts"

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

const Result = Schema.Struct({
  id: TaskId,
  /** False when a task with this id and description was there before. */
  added: Schema.Boolean
})

/**
 * Adds one task.
 *
 * @category commands
 * @since 0.1.0
 */
export const add = Command.make(
  "add",
  {
    text: Argument.String("TEXT").pipe(Argument.withDescription("What is to be done; - reads it from standard input")),
    id: ownFlag.value("id", idKind, "Its id (default: made from what it says, so that adding it again adds nothing)"),
    priority: ownFlag.value("priority", integer, "Higher runs first (default 0)"),
    metadata: ownFlag.value("metadata", metadata, "What goes with it"),
    dependsOn: ownFlag.values("depends-on", idKind, "Wait until this task is completed; can be repeated"),
    delay: ownFlag.value("delay", Kind.duration(), "Wait so long before it starts"),
    json
  },
  Effect.fnUntraced(function* ({ dependsOn, delay, metadata, priority, ...input }) {
    const description = input.text === "-" ? yield* standardInput : input.text
    if (description.trim() === "") {
      return yield* new CommandFailed({
        message: "There is no text to add: say what is to be done, as in `baton add 'Summarise README.md'`."
      })
    }
    const task: Omit<NewTask, "id"> = {
      description,
      ...(metadata === undefined ? undefined : { metadata }),
      ...(priority === undefined ? undefined : { priority }),
      ...(dependsOn.length === 0 ? undefined : { dependsOn })
    }
    // When it starts is left out of the id: the same delay is another time a moment later.
    const id = input.id ?? TaskId.make(ids.ofContent(task))
    const now = yield* DateTime.now
    const availableAt = delay === undefined ? undefined : { availableAt: DateTime.addDuration(now, delay) }
    const { added } = yield* TaskStore.use((store) => store.add([{ ...task, ...availableAt, id }]))
    const isNew = added.length > 0
    if (!isNew) {
      yield* Console.error(
        "This task is there already, so nothing was added: --id NAME adds it once more under another id."
      )
    }
    if (input.json) return yield* printJson(Result, { id, added: isNew })
    yield* writeLine(id)
  })
).pipe(
  Command.withDescription("Add one task, and print its id."),
  Command.withShortDescription("Add a task"),
  Command.withExamples([
    { command: "baton add 'Summarise README.md in three sentences'", description: "A task for the next run" },
    { command: "git diff | baton add - --id review --priority 10", description: "Its text from a pipe" },
    { command: "baton add 'Merge both' --depends-on part-1 --depends-on part-2", description: "After two others" },
    { command: "baton add 'Check the queue' --delay 8h", description: "Not before eight hours from now" }
  ]),
  Command.provide(store.layer)
)

const standardInput = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const text = yield* Stream.mkString(Stream.decodeText(stdio.stdin))
  // The line break that a shell's pipe ends with is not part of the text.
  return text.replace(/\r?\n$/, "")
})
