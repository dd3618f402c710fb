/** The command line of `baton`. */
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Stdio from "effect/Stdio"
import manifest from "../package.json" with { type: "json" }
import { audit } from "./commands/audit.ts"
import { add } from "./commands/add.ts"
import { batch } from "./commands/batch.ts"
import { budget } from "./commands/budget.ts"
import { cache } from "./commands/cache.ts"
import { cancel } from "./commands/cancel.ts"
import { chaos } from "./commands/chaos.ts"
import { demo } from "./commands/demo.ts"
import { dlq } from "./commands/dlq.ts"
import { doctor } from "./commands/doctor.ts"
import { exportCommand } from "./commands/export.ts"
import { importCommand } from "./commands/import.ts"
import { init } from "./commands/init.ts"
import { list } from "./commands/list.ts"
import { mcp } from "./commands/mcp.ts"
import { migrateStore } from "./commands/migrateStore.ts"
import { plan } from "./commands/plan.ts"
import { pause, resume, stop } from "./commands/control.ts"
import { prune } from "./commands/prune.ts"
import { report as reportCommand } from "./commands/report.ts"
import { review } from "./commands/review.ts"
import { run as runCommand, worker } from "./commands/run.ts"
import { schedule } from "./commands/schedule.ts"
import { serve } from "./commands/serve.ts"
import { set } from "./commands/set.ts"
import { show } from "./commands/show.ts"
import { status } from "./commands/status.ts"
import { workflow } from "./commands/workflow.ts"
import { verify } from "./commands/verify.ts"
import { selectionIn, load } from "./settings/loadProject.ts"
import * as Project from "./settings/Project.ts"
import { EndedWith, exitCodes } from "./system/CommandFailed.ts"
import { isBrokenPipe, printErrors } from "./view/errors.ts"
import { ConfigFile, Profile, LogFormatFlag, LogLevelFlag, QueueFlag, StoreUrl } from "./settings/flags.ts"
import * as logger from "./view/logger.ts"
import * as presenter from "./view/help.ts"
import { runMain } from "./system/process.ts"

const loggerLayer = Layer.unwrap(
  Effect.gen(function* () {
    return logger.layer({ level: yield* LogLevelFlag, format: yield* LogFormatFlag })
  })
)

/** The `baton` command with its subcommands. */
export const baton = Command.make("baton").pipe(
  Command.withDescription(
    "Run a list of AI tasks to verified completion.\n\n" +
      "Most flags can also be set in the environment (BATON_STORE for --store, BATON_MAX_ATTEMPTS for --max-attempts, and so on) or in baton.config.ts. Flags override the environment, and the environment overrides baton.config.ts."
  ),
  Command.withSubcommands([
    runCommand,
    plan,
    worker,
    add,
    importCommand,
    list,
    show,
    status,
    batch,
    budget,
    set,
    review,
    audit,
    dlq,
    cancel,
    pause,
    resume,
    stop,
    verify,
    exportCommand,
    reportCommand,
    schedule,
    workflow,
    serve,
    mcp,
    prune,
    cache,
    migrateStore,
    init,
    doctor,
    chaos,
    demo
  ]),
  Command.provide(loggerLayer),
  Command.withGlobalFlags([StoreUrl, QueueFlag, ConfigFile, Profile, LogLevelFlag, LogFormatFlag])
)

const settings = Layer.merge(
  presenter.layer,
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
)

/** Separates the number of `-j8`, which other programs take too. Arguments after `--` are those of another program. */
const withSeparateNumbers = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = args.indexOf("--")
  const own = end < 0 ? args : args.slice(0, end)
  return [...own.flatMap((arg) => (/^-j\d+$/.test(arg) ? ["-j", arg.slice(2)] : [arg])), ...args.slice(own.length)]
}

/** Runs a command line. Prints errors to standard error and fails with an error that carries the exit code. */
export const run = (args: ReadonlyArray<string>) =>
  Command.runWith(baton, { version: manifest.version })(withSeparateNumbers(args)).pipe(
    Effect.provide(projectOf(args)),
    Effect.tapCause(printErrors),
    Effect.catchIf(isBrokenPipe, () => Effect.fail(new EndedWith({ exitCode: exitCodes.brokenPipe }))),
    Effect.provide(settings)
  )

/** Loads the configuration, except for help, which must work even if the configuration is invalid. */
const projectOf = (args: ReadonlyArray<string>) =>
  args.length === 0 || args.some((arg) => informational.has(arg))
    ? Layer.empty
    : Layer.unwrap(
        Effect.map(load(selectionIn(args)), (project) => (project === null ? Layer.empty : Project.layer(project)))
      )

const informational = new Set(["--help", "-h", "--version", "--completions"])

/** Runs the command line of this process and exits with its exit code. */
export const main = () =>
  runMain(
    Stdio.Stdio.use(({ args }) => Effect.flatMap(args, run)).pipe(
      // The only place where the platform is chosen.
      Effect.provide(NodeServices.layer)
    )
  )
