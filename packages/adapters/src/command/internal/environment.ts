import type { AttemptContext } from "@baton/core/AttemptContext"
import type { Task } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { shorten } from "./collector.ts"

// Linux takes at most 128 KiB for one variable, name included; macOS 1 MiB for all of them and the arguments together.
const limit = 100 * 1024

/**
 * What a program is told of its task and its attempt, besides what it reads on standard input. A null is a variable that
 * is not set, even where this process has it in its own environment.
 *
 * `texts` are further variables whose value may be of any length.
 */
export const environment = Effect.fnUntraced(function* (
  fs: FileSystem.FileSystem,
  task: Task,
  context: AttemptContext,
  texts: Readonly<Record<string, string | null>>
): Effect.fn.Return<Record<string, string | undefined>, PlatformError, Scope.Scope> {
  const env: Record<string, string | undefined> = {
    BATON_TASK_ID: short(task.id),
    BATON_ATTEMPT: String(context.attempt),
    BATON_IDEMPOTENCY_KEY: short(context.idempotencyKey),
    BATON_FEEDBACK: short(context.previous?.feedback ?? "")
  }
  for (const [name, text] of Object.entries({ BATON_METADATA: JSON.stringify(task.metadata), ...texts })) {
    env[name] = undefined
    env[`${name}_FILE`] = undefined
    if (text === null) continue
    if (fits(text)) {
      env[name] = withoutNul(text)
      continue
    }
    const file = yield* fs.makeTempFileScoped({ prefix: "baton-" })
    yield* fs.writeFileString(file, text)
    env[`${name}_FILE`] = file
  }
  return env
})

// A variable ends at its first NUL, and Node refuses to start a program with one inside.
const withoutNul = (text: string) => text.replaceAll("\0", "")

const short = (text: string) => shorten(withoutNul(text), limit)

const fits = (text: string) => text.length * 3 <= limit || new TextEncoder().encode(text).length <= limit
