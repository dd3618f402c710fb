/** The limit of a run on the rate of false accepts that an audit finds. */
import * as Safety from "@baton/core/Safety"
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { RunFlags } from "../settings/flags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import type { RunParts } from "./runParts.ts"

type Flags = Pick<RunFlags, "audit" | "maxFalseAccept">

/** Fails if there is a limit and no sample. */
export const check = ({ audit, maxFalseAccept }: Flags): Effect.Effect<void, CommandFailed> =>
  maxFalseAccept === undefined || audit !== undefined
    ? Effect.void
    : Effect.fail(
        new CommandFailed({
          message: `${maxFalseAccept.by} needs a sample of verdicts that people audit. Add --audit 5%, and audit with \`baton audit\`.`
        })
      )

/** Adds the limit to a run of these queues. */
export const apply = (
  parts: RunParts,
  { audit, maxFalseAccept }: Flags,
  store: TaskStore["Service"],
  queues: ReadonlyArray<string>
): RunParts => {
  if (maxFalseAccept === undefined || audit === undefined) return parts
  const limit = Safety.layerAudit({ queues, share: audit.value, maxFalseAccept: maxFalseAccept.value })
  const safety = Safety.layerAll(parts.safety, Layer.provide(limit, Layer.succeed(TaskStore, store)))
  return { ...parts, safety }
}
