/** The command line of this process, to be typed again. */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import { Project } from "../settings/Project.ts"
import { StoreUrl } from "../settings/flags.ts"
import { settings, variableName } from "../settings/settings.ts"

/** Flags whose values can be secrets; the URLs of webhooks and notifications are secrets. */
const sensitive = /^--(?:webhook|notify(?!-)|(?:.*-)?(?:secret|key|token|password))(?:-|=|$)/

/** The command line, quoted for the shell and without secrets. */
export const commandLine: Effect.Effect<string, never, Stdio.Stdio> = Effect.map(
  Effect.flatMap(Stdio.Stdio, ({ args }) => args),
  (args) =>
    ["baton", ...args]
      .map((word, index, words) => {
        if (sensitive.test(words[index - 1] ?? "") && !words[index - 1]?.includes("=")) return "…"
        if (sensitive.test(word) && word.includes("=")) return word.replace(/=.*$/s, "=…")
        const isStore = words[index - 1] === "--store" || word.startsWith("--store=")
        return quoted(isStore ? withoutPassword(word) : wordWithoutPassword(word))
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

/** The path of a file, which can contain any character; a URL behind it is a mistake that can contain a password. */
const isPath = (url: string): boolean => /^(?:sqlite|json):(?!.*\/\/)/s.test(url)

/**
 * The URL of a store without its password. A URL with a mistake can be split in more than one way, so everything from the
 * first colon that can end the name of a user to the last `@` is hidden.
 */
export const withoutPassword = (url: string): string => {
  const shown = withoutParameters(url)
  const at = shown.lastIndexOf("@")
  if (at === -1 || isPath(shown)) return shown
  const slashes = shown.indexOf("//")
  const start = slashes === -1 || slashes > at ? 0 : slashes + 2
  const colon = shown.indexOf(":", start)
  return colon === -1 || colon > at ? shown : `${shown.slice(0, colon)}:…${shown.slice(at)}`
}

const withoutParameters = (text: string): string =>
  text.replace(/(\w*(?:password|passwd|pwd|secret|token)=)[^&\s]*/gi, "$1…")

/** A word of a command line, in which only a URL is known to contain a password. */
const wordWithoutPassword = (word: string): string =>
  withoutParameters(word).replaceAll(/(\/\/[^:/@\s]*):[^@\s]*@/g, "$1:…@")

/** Quotes a word for the shell. */
export const quoted = (word: string): string =>
  /^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
