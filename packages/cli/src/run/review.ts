/** Reviews outputs in the terminal, one at a time. */
import type { Task } from "@baton/core/Task"
import { type ReviewDecision, type Reviews, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import { maxComment } from "@baton/core/Verification"
import type * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Queue from "effect/Queue"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as EffectTerminal from "effect/Terminal"
import { CommandFailed } from "../system/CommandFailed.ts"
import { pages } from "../system/pages.ts"
import { safe, type SafeText } from "../view/safeText.ts"
import { onAlternateScreen, redraw } from "../view/Screen.ts"
import * as View from "../view/review.ts"
import type { Style } from "../view/style.ts"

/** The outputs that one sitting loads. */
const maxItems = 1000

type Environment = TaskStore | EffectTerminal.Terminal | Stdio.Stdio | FileSystem.FileSystem | ChildProcessSpawner

/** A decision that can be undone until the next one is made. */
interface Pending {
  readonly task: Task
  readonly decision: ReviewDecision
}

/** What a person does with an output. */
type Action =
  | { readonly _tag: "Decide"; readonly item: View.ReviewItem; readonly decision: ReviewDecision }
  | { readonly _tag: "Edit"; readonly item: View.ReviewItem }
  | { readonly _tag: "Undo" | "Skip" | "Back" | "Quit" }

/** The decisions of a sitting: how many were made, and how many came too late. */
export interface Sitting {
  readonly decided: number
  readonly refused: number
}

/**
 * Shows the outputs in review until the person quits or none is left. A decision is written when the next one is made, so
 * that it can be undone.
 */
export const review = Effect.fnUntraced(function* (
  reviews: Reviews,
  { by, style }: { readonly by: string; readonly style: Style }
): Effect.fn.Return<Sitting, TaskStoreError | PlatformError | CommandFailed, Environment> {
  const store = yield* TaskStore
  const load = Effect.map(Stream.runCollect(pages({ status: "in_review", limit: maxItems })), (tasks) => [...tasks])
  let tasks: Array<Task> = yield* load
  let index = 0
  let pending: Pending | undefined
  let decided = 0
  let refused = 0
  let message: SafeText = safe``

  /** Writes the decision that can no longer be undone. */
  const commit = Effect.gen(function* () {
    if (pending === undefined) return
    const { decision } = pending
    pending = undefined
    const reply = yield* reviews.decide([decision])
    decided += reply.decided.length
    refused += reply.refused.length
    for (const each of reply.refused) message = View.refusal(each)
  })

  const decide = Effect.fnUntraced(function* (task: Task, decision: ReviewDecision) {
    message = safe``
    yield* commit
    pending = { task, decision }
    tasks = tasks.filter(({ id }) => id !== task.id)
    const said = message === "" ? "" : ` ${message}`
    message = safe`${done[decision._tag]} ${task.id}; u undoes it.${said}`
  })

  /** The output to show; tasks that others have decided about meanwhile are left out. */
  const current: Effect.Effect<View.ReviewItem | undefined, TaskStoreError> = Effect.gen(function* () {
    while (true) {
      if (index >= tasks.length) index = 0
      const task = tasks[index]
      if (task === undefined) return undefined
      const found = Option.getOrUndefined(yield* store.get(task.id))
      const item = found === undefined ? undefined : View.itemOf(found, yield* store.attempts(task.id))
      if (item !== undefined) return item
      tasks = tasks.filter(({ id }) => id !== task.id)
    }
  })

  const edit = Effect.fnUntraced(function* (item: View.ReviewItem) {
    const text = yield* edited(item.attempt.execution?.output ?? "", "md")
    if (text === undefined) message = safe`Nothing was changed, so nothing was decided.`
    else yield* decide(item.task, { ...about(item, by), _tag: "Edit", text })
  })

  const perform = Effect.fnUntraced(function* (action: Exclude<Action, { readonly _tag: "Edit" | "Quit" }>) {
    switch (action._tag) {
      case "Decide":
        return yield* decide(action.item.task, action.decision)
      case "Undo":
        if (pending === undefined) {
          message = safe`There is nothing to undo: a decision is final once the next one is made.`
        } else {
          tasks.splice(index, 0, pending.task)
          pending = undefined
          message = safe`Undone.`
        }
        return
      case "Skip":
        message = tasks.length < 2 ? safe`This is the only output that is left.` : safe``
        index++
        return
      case "Back":
        message = safe``
        index = index === 0 ? Math.max(0, tasks.length - 1) : index - 1
    }
  })

  /** Decides until the person quits or wants to edit an output, for which an editor needs the terminal. */
  const deciding = Effect.gen(function* () {
    const input = yield* (yield* EffectTerminal.Terminal).readInput
    while (true) {
      const item = yield* current
      const shown = { place: index + 1, waiting: tasks.length, decided: decided + (pending === undefined ? 0 : 1) }
      const action = yield* read(input, { ...shown, item, message, scroll: 0, comment: undefined }, by, style)
      if (action._tag === "Quit") return undefined
      if (action._tag === "Edit") return action.item
      yield* perform(action)
    }
  })

  const sitting = Effect.gen(function* () {
    while (true) {
      const item = yield* onAlternateScreen(Effect.scoped(deciding))
      if (item === undefined) return
      yield* edit(item)
    }
  })

  // Also after Ctrl-C: what a person has decided is not lost.
  yield* Effect.ensuring(sitting, Effect.orDie(commit))
  return { decided, refused }
})

const done = { Approve: "Approved", Reject: "Rejected", Edit: "Edited", Expire: "Expired" } as const

const about = ({ attempt: { taskId, token } }: View.ReviewItem, by: string) => ({ taskId, token, by })

/** Draws an output, and reads keys until they say what to do with it. */
const read = Effect.fnUntraced(function* (
  input: Queue.Dequeue<EffectTerminal.UserInput, Cause.Done>,
  initial: View.Review,
  by: string,
  style: Style
): Effect.fn.Return<Action, PlatformError, EffectTerminal.Terminal | Stdio.Stdio> {
  const terminal = yield* EffectTerminal.Terminal
  const { item } = initial
  let { comment, message, scroll } = initial
  let isGivingUp = false
  while (true) {
    const view = { ...initial, comment, message, scroll }
    const size = { columns: yield* terminal.columns, rows: yield* terminal.rows }
    const screen = { columns: size.columns || 80, rows: size.rows || 24 }
    yield* redraw(View.reviewScreen(view, screen, style))
    const pressed = yield* Effect.option(Queue.take(input))
    // The queue ends at Ctrl-C.
    if (Option.isNone(pressed)) return { _tag: "Quit" }
    const { input: typed, key } = pressed.value
    if (item === undefined) return { _tag: key.name === "u" ? "Undo" : "Quit" }
    if (comment !== undefined) {
      if (key.name === "escape") comment = undefined
      else if (key.name === "return" || key.name === "enter") {
        if (comment.trim() !== "") {
          const decision = { ...about(item, by), _tag: "Reject", comment, giveUp: isGivingUp } as const
          return { _tag: "Decide", item, decision }
        }
      } else if (key.name === "backspace") comment = Array.from(comment).slice(0, -1).join("")
      else if (!key.ctrl && !key.meta && Option.isSome(typed) && !isControl(typed.value)) {
        comment = (comment + typed.value).slice(0, maxComment)
      }
      continue
    }
    const last = View.lastScroll(view, screen, style)
    const page = Math.max(1, screen.rows - 5)
    const scrollTo = (line: number) => {
      scroll = Math.max(0, Math.min(last, line))
    }
    switch (key.name) {
      case "a":
        return { _tag: "Decide", item, decision: { ...about(item, by), _tag: "Approve" } }
      case "r":
      case "x":
        isGivingUp = key.name === "x"
        comment = ""
        message = safe``
        break
      case "e":
        return { _tag: "Edit", item }
      case "s":
      case "n":
      case "right":
        return { _tag: "Skip" }
      case "p":
      case "left":
        return { _tag: "Back" }
      case "u":
        return { _tag: "Undo" }
      case "q":
        return { _tag: "Quit" }
      case "down":
      case "j":
        scrollTo(scroll + 1)
        break
      case "up":
      case "k":
        scrollTo(scroll - 1)
        break
      case "space":
      case "pagedown":
        scrollTo(scroll + page)
        break
      case "b":
      case "pageup":
        scrollTo(scroll - page)
        break
      default:
    }
  }
})

const isControl = (text: string): boolean => {
  const code = text.charCodeAt(0)
  return code < 0x20 || code === 0x7f
}

/** Opens a text in the person's editor; undefined when it comes back unchanged. */
const edited = Effect.fnUntraced(function* (text: string, extension: string) {
  const fs = yield* FileSystem.FileSystem
  const filename = yield* fs.makeTempFileScoped({ prefix: "baton-review-", suffix: `.${extension}` })
  yield* fs.writeFileString(filename, text)
  const editor = yield* Effect.orDie(
    Config.NonEmptyString("VISUAL").pipe(
      Config.orElse(() => Config.NonEmptyString("EDITOR")),
      Config.withDefault("vi")
    )
  )
  // The setting is a command line, such as `code --wait`. The name of the file is an argument of the shell.
  const command = ChildProcess.make("/bin/sh", ["-c", `${editor} "$1"`, "sh", filename], {
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
    extendEnv: true
  })
  const exitCode = yield* (yield* ChildProcessSpawner).exitCode(command)
  if (exitCode !== 0) {
    return yield* new CommandFailed({
      message: `The editor (${editor}) ended with exit code ${exitCode}. Set another one with EDITOR.`
    })
  }
  const changed = yield* fs.readFileString(filename)
  // Editors end a file with a line break.
  const result = text.endsWith("\n") || !changed.endsWith("\n") ? changed : changed.slice(0, -1)
  return result === text ? undefined : result
}, Effect.scoped)
