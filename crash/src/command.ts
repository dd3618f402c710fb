/** What the commands of this folder share: their arguments, and their end. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schema } from "effect"
import { parseArgs, type ParseArgsOptionsConfig } from "node:util"

/** The arguments of the command line, as `schema` describes them. */
export const readArguments = <A>(options: ParseArgsOptionsConfig, schema: Schema.Decoder<A>) =>
  Effect.try({
    try: () => parseArgs({ allowPositionals: true, options }),
    catch: String
  }).pipe(Effect.flatMap(Schema.decodeUnknownEffect(schema)))

/** Runs a command. An error is printed with the usage, and the exit code is 1. */
export const runMain = <A>(main: Effect.Effect<A, string | Error>, usage: string): void =>
  main.pipe(
    Effect.catch((error) =>
      Effect.sync(() => {
        process.stderr.write(`${typeof error === "string" ? error : error.message}\n${usage}`)
        process.exitCode = 1
      })
    ),
    NodeRuntime.runMain({ teardown: (_, done) => done(Number(process.exitCode ?? 1)) })
  )
