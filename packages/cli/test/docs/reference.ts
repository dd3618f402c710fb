/** Generates docs/cli.md from the commands' help. Run as a program, it writes the file. */
import { Effect, Option } from "effect"
import type { HelpDoc } from "effect/cli"
import { writeFileSync } from "node:fs"
import { flagName, settingNames, settingOf, variableName } from "../../src/settings/settings.ts"
import { flagSections } from "../../src/view/help.ts"
import { helpOf, paths } from "./commandTree.ts"

export const file = new URL("../../../../docs/cli.md", import.meta.url)

/** The command that regenerates the page. */
export const command = "npx -y pnpm@12 docs:cli"

const preface = `<!-- Generated from the commands' help by \`${command}\`. Edit the help instead. -->

# Command line reference

\`baton COMMAND --help\` prints the same text. Every flag that has a variable can also be set in the environment, or in
\`baton.config.ts\` in camel case: see [configuration](configuration.md). Results go to standard output, and everything else
goes to standard error. \`--json\` and \`--output ndjson\` are stable interfaces for programs.
`

const exitCodes = `## Exit codes

| code | meaning |
| --- | --- |
| 0 | every task completed; for other commands, the command succeeded |
| 1 | wrong usage or configuration, or an unexpected error |
| 2 | at least one task is in the dead-letter queue, or depends on one that will not complete |
| 3 | a safety limit stopped the run |
| 4 | no task failed, and tasks wait for review |
| 129, 130, 143 | a signal stopped the run after the drain (143 also after \`baton stop\`) |`

const text = (value: Option.Option<string>) => Option.getOrElse(value, () => "").replace(/ \(choices: [^)]*\)$/, "")
const cell = (value: string) => value.replaceAll("|", "\\|").replaceAll("\n", " ")
const code = (value: string) => `\`${value}\``

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  [head, head.map(() => "---"), ...rows.map((row) => row.map(cell))].map((row) => `| ${row.join(" | ")} |`).join("\n")

/** The variable of a setting's flag. A command can have another flag with the same name, which has no variable. */
const variableOf = (flag: string, description: string): string => {
  const name = settingNames.find((name) => flagName(name) === flag && description.startsWith(settingOf(name).help))
  return name === undefined ? "" : variableName(name)
}

const flagRow = ({ aliases, description, name, type }: HelpDoc.FlagDoc) => {
  const long = `--${name}`
  const names = [...aliases, long].map((name) => (type === "boolean" ? name : `${name} ${type}`))
  return [names.map(code).join(", "), text(description), code(variableOf(name, text(description)))].map((cell) =>
    cell === "``" ? "" : cell
  )
}

const flagTable = (flags: ReadonlyArray<HelpDoc.FlagDoc>) => {
  const rows = flags.map(flagRow)
  return rows.some(([, , variable]) => variable !== "")
    ? table(["flag", "", "variable"], rows)
    : table(
        ["flag", ""],
        rows.map((row) => row.slice(0, 2))
      )
}

const same = (left: HelpDoc.FlagDoc) => (right: HelpDoc.FlagDoc) =>
  left.name === right.name && text(left.description) === text(right.description)

/** A command that shares more flags than this with `baton run` refers to it instead of listing them. */
const shared = 20

const section = (path: ReadonlyArray<string>, help: HelpDoc.HelpDoc, run: HelpDoc.HelpDoc): ReadonlyArray<string> => {
  const isRun = help.usage === run.usage
  const common = isRun ? [] : help.flags.filter((flag) => run.flags.some(same(flag)))
  const asRun = common.length > shared
  const missing = run.flags.filter((flag) => !common.some(same(flag)))
  return [
    `${path.length > 1 ? "###" : "##"} baton ${path.join(" ")}`,
    help.description,
    `\`\`\`text\n${help.usage.replace("<subcommand>", "COMMAND").replaceAll(/[<>]/g, "")}\n\`\`\``,
    ...((help.args ?? []).length === 0
      ? []
      : [
          table(
            ["argument", ""],
            (help.args ?? []).map(({ description, name }) => [code(name), text(description)])
          )
        ]),
    ...(asRun
      ? [
          `Accepts the flags of [baton run](#baton-run)${missing.length === 0 ? "" : `, without ${missing.map(({ name }) => code(`--${name}`)).join(", ")}`}.`
        ]
      : []),
    ...flagSections(help).flatMap(({ flags, title }) => {
      const own = asRun ? flags.filter((flag) => !common.includes(flag)) : flags
      if (own.length === 0) return []
      return title === "Flags" ? [flagTable(own)] : [`**${title}**`, flagTable(own)]
    }),
    ...((help.examples ?? []).length === 0
      ? []
      : [
          `\`\`\`sh\n${(help.examples ?? []).map(({ command, description = "" }) => `# ${description}\n${command}`).join("\n")}\n\`\`\``
        ])
  ]
}

const commandTable = ({ subcommands = [] }: HelpDoc.HelpDoc) =>
  table(
    ["command", ""],
    subcommands.flatMap(({ commands }) =>
      commands.map(({ description, name, shortDescription }) => [
        `[\`baton ${name}\`](#baton-${name})`,
        shortDescription ?? description
      ])
    )
  )

/** The whole page. */
export const reference = Effect.gen(function* () {
  const root = yield* helpOf([])
  const run = yield* helpOf(["run"])
  const sections: Array<string> = [
    preface.trimEnd(),
    commandTable(root),
    exitCodes,
    "## Flags of every command",
    flagTable(root.globalFlags ?? [])
  ]
  for (const path of paths) sections.push(...section(path, yield* helpOf(path), run))
  return sections.join("\n\n") + "\n"
})

if (import.meta.main) writeFileSync(file, await Effect.runPromise(reference))
