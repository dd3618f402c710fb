/** `baton verify` */
import { optionalNullOr } from "@baton/core/OptionalKey"
import { StopReason } from "@baton/core/StopReason"
import { TaskId } from "@baton/core/Task"
import * as Usage from "@baton/core/Usage"
import * as Command from "effect/cli/Command"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Kind from "../system/Kind.ts"
import * as options from "../settings/commandFlags.ts"
import { FlagGroups, runGroups, verifyFlags } from "../settings/flags.ts"
import { EndedWith, exitCodes } from "../system/CommandFailed.ts"
import * as store from "../run/stores.ts"
import type { Finding, Verdicts } from "../run/verifyOutputs.ts"
import { commandName } from "../view/commandLine.ts"
import { count, elapsed, number, usage } from "../view/quantity.ts"
import { firstLine, reasonLine, safe, safeText } from "../view/safeText.ts"
import { printJson } from "../view/json.ts"
import { printMessage } from "../view/stderr.ts"
import { byPage, canvas, writeAll, writeLine } from "../view/stdout.ts"
import { lines } from "../view/table.ts"

const Found = Schema.Array(Schema.Struct({ id: TaskId, feedback: Schema.String }))

const Result = Schema.Struct({
  passed: Schema.Int,
  rejected: Found,
  /** The outputs that the verifier returned no verdict for. */
  unverified: Found,
  /** Why the verification ended; `Drained` if all outputs were verified. */
  reason: StopReason,
  usage: optionalNullOr(Usage.Usage),
  /** With `--requeue`: the tasks of rejected outputs that are pending again. */
  requeued: Schema.Array(TaskId)
})

/** Runs a verifier over stored outputs. */
export const verify = Command.make(
  "verify",
  {
    ...verifyFlags,
    status: options.value(
      "status",
      Kind.oneOf("completed", "failed"),
      "Verify the outputs of tasks with this status (default completed); of a failed task, its last output"
    ),
    requeue: options.toggle(
      "requeue",
      "Make the tasks of rejected outputs pending again: their next attempt receives the output and the feedback"
    ),
    json: options.json
  },
  Effect.fnUntraced(function* ({ json, requeue, status = "completed", ...flags }) {
    const { verifyOutputs } = yield* Effect.promise(() => import("../run/verifyOutputs.ts"))
    const verdicts = yield* verifyOutputs(flags, { status, requeue })
    const { passed, reason, rejected, unverified } = verdicts
    if (json) yield* printJson(Result, verdicts)
    else if (!flags.quiet) yield* print(verdicts)
    if (reason._tag === "LimitReached") {
      yield* printMessage(safeText(`Stopped: ${reason.message}`))
      return yield* new EndedWith({ exitCode: exitCodes.limitReached })
    }
    if (reason._tag !== "Drained") return yield* new EndedWith({ exitCode: exitCodes.stopped })
    if (rejected.length + unverified.length > 0) return yield* new EndedWith({ exitCode: exitCodes.deadLetters })
    if (passed === 0) yield* printMessage(safe`There are no ${status} tasks to verify.`)
  })
).pipe(
  Command.annotate(FlagGroups, runGroups),
  Command.withDescription(
    "Run a verifier over stored outputs, without executing their tasks: after a stricter check was written, or over the outputs of a run without one. Reports the outputs that do not pass. With --requeue, their tasks go back to pending, with all their attempts; otherwise nothing changes. What the verifier costs counts toward no budget of a queue; --max-cost-per-run and --max-tokens-per-run limit it.\n\n" +
      "Exit codes: 0 every output passes; 1 wrong usage or configuration, or an unexpected error; 2 at least one output does not pass; 3 a limit stopped the verification."
  ),
  Command.withShortDescription("Verify stored outputs again"),
  Command.withExamples([
    { command: "baton verify --verify './stricter-check.sh'", description: "Report the outputs that do not pass" },
    {
      command: "baton verify --verify './stricter-check.sh' --requeue; baton run --exec './translate.sh'",
      description: "Execute the tasks again whose outputs do not pass"
    },
    {
      command:
        "baton verify --verifier claude --criteria 'Names a price' --max-cost-per-run 2 --json | jq -r '.rejected[].id'",
      description: "Print the ids of the outputs that Claude rejects"
    }
  ]),
  Command.provide(store.layerAllQueues)
)

const print = Effect.fnUntraced(function* (verdicts: Verdicts) {
  const { elapsedSeconds, passed, rejected, requeued, unverified } = verdicts
  const total = passed + rejected.length + unverified.length
  if (total === 0) return
  yield* printFindings(rejected)
  const took = elapsed(Duration.seconds(elapsedSeconds))
  const used = verdicts.usage === undefined ? "" : `, ${usage(verdicts.usage)}`
  yield* writeLine(safe`${number(passed)} of ${count(total, "output")} pass (${took}${used}).`)
  if (requeued.length > 0) {
    const again = requeued.length === 1 ? "it" : "them"
    yield* writeLine(
      safe`${count(requeued.length, "task")} requeued. Run \`${yield* commandName} run\` to execute ${again} again.`
    )
  }
  if (unverified.length === 0) return
  yield* writeLine(safe`\n${count(unverified.length, "output")} could not be verified:`)
  yield* printFindings(unverified)
})

const printFindings = Effect.fnUntraced(function* (findings: ReadonlyArray<Finding>) {
  if (findings.length === 0) return
  const shown = yield* canvas
  const table = lines(
    () => [
      { header: "ID", flexible: true, text: ({ id }: Finding) => firstLine(id) },
      { header: "FEEDBACK", text: ({ feedback }: Finding) => reasonLine(feedback) }
    ],
    shown
  )(Stream.fromIterable(findings))
  yield* writeAll(byPage(Stream.map(table, (line) => `${line}\n`)))
})
