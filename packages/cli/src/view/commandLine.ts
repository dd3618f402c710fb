/**
 * The command line of this process, to be typed again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { quoted, withoutPassword } from "./commandName.ts"

/** What stands behind these flags can be a secret; an address for webhooks is one by itself. */
const sensitive = /^--(?:webhook|(?:.*-)?(?:secret|key|token|password))(?:-|=|$)/

/**
 * As it was typed, and as a shell reads it back; without what is nobody's business.
 *
 * @category getters
 * @since 0.1.0
 */
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
