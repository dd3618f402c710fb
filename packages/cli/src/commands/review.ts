/** `baton review` */
import { optionalNullOr } from "@baton/core/OptionalKey"
import { TaskId, TaskStatus } from "@baton/core/Task"
import { type ReviewDecision, TaskStore } from "@baton/core/TaskStore"
import { Decision } from "@baton/core/Verification"
import * as Clock from "effect/Clock"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as store from "../run/stores.ts"
import { ids, json, toggle, value } from "../settings/commandFlags.ts"
import * as Kind from "../system/Kind.ts"
import { CommandFailed, EndedWith, exitCodes } from "../system/CommandFailed.ts"
import { pages } from "@baton/core/TaskPages"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { count } from "../view/quantity.ts"
import { refusal } from "../view/review.ts"
import { safe } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { canvas, writeLine } from "../view/stdout.ts"
import { by, comment, currentUser, reviews } from "./people.ts"
import { failOnUnknown, lookUp } from "./taskIds.ts"

const Result = Schema.Struct({
  decided: Schema.Array(TaskId),
  /** The decisions that changed nothing, with what somebody has decided before. */
  refused: Schema.Array(
    Schema.Struct({ taskId: TaskId, status: optionalNullOr(TaskStatus), decision: optionalNullOr(Decision) })
  )
})

const decide = Effect.fnUntraced(function* (
  input: { readonly ids: ReadonlyArray<TaskId>; readonly by: string | undefined; readonly json: boolean },
  decisionOf: (fields: { readonly taskId: TaskId; readonly by: string }) => ReviewDecision
) {
  const { decide } = yield* reviews
  const { known, unknown } = yield* lookUp(input.ids)
  const by = input.by ?? (yield* currentUser)
  const reply = yield* decide(known.map(({ id }) => decisionOf({ taskId: id, by })))
  if (input.json) yield* printJson(Result, reply)
  else
    yield* Effect.forEach(reply.decided, (id) => writeLine(safe`${id}: ${words[decisionOf({ taskId: id, by })._tag]}.`))
  yield* Effect.forEach(reply.refused, (each) => printMessage(refusal(each)), { discard: true })
  yield* failOnUnknown(unknown)
  if (reply.refused.length > 0) return yield* new EndedWith({ exitCode: exitCodes.error })
})

const words = {
  Approve: "approved",
  Reject: "rejected",
  Edit: "replaced by the edited text",
  Expire: "expired"
} as const

const approve = Command.make(
  "approve",
  { ids: ids({ min: 1, description: "The ids of the tasks" }), by, comment: comment("A note for the ledger"), json },
  Effect.fnUntraced(function* (input) {
    yield* decide(input, (fields) => ({ ...fields, _tag: "Approve", comment: input.comment }))
  })
).pipe(
  Command.withDescription("Approve outputs: they become the results of their tasks."),
  Command.withShortDescription("Approve outputs"),
  Command.withExamples([{ command: "baton review approve packages-12", description: "Approve one output" }]),
  Command.provide(store.layerExisting)
)

const reject = Command.make(
  "reject",
  {
    ids: ids({ min: 1, description: "The ids of the tasks" }),
    comment: comment("The feedback for the next attempt, which gets it as it is"),
    giveUp: toggle("give-up", "Make no further attempt: the task goes to the dead-letter queue"),
    by,
    json
  },
  Effect.fnUntraced(function* (input) {
    const { comment = "", giveUp } = input
    yield* decide(input, (fields) => ({ ...fields, _tag: "Reject", comment, giveUp }))
  })
).pipe(
  Command.validate(({ comment }) =>
    comment === undefined
      ? Effect.fail(
          new CliError.ValidationError({
            message: "A rejection needs a comment, which the next attempt gets. Add --comment TEXT."
          })
        )
      : Effect.void
  ),
  Command.withDescription(
    "Reject outputs. The comment becomes the feedback of the next attempt, which follows whatever --max-attempts says."
  ),
  Command.withShortDescription("Reject outputs with a comment"),
  Command.withExamples([
    {
      command: "baton review reject packages-12 --comment 'Name the licence.'",
      description: "Let the task be done again"
    }
  ]),
  Command.provide(store.layerExisting)
)

const edit = Command.make(
  "edit",
  {
    ids: ids({ min: 1, description: "The id of the task" }),
    file: value("file", Kind.text("FILE", "the path of a file"), "A file with the text that becomes the result"),
    comment: comment("A note for the ledger"),
    by,
    json
  },
  Effect.fnUntraced(function* (input) {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      fs.readFileString(input.file ?? ""),
      () => new CommandFailed({ message: `The file ${input.file} cannot be read.` })
    )
    yield* decide(input, (fields) => ({ ...fields, _tag: "Edit", text, comment: input.comment }))
  })
).pipe(
  Command.validate(({ file, ids }) =>
    file === undefined
      ? Effect.fail(
          new CliError.ValidationError({ message: "There is no text. Add --file FILE with the text of the result." })
        )
      : ids.length > 1
        ? Effect.fail(new CliError.ValidationError({ message: "One text is the result of one task. Name one task." }))
        : Effect.void
  ),
  Command.withDescription(
    "Replace an output: the text of a file becomes the result of the task. The history keeps the output, and who replaced it."
  ),
  Command.withShortDescription("Replace an output"),
  Command.withExamples([
    { command: "baton review edit packages-12 --file better.md", description: "Use your own text as the result" }
  ]),
  Command.provide(store.layerExisting)
)

const expire = Command.make(
  "expire",
  {
    olderThan: value("older-than", Kind.duration(), "Only tasks that have been in review for this time"),
    by,
    json
  },
  Effect.fnUntraced(function* (input) {
    const { decide } = yield* reviews
    const by = input.by ?? (yield* currentUser)
    const latest = (yield* Clock.currentTimeMillis) - Duration.toMillis(input.olderThan ?? Duration.zero)
    const tasks = yield* Stream.runCollect(pages({ status: "in_review" }))
    const late = tasks.filter(({ updatedAt }) => updatedAt.epochMilliseconds <= latest)
    const reply = yield* decide(late.map(({ id }) => ({ _tag: "Expire", taskId: id, by })))
    if (input.json) return yield* printJson(Result, reply)
    yield* writeLine(safe`${count(reply.decided.length, "task")} expired and went to the dead-letter queue.`)
  })
).pipe(
  Command.withDescription("End reviews without a decision: their tasks go to the dead-letter queue."),
  Command.withShortDescription("End reviews without a decision"),
  Command.withExamples([{ command: "baton review expire --older-than 7d", description: "Wait no longer than a week" }]),
  Command.provide(store.layerExisting)
)

/** Decides about outputs in review. */
export const review = Command.make(
  "review",
  { by },
  Effect.fnUntraced(function* (input) {
    const held = yield* reviews
    const { in_review } = yield* (yield* TaskStore).counts
    const command = yield* commandName
    if (in_review === 0) return yield* printMessage(safe`No output waits for review.`)
    const { canPrompt } = yield* TerminalCapabilities
    if (!canPrompt) {
      return yield* new CommandFailed({
        message: `${count(in_review, "output")} ${in_review === 1 ? "waits" : "wait"} for review, but there is no terminal. Use \`${command} review approve ID\`, \`reject ID --comment TEXT\` or \`edit ID --file FILE\`; \`${command} list --status in_review\` lists the ids.`
      })
    }
    const { reviewDesk, sit } = yield* Effect.promise(() => import("../review/review.ts"))
    const { style } = yield* canvas
    const by = input.by ?? (yield* currentUser)
    const { decided, refused } = yield* sit(reviewDesk(held, by), { by, style })
    const late = refused === 0 ? "" : `; ${count(refused, "decision")} came too late`
    yield* printMessage(safe`${count(decided, "output")} decided${late}.`)
  })
).pipe(
  Command.withDescription(
    "Decide about outputs that wait for a person, one at a time, with the keys on the last line of the screen: approve, reject with a comment, edit in $EDITOR, give up, skip, undo. A decision is final once the next one is made."
  ),
  Command.withShortDescription("Decide about outputs that wait for a person"),
  Command.withExamples([
    { command: "baton review", description: "Decide in the terminal, one output at a time" },
    { command: "baton review approve packages-12", description: "Approve one output in a script" }
  ]),
  Command.withSubcommands([approve, reject, edit, expire]),
  Command.provide(store.layerExisting)
)
