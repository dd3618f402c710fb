/** The hooks that flags configure. */
import type { Event } from "@baton/core/Event"
import type { Hook } from "@baton/core/Hooks"
import type { TaskStore } from "@baton/core/TaskStore"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as programs from "../system/programs.ts"
import type { Given, RunFlags } from "../settings/flags.ts"
import type { Delivery } from "./Delivery.ts"
import type { RunInfo } from "./notify.ts"

/** Hooks and their finalizer. */
export interface FlagHooks {
  readonly hooks: ReadonlyArray<Hook>
  /** Called after the run: delivers the queued events within a bounded time. */
  readonly finish: Effect.Effect<void>
}

/** Starts the hooks; they stop when the scope closes. */
export type Start = (run: RunInfo) => Effect.Effect<FlagHooks, never, ChildProcessSpawner | TaskStore | Scope.Scope>

type StartOne = (run: RunInfo) => Effect.Effect<Delivery, never, ChildProcessSpawner | TaskStore | Scope.Scope>

/** Reads the flags; fails with a message for the user if a value cannot be used. */
export const make = Effect.fnUntraced(function* (
  flags: Pick<
    RunFlags,
    "notify" | "notifyFormat" | "onComplete" | "onEnd" | "onFail" | "onRetry" | "onStart" | "report" | "webhook"
  >
): Effect.fn.Return<Start, CommandFailed, FileSystem.FileSystem | Path.Path> {
  const { onComplete, onEnd, onFail, onRetry, onStart } = flags
  const ofTasks: ReadonlyArray<StartOne> = [
    ...(onStart === undefined ? [] : [yield* command(onStart, "RunStarted")]),
    ...(onRetry === undefined ? [] : [yield* command(onRetry, "TaskRetried")]),
    ...(onComplete === undefined ? [] : [yield* command(onComplete, "TaskCompleted")]),
    ...(onFail === undefined ? [] : [yield* command(onFail, "TaskFailed")]),
    ...(flags.webhook === undefined ? [] : [yield* webhook(flags.webhook)])
  ]
  const ofEnd: ReadonlyArray<StartOne> = [
    ...(onEnd === undefined ? [] : [yield* command(onEnd, "RunEnded")]),
    ...(yield* notification(flags))
  ]
  return Effect.fnUntraced(function* (run) {
    const first = yield* Effect.forEach(ofTasks, (start) => start(run))
    const last = yield* Effect.forEach(ofEnd, (start) => start(run))
    const all = [...first, ...last]
    return {
      hooks: all.map(({ hook }) => hook),
      finish: all.length === 0 ? Effect.void : withNotice(Effect.andThen(finishAll(first), finishAll(last)))
    }
  })
})

const finishAll = (deliveries: ReadonlyArray<Delivery>) =>
  Effect.forEach(deliveries, ({ finish }) => finish, { concurrency: "unbounded", discard: true })

/** Logs that Baton waits for hooks if that takes longer than two seconds. */
const withNotice = Effect.fnUntraced(function* (finish: Effect.Effect<void>) {
  const notice = yield* Effect.logInfo("Waiting up to 30 seconds for hooks to finish").pipe(
    Effect.delay("2 seconds"),
    Effect.interruptible,
    Effect.forkChild
  )
  yield* finish
  yield* Fiber.interrupt(notice)
})

const command = Effect.fnUntraced(function* ({ by, value }: Given<string>, event: Event["_tag"]) {
  const { Command } = yield* Effect.promise(() => import("@baton/adapters/command"))
  const { make } = yield* Effect.promise(() => import("./hookCommand.ts"))
  const command = yield* Effect.mapError(
    Effect.fromResult(Command.parse(value)),
    ({ detail }) =>
      new CommandFailed({
        message: `${by} cannot be run. ${detail}: put the command into a script and pass the script's path.`
      })
  )
  if (command._tag === "Program") yield* programs.check(by, command.program)
  return () => make({ name: by, command, event })
})

const webhook = Effect.fnUntraced(function* (given: Given<string>) {
  const target = yield* targetOf(given)
  const { make } = yield* Effect.promise(() => import("./webhook.ts"))
  return () => make({ name: given.by, ...target })
})

const notification = Effect.fnUntraced(function* ({
  notify,
  notifyFormat,
  report
}: Pick<RunFlags, "notify" | "notifyFormat" | "report">) {
  if (notify === undefined) {
    if (notifyFormat?.origin !== "flag") return []
    return yield* new CommandFailed({
      message: `${notifyFormat.by} only works with --notify. Add --notify URL, or remove ${notifyFormat.by}.`
    })
  }
  const target = yield* targetOf(notify)
  const { formatOf, make } = yield* Effect.promise(() => import("./notify.ts"))
  const format = notifyFormat?.value ?? formatOf(target.url)
  const path = yield* Path.Path
  const file = report === undefined ? null : path.resolve(report.value)
  return [(run: RunInfo) => make({ name: notify.by, ...target, ...run, format, report: file })]
})

const targetOf = Effect.fnUntraced(function* ({ by, value }: Given<string>) {
  const url = new URL(value)
  const { keyOf } = yield* Effect.promise(() => import("./post.ts"))
  if (url.username !== "" || url.password !== "") {
    return yield* new CommandFailed({
      message: `${by} has a user name or password in its URL; Baton does not send them. Remove them, set BATON_WEBHOOK_SECRET, and let the receiver check the signature.`
    })
  }
  const secret = yield* Effect.orElseSucceed(secretConfig, () => undefined)
  const key = secret === undefined ? undefined : keyOf(secret)
  if (secret !== undefined && key === undefined) {
    return yield* new CommandFailed({
      message:
        "BATON_WEBHOOK_SECRET is not a valid secret: it takes whsec_ followed by 24 to 64 bytes in base64. Create one with `echo whsec_$(openssl rand -base64 32)`."
    })
  }
  return { url, key }
})

const secretConfig: Config.Config<Redacted.Redacted<string> | undefined> = Config.Redacted("BATON_WEBHOOK_SECRET").pipe(
  Config.withDefault(undefined)
)
