/** People decide about outputs in the terminal, one at a time: in reviews, and with other decisions in audits. */
import type { Attempt, LeaseToken } from "@baton/core/Attempt"
import type { Task } from "@baton/core/Task"
import { type Finding, type ReviewDecision, type Reviews, TaskStore } from "@baton/core/TaskStore"
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
import { pages } from "@baton/core/TaskPages"
import { safe, type SafeText } from "../view/safeText.ts"
import { onAlternateScreen, redraw } from "../view/Screen.ts"
import * as View from "../view/review.ts"
import type { Style } from "../view/style.ts"

/** The outputs that one sitting loads. */
export const maxItems = 1000

type Environment = TaskStore | EffectTerminal.Terminal | Stdio.Stdio | FileSystem.FileSystem | ChildProcessSpawner

/** What a person says about an output. */
export type Choice = ReviewDecision | (Finding & { readonly _tag: "Agree" | "Disagree" })

/** An output in a sitting; with a token, that of this attempt. */
export interface Entry {
  readonly task: Task
  readonly token?: LeaseToken
}

/** What a key does: it makes a decision, asks for a comment first, or opens an editor. */
export type KeyAction =
  | { readonly _tag: "Decide"; readonly choice: Choice }
  | { readonly _tag: "Comment"; readonly choose: (comment: string) => Choice }
  | { readonly _tag: "Edit" }

/** What people decide about in a sitting, and how. */
export interface Desk {
  readonly load: Effect.Effect<ReadonlyArray<Entry>, TaskStoreError, TaskStore>
  /** The output with its task and verdict; undefined when it no longer waits. */
  readonly itemOf: (entry: Entry, task: Task, history: ReadonlyArray<Attempt>) => View.ReviewItem | undefined
  readonly onKey: (key: string, item: View.ReviewItem) => KeyAction | undefined
  /** Writes a decision. Returns why it changed nothing, if it did not. */
  readonly write: (choice: Choice) => Effect.Effect<SafeText | undefined, TaskStoreError>
  readonly texts: View.Texts
}

/** A decision that can be undone until the next one is made. */
interface Pending {
  readonly entry: Entry
  readonly choice: Choice
}

interface Move {
  readonly _tag: "Undo" | "Skip" | "Back"
}

/** What a person does with an output. */
type Action =
  | { readonly _tag: "Decide"; readonly choice: Choice }
  | { readonly _tag: "Edit"; readonly item: View.ReviewItem }
  | { readonly _tag: "Quit" }
  | Move

/** The decisions of a sitting: how many were made, and how many came too late. */
export interface Sitting {
  readonly decided: number
  readonly refused: number
}

/** The outputs in review, for decisions of this person. */
export const reviewDesk = (reviews: Reviews, by: string): Desk => {
  const about = ({ attempt: { taskId, token } }: View.ReviewItem) => ({ taskId, token, by })
  return {
    load: Effect.map(Stream.runCollect(pages({ status: "in_review", limit: maxItems })), (tasks) =>
      tasks.map((task) => ({ task }))
    ),
    itemOf: (_, task, history) => View.itemOf(task, history),
    onKey: (key, item) => {
      switch (key) {
        case "a":
          return { _tag: "Decide", choice: { ...about(item), _tag: "Approve" } }
        case "r":
        case "x":
          return {
            _tag: "Comment",
            choose: (comment) => ({ ...about(item), _tag: "Reject", comment, giveUp: key === "x" })
          }
        case "e":
          return { _tag: "Edit" }
        default:
          return undefined
      }
    },
    write: (choice) =>
      "agrees" in choice
        ? Effect.die("no decision of a review")
        : Effect.map(reviews.decide([choice]), ({ refused: [refusal] }) => refusal && View.refusal(refusal)),
    texts: View.reviewTexts
  }
}

/**
 * Shows outputs until the person quits or none is left. A decision is written when the next one is made, so that it can be
 * undone.
 */
export const sit = Effect.fnUntraced(function* (
  desk: Desk,
  { by, style }: { readonly by: string; readonly style: Style }
): Effect.fn.Return<Sitting, TaskStoreError | PlatformError | CommandFailed, Environment> {
  const store = yield* TaskStore
  let entries: Array<Entry> = [...(yield* desk.load)]
  let index = 0
  let pending: Pending | undefined
  let decided = 0
  let refused = 0
  let message: SafeText = safe``

  /** Writes the decision that can no longer be undone. */
  const commit = Effect.gen(function* () {
    if (pending === undefined) return
    const { choice } = pending
    pending = undefined
    const refusal = yield* desk.write(choice)
    if (refusal === undefined) {
      decided++
    } else {
      refused++
      message = refusal
    }
  })

  const decide = Effect.fnUntraced(function* (entry: Entry, choice: Choice) {
    message = safe``
    yield* commit
    pending = { entry, choice }
    entries = entries.filter((each) => each !== entry)
    const said = message === "" ? "" : ` ${message}`
    message = safe`${done[choice._tag]} ${entry.task.id}; u undoes it.${said}`
  })

  /** The output to show; those that others have decided about meanwhile are left out. */
  const current: Effect.Effect<{ readonly entry: Entry; readonly item: View.ReviewItem } | undefined, TaskStoreError> =
    Effect.gen(function* () {
      while (true) {
        if (index >= entries.length) index = 0
        const entry = entries[index]
        if (entry === undefined) return undefined
        const found = Option.getOrUndefined(yield* store.get(entry.task.id))
        const item = found === undefined ? undefined : desk.itemOf(entry, found, yield* store.attempts(found.id))
        if (item !== undefined) return { entry, item }
        entries = entries.filter((each) => each !== entry)
      }
    })

  const edit = Effect.fnUntraced(function* ({
    entry,
    item
  }: {
    readonly entry: Entry
    readonly item: View.ReviewItem
  }) {
    const { execution, taskId, token } = item.attempt
    const text = yield* edited(execution?.output ?? "", "md")
    if (text === undefined) message = safe`Nothing was changed, so nothing was decided.`
    else yield* decide(entry, { taskId, token, by, _tag: "Edit", text })
  })

  const perform = (action: Move) => {
    switch (action._tag) {
      case "Undo":
        if (pending === undefined) {
          message = safe`There is nothing to undo: a decision is final once the next one is made.`
        } else {
          entries.splice(index, 0, pending.entry)
          pending = undefined
          message = safe`Undone.`
        }
        return
      case "Skip":
        message = entries.length < 2 ? safe`This is the only output that is left.` : safe``
        index++
        return
      case "Back":
        message = safe``
        index = index === 0 ? Math.max(0, entries.length - 1) : index - 1
    }
  }

  /** Decides until the person quits or wants to edit an output, for which an editor needs the terminal. */
  const deciding = Effect.gen(function* () {
    const input = yield* (yield* EffectTerminal.Terminal).readInput
    while (true) {
      const found = yield* current
      const item = found?.item
      const shown = {
        item,
        place: index + 1,
        waiting: entries.length,
        decided: decided + (pending === undefined ? 0 : 1),
        message,
        texts: desk.texts,
        scroll: 0,
        comment: undefined
      }
      const action = yield* read(input, shown, desk, style)
      if (action._tag === "Quit") return undefined
      if (action._tag === "Edit") return found
      if (action._tag !== "Decide") perform(action)
      else if (found !== undefined) yield* decide(found.entry, action.choice)
    }
  })

  const sitting = Effect.gen(function* () {
    while (true) {
      const toEdit = yield* onAlternateScreen(Effect.scoped(deciding))
      if (toEdit === undefined) return
      yield* edit(toEdit)
    }
  })

  // Also after Ctrl-C: what a person has decided is not lost.
  yield* Effect.ensuring(sitting, Effect.orDie(commit))
  return { decided, refused }
})

const done = {
  Approve: "Approved",
  Reject: "Rejected",
  Edit: "Edited",
  Expire: "Expired",
  Agree: "You agree about",
  Disagree: "You disagree about"
} as const

/** Draws an output, and reads keys until they say what to do with it. */
const read = Effect.fnUntraced(function* (
  input: Queue.Dequeue<EffectTerminal.UserInput, Cause.Done>,
  initial: View.Review,
  { onKey }: Desk,
  style: Style
): Effect.fn.Return<Action, PlatformError, EffectTerminal.Terminal | Stdio.Stdio> {
  const terminal = yield* EffectTerminal.Terminal
  const { item } = initial
  let { comment, message, scroll } = initial
  let choose: ((comment: string) => Choice) | undefined
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
        if (choose !== undefined && comment.trim() !== "") return { _tag: "Decide", choice: choose(comment) }
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
      default: {
        const action = onKey(key.name, item)
        if (action?._tag === "Decide") return action
        if (action?._tag === "Edit") return { _tag: "Edit", item }
        if (action === undefined) break
        choose = action.choose
        comment = ""
        message = safe``
      }
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
