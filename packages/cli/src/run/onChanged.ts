/** Decides what to do with tasks of sources whose text changed. */
import { TaskStatus } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import * as Prompt from "effect/cli/Prompt"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import { CommandFailed, EndedWith, exitCodes } from "../system/CommandFailed.ts"
import { count, number } from "../view/quantity.ts"
import { firstLine, safe, safeText } from "../view/safeText.ts"
import type { Screen } from "../view/Screen.ts"
import { printMessage } from "../view/stderr.ts"
import { fit } from "../view/width.ts"
import type { Change, Comparison, OnChanged } from "../sources/changes.ts"

/** The choices, in the order in which they are offered. */
export const choices = {
  update: "pending tasks get the new text; the others keep their text",
  keep: "all tasks keep the text in the store; only new tasks are added",
  rerun: "finished tasks run again too, with the new text; their results are cleared"
} as const satisfies Readonly<Record<OnChanged, string>>

const names: ReadonlyArray<OnChanged> = ["update", "keep", "rerun"]

/** How many changes are shown. */
const maxShown = 3

/** What changed, in lines. */
export const describe = (comparison: Comparison): ReadonlyArray<string> => {
  const { added, changed, gone, unchanged } = comparison
  const parts = [
    `${number(added)} new`,
    `${number(changed.length)} changed (${byStatus(changed)})`,
    ...(gone === null ? [] : [`${number(gone)} gone`]),
    `${number(unchanged)} unchanged`
  ]
  const more = changed.length - maxShown
  return [
    `${count(changed.length, "task")} of the sources ${changed.length === 1 ? "has" : "have"} another text than in the store: ${parts.join(", ")}.`,
    ...changed.slice(0, maxShown).map(lineOf),
    ...(more > 0 ? [`  and ${number(more)} more`] : [])
  ]
}

const byStatus = (changed: ReadonlyArray<Change>): string =>
  TaskStatus.literals
    .map((status) => [changed.filter(({ stored }) => stored.status === status).length, status] as const)
    .filter(([tasks]) => tasks > 0)
    .map(([tasks, status]) => `${number(tasks)} ${status.replace("_", " ")}`)
    .join(", ")

const lineOf = ({ line, source, stored, task }: Change): string =>
  `  ${safeText(source)}:${line}: "${shorten(stored.beginning)}" is now "${shorten(task.description)}"`

/** The beginning of a text. */
const shorten = (text: string): string => fit(firstLine(text), 60)

/** Refuses changed tasks, and says which flag decides. */
export const refuseChanges = (comparison: Comparison): Effect.Effect<never, CommandFailed> =>
  Effect.fail(
    new CommandFailed({
      message: [
        ...describe(comparison),
        "Did the template or a column change? Say what to do with them:",
        ...names.map((name) => `  --on-changed ${name.padEnd(6)}  ${choices[name]}`)
      ].join("\n")
    })
  )

/** Asks on a terminal, and refuses without one. */
const askOrRefuse = Effect.fnUntraced(function* (comparison: Comparison) {
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) return yield* refuseChanges(comparison)
  for (const text of describe(comparison)) yield* printMessage(safeText(text))
  const prompt = Prompt.Select<OnChanged | "stop">({
    message: "What should happen to them?",
    choices: [
      ...names.map((name) => ({ title: `${name}: ${choices[name]}`, value: name })),
      { title: "stop: change nothing", value: "stop" as const }
    ]
  })
  const answer = yield* Effect.catchTag(Prompt.run(prompt), "QuitError", () => Effect.succeed("quit" as const))
  if (answer !== "stop" && answer !== "quit") return answer
  // After Ctrl-C, the cursor is still on the last line of the question.
  if (answer === "quit") yield* printMessage(safe``)
  yield* printMessage(safe`Nothing was changed.`)
  return yield* new EndedWith({ exitCode: answer === "quit" ? exitCodes.interrupted : exitCodes.error })
})

/** Shows the changes, and handles them as the flag says or as the user answers. */
export const decideBy =
  (flag: OnChanged | undefined, screen: Screen, options: { readonly quiet: boolean }) => (comparison: Comparison) => {
    if (flag === undefined) return Effect.ensuring(Effect.andThen(screen.leave, askOrRefuse(comparison)), screen.resume)
    return Effect.sync(() => {
      if (!options.quiet) for (const text of describe(comparison)) screen.line(safeText(text))
      return flag
    })
  }
