/** The hooks that flags configure. */
import type { Event } from "@baton/core/Event"
import type { Hook } from "@baton/core/Hooks"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { CommandFailed } from "../system/CommandFailed.ts"
import { locate, missing, remedy } from "../system/programs.ts"
import type { Given, RunFlags } from "../settings/flags.ts"
import type { Delivery } from "./Delivery.ts"

/** Hooks and their finalizer. */
export interface FlagHooks {
  readonly hooks: ReadonlyArray<Hook>
  /** Called after the run: delivers the queued events within a bounded time. */
  readonly finish: Effect.Effect<void>
}

/** Starts the hooks; they stop when the scope closes. */
export type Start = Effect.Effect<FlagHooks, never, ChildProcessSpawner | Scope.Scope>

/** Reads the flags; fails with a message for the user if a value cannot be used. */
export const make = Effect.fnUntraced(function* (
  flags: Pick<RunFlags, "onComplete" | "onEnd" | "onFail" | "onRetry" | "onStart" | "webhook">
): Effect.fn.Return<Start, CommandFailed, FileSystem.FileSystem | Path.Path> {
  const { onComplete, onEnd, onFail, onRetry, onStart } = flags
  const ofTasks = [
    ...(onStart === undefined ? [] : [yield* command(onStart, "RunStarted")]),
    ...(onRetry === undefined ? [] : [yield* command(onRetry, "TaskRetried")]),
    ...(onComplete === undefined ? [] : [yield* command(onComplete, "TaskCompleted")]),
    ...(onFail === undefined ? [] : [yield* command(onFail, "TaskFailed")]),
    ...(flags.webhook === undefined ? [] : [yield* webhook(flags.webhook)])
  ]
  const ofEnd = onEnd === undefined ? [] : [yield* command(onEnd, "RunEnded")]
  return Effect.gen(function* () {
    const first = yield* Effect.all(ofTasks)
    const last = yield* Effect.all(ofEnd)
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
  // Found now instead of when the first task fails, which can be hours later.
  if (command._tag === "Program" && (yield* locate(command.program)) === undefined) {
    return yield* new CommandFailed({
      message: `${by} cannot be run. ${missing(command.program)} ${remedy(command.program)}`
    })
  }
  return make({ name: by, command, event })
})

const webhook = Effect.fnUntraced(function* ({ by, value }: Given<string>) {
  const url = new URL(value)
  const { keyOf, make } = yield* Effect.promise(() => import("./webhook.ts"))
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
  return make({ name: by, url, key })
})

const secretConfig: Config.Config<Redacted.Redacted<string> | undefined> = Config.Redacted("BATON_WEBHOOK_SECRET").pipe(
  Config.withDefault(undefined)
)
