/** The command line of this process, to be typed again. */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import { Project } from "../settings/Project.ts"
import { StoreUrl } from "../settings/flags.ts"
import { settings, variableName } from "../settings/settings.ts"

/** Flags whose values can be secrets; the URL of a webhook is a secret. */
const sensitive = /^--(?:webhook|(?:.*-)?(?:secret|key|token|password))(?:-|=|$)/

/** The command line, quoted for the shell and without secrets. */
export const commandLine: Effect.Effect<string, never, Stdio.Stdio> = Effect.map(
  Effect.flatMap(Stdio.Stdio, ({ args }) => args),
  (args) =>
    ["baton", ...args]
      .map((word, index, words) => {
        if (sensitive.test(words[index - 1] ?? "") && !words[index - 1]?.includes("=")) return "…"
        return sensitive.test(word) && word.includes("=") ? word.replace(/=.*$/s, "=…") : quoted(withoutPassword(word))
      })
      .join(" ")
)

/** `baton` with `--config-file`, `--profile` and `--store` if they are needed again, without passwords. */
export const commandName: Effect.Effect<string, never, GlobalFlag.Setting.Identifier<"store">> = Effect.gen(
  function* () {
    const url = yield* StoreUrl
    const project = yield* Project
    const fromEnvironment = yield* Effect.orElseSucceed(Config.String(variableName("store")), () => undefined)
    const found = fromEnvironment ?? project.settings["store"] ?? settings.store.default
    return [
      "baton",
      ...project.flags.map(quoted),
      ...(url === found ? [] : ["--store", quoted(withoutPassword(url))])
    ].join(" ")
  }
)

/** The URL of a store without its password. */
export const withoutPassword = (url: string): string =>
  url.replace(/^(\w+:\/\/[^:/@]*):.*@/, "$1:…@").replace(/(\bpassword=)[^&]*/gi, "$1…")

/** Quotes a word for the shell. */
export const quoted = (word: string): string =>
  /^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
