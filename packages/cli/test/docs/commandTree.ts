/** The commands of `baton` as data: their help, and whether they accept a command line. */
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, Effect, Layer } from "effect"
import { CliConfig, type CliError, CliOutput, Command, GlobalFlag, type HelpDoc } from "effect/cli"
import { TestConsole } from "effect/testing"
import { baton } from "../../src/main.ts"

/** The same commands, which parse their flags and do nothing else. */
const withoutHandlers = (command: Command.Command.Any): Command.Command.Any => {
  const stub = Command.withHandler(command as typeof baton, () => Effect.void)
  const children = command.subcommands.flatMap(({ commands }) => commands.map(withoutHandlers))
  return children.length === 0 ? stub : Command.withSubcommands(stub, children)
}

const stub = withoutHandlers(baton) as Command.Command<"baton", unknown, unknown, unknown, never>

/** The result of parsing a command line: the requested help, or the error. */
const invoke = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const found = { help: Array<HelpDoc.HelpDoc>(), errors: Array<string>() }
  const presenter = CliOutput.layerPresenter({
    present: (event) =>
      Effect.sync(() => {
        if (event._tag === "Help") found.help.push(event.helpDoc)
        if (event._tag === "InvalidInvocation") found.errors.push(...event.errors.map(sentence))
      })
  })
  const surroundings = Layer.mergeAll(
    presenter,
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] }),
    TestConsole.layer,
    ConfigProvider.layer(ConfigProvider.fromUnknown({})),
    NodeServices.layer
  )
  yield* Effect.ignore(Command.runWith(stub, { version: "0" })(args)).pipe(
    Effect.provide(surroundings, { local: true })
  )
  return found
})

const sentence = (error: CliError.NonShowHelpErrors) =>
  error._tag === "UnrecognizedOption" ? `unknown flag ${error.option}` : error.message

/** The help of a command. */
export const helpOf = (path: ReadonlyArray<string>): Effect.Effect<HelpDoc.HelpDoc> =>
  Effect.map(invoke([...path, "--help"]), ({ help }) => {
    if (help[0] === undefined) throw new Error(`baton ${path.join(" ")} has no help`)
    return help[0]
  })

/** Why `baton` refuses these arguments; undefined if it accepts them. */
export const mistakesIn = (args: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(invoke(args), ({ errors }) => errors)

/** All commands by name, in the order of the help. */
export const paths: ReadonlyArray<ReadonlyArray<string>> = (() => {
  const below = (command: Command.Command.Any, path: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
    command.subcommands.flatMap(({ commands }) =>
      commands.flatMap((child) => [[...path, child.name], ...below(child, [...path, child.name])])
    )
  return below(baton, [])
})()
