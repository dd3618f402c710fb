/** `baton audit` */
import * as Audit from "@baton/core/Audit"
import { optionalNullOr } from "@baton/core/OptionalKey"
import type { Task } from "@baton/core/Task"
import { TaskStore } from "@baton/core/TaskStore"
import { AuditFinding } from "@baton/core/Verification"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as store from "../run/stores.ts"
import { ids, json, value } from "../settings/commandFlags.ts"
import { QueueFlag } from "../settings/flags.ts"
import * as Kind from "../system/Kind.ts"
import { EndedWith, exitCodes } from "../system/CommandFailed.ts"
import { AuditReport, percent, refusal, reportLines } from "../view/audit.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { safe } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { byPage, canvas, writeAll, writeLine } from "../view/stdout.ts"
import { by, comment, currentUser, reviews } from "./people.ts"
import { failOnUnknown, lookUp } from "./taskIds.ts"

const defaultShare = 0.05

const sample = value(
  "sample",
  Kind.percentage,
  `The share of the tasks whose verdicts are audited; the same tasks as with --audit of a run (default ${percent(defaultShare)})`
)

const Result = Schema.Struct({
  id: Schema.String,
  /** Whether the finding is kept. */
  kept: Schema.Boolean,
  /** The finding that the attempt has. */
  audit: optionalNullOr(AuditFinding)
})

/** The last verdict on a task without a finding, or the last one if each has a finding. */
const verdictOf = Effect.fnUntraced(function* (task: Task) {
  const samples = Audit.samplesOf(task, yield* (yield* TaskStore).attempts(task.id))
  return samples.findLast(({ verification }) => verification.audit === undefined) ?? samples.at(-1)
})

const find = Effect.fnUntraced(function* (
  input: {
    readonly ids: ReadonlyArray<Task["id"]>
    readonly by: string | undefined
    readonly comment: string | undefined
    readonly json: boolean
  },
  agrees: boolean
) {
  const { audit } = yield* reviews
  const { known, unknown } = yield* lookUp(input.ids)
  const by = input.by ?? (yield* currentUser)
  const replies = yield* Effect.forEach(
    known,
    Effect.fnUntraced(function* (task) {
      const verdict = yield* verdictOf(task)
      const finding = { taskId: task.id, by, agrees, comment: input.comment }
      const reply = verdict === undefined ? { kept: false } : yield* audit({ ...finding, token: verdict.attempt.token })
      return { id: task.id, ...reply }
    })
  )
  if (input.json) yield* printJson(Schema.Array(Result), replies)
  for (const reply of replies) {
    if (!reply.kept) yield* printMessage(refusal(reply.id, reply))
    else if (!input.json) yield* writeLine(safe`${reply.id}: you ${agrees ? "agree" : "disagree"}.`)
  }
  yield* failOnUnknown(unknown)
  if (replies.some(({ kept }) => !kept)) return yield* new EndedWith({ exitCode: exitCodes.error })
})

const agree = Command.make(
  "agree",
  { ids: ids({ min: 1, description: "The ids of the tasks" }), by, comment: comment("A note for the ledger"), json },
  (input) => find(input, true)
).pipe(
  Command.withDescription("Agree with the last verdict on tasks."),
  Command.withShortDescription("Agree with verdicts"),
  Command.withExamples([{ command: "baton audit agree packages-12", description: "The verdict was right" }]),
  Command.provide(store.layerAllQueues)
)

const disagree = Command.make(
  "disagree",
  {
    ids: ids({ min: 1, description: "The ids of the tasks" }),
    by,
    comment: comment("The error in the verdict"),
    json
  },
  (input) => find(input, false)
).pipe(
  Command.validate(({ comment }) =>
    comment === undefined
      ? Effect.fail(
          new CliError.ValidationError({
            message: "A disagreement needs a comment for the ledger. Add --comment TEXT."
          })
        )
      : Effect.void
  ),
  Command.withDescription("Disagree with the last verdict on tasks. Their statuses and results do not change."),
  Command.withShortDescription("Disagree with verdicts"),
  Command.withExamples([
    { command: "baton audit disagree packages-12 --comment 'No price.'", description: "The verdict was wrong" }
  ]),
  Command.provide(store.layerAllQueues)
)

/** Audits verdicts, and reports how often people disagree with them. */
export const audit = Command.make(
  "audit",
  { sample, by, json },
  Effect.fnUntraced(function* (input) {
    const held = yield* reviews
    const store = yield* TaskStore
    const queue = yield* QueueFlag
    const options = { share: input.sample ?? defaultShare, queue }
    const { canPrompt } = yield* TerminalCapabilities
    const output = yield* canvas
    const isWaiting = ({ all }: Audit.Report) => all.audited < all.sampled
    if (canPrompt && !input.json && isWaiting(yield* Audit.read(store, options))) {
      const { auditDesk } = yield* Effect.promise(() => import("../review/audit.ts"))
      const { sit } = yield* Effect.promise(() => import("../review/review.ts"))
      const by = input.by ?? (yield* currentUser)
      yield* sit(auditDesk(store, held, { ...options, by }), { by, style: output.style })
    }
    const report = { ...(yield* Audit.read(store, options)), share: options.share, queue: queue ?? null }
    if (input.json) return yield* printJson(AuditReport, report)
    if (report.all.sampled === 0) {
      return yield* printMessage(
        safe`The sample of ${percent(options.share)} has no verdict. Audit a larger one with \`${yield* commandName} audit --sample 100%\`.`
      )
    }
    yield* writeAll(byPage(Stream.map(reportLines(report, output), (line) => `${line}\n`)))
  })
).pipe(
  Command.withDescription(
    "Look at a sample of verdicts, one at a time, and agree or disagree: with outputs that were accepted, and with some that were rejected. Then print how often each judge was wrong, the same models by the same criteria, with 95% intervals. Without a terminal, print only that. Nothing waits for an audit, and a finding changes no task."
  ),
  Command.withShortDescription("Audit a sample of verdicts, and report how often judges are wrong"),
  Command.withExamples([
    { command: "baton audit", description: "Audit 5% of the tasks in the terminal" },
    { command: "baton audit --sample 20% --json", description: "Print the report of a larger sample as JSON" },
    { command: "baton audit disagree packages-12 --comment 'No price.'", description: "Audit one verdict in a script" }
  ]),
  Command.withSubcommands([agree, disagree]),
  Command.provide(store.layerAllQueues)
)
