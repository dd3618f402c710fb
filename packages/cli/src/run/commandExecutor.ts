/** The executor of `--exec` and `--shell`. */
import type * as Command from "@baton/adapters/command"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { costLimit, type Given, type RunFlags, tokenLimit } from "../settings/flags.ts"
import * as Kind from "../system/Kind.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as programs from "../system/programs.ts"
import * as shell from "../system/shell.ts"

/** Builds the executor. Fails with a message for the user if the flags are inconsistent. */
export const make = Effect.fnUntraced(function* (flags: RunFlags, chosen: Given<string>, timeout: Duration.Duration) {
  yield* checkLimits(flags, chosen.by)
  const { costFrom, resultFrom } = flags
  const { costOf, isPath, textOf } = yield* Effect.promise(() => import("./printedJson.ts"))
  const wrong = [costFrom, resultFrom].find((given) => given !== undefined && !isPath(given.value))
  if (wrong !== undefined) {
    return yield* new CommandFailed({
      message: `${wrong.by} is "${wrong.value}": it takes ${Kind.jsonPath.expected}.`
    })
  }
  const { Command, CommandExecutor } = yield* commandModule
  const command =
    chosen === flags.shell
      ? Effect.map(shellFor(chosen.by), ({ args, program }) => Command.make(program, [...args, chosen.value]))
      : Effect.succeed(yield* parse(Command, chosen))
  return Layer.unwrap(
    Effect.map(command, (command) =>
      CommandExecutor.layer({
        command,
        timeout,
        idleTimeout: flags.idleTimeout?.value,
        permanentExitCodes: flags.permanentExitCodes?.value,
        costFrom: costFrom === undefined ? undefined : costOf(costFrom.value),
        outputFrom: resultFrom === undefined ? undefined : textOf(resultFrom.value),
        maxCostUsd: flags.maxCostPerAttempt?.value
      })
    )
  )
})

/** Which limits hold for a command: those in US dollars, if it reports its cost. */
const checkLimits = ({ costFrom, ...flags }: RunFlags, by: string) => {
  const tokens = tokenLimit(flags)
  const cost = costLimit(flags)
  const limit = tokens ?? (costFrom === undefined ? cost : undefined)
  if (limit !== undefined) {
    const remedy =
      limit === tokens
        ? "Use --max-iterations or --max-duration instead, or limit them with an option of the command."
        : "Add --cost-from JSONPATH if it prints its cost as JSON, or use --max-iterations or --max-duration."
    return Effect.fail(
      new CommandFailed({
        message: `${limit.by} does not work with ${by}, because a command does not report its ${limit === tokens ? "tokens" : "cost"}. ${remedy}`
      })
    )
  }
  if (cost === undefined || flags.maxCostPerAttempt !== undefined) return Effect.void
  return Effect.fail(
    new CommandFailed({
      message: `${cost.by} needs --max-cost-per-attempt with ${by}, because the cost of an attempt is only known at its end. Add --max-cost-per-attempt USD.`
    })
  )
}

const shellFor = Effect.fnUntraced(function* (by: string) {
  const found = yield* shell.find
  if (found !== undefined) return found
  return yield* new CommandFailed({
    message: `${by} needs a shell with \`pipefail\`, which /bin/sh and bash do not have. ${shell.remedy}`
  })
})

export const commandModule = Effect.promise(() => import("@baton/adapters/command"))

/** Splits a command line, and fails if its program does not exist. */
export const parse = Effect.fnUntraced(function* (module: typeof Command.Command, { by, value }: Given<string>) {
  const command = yield* Effect.mapError(
    Effect.fromResult(module.parse(value)),
    (error) => new CommandFailed({ message: `${by} cannot be run. ${error.message}` })
  )
  if (command._tag === "Program") yield* programs.check(by, command.program)
  return command
})
