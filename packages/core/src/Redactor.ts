/**
 * Keeps secrets out of what is kept and told of attempts: the metadata of an execution, feedback and issues of a verdict,
 * and the messages of errors, before any of it reaches the store, an event, a hook, a log or the next attempt.
 *
 * Programs print their environment, libraries put the address with the password into their errors, and a judge repeats what
 * it was shown. The orchestrator runs all of that through the redactor of its surroundings. By default that one knows the
 * shapes of common secrets: API keys (`sk-...`, `ghp_...`, `AKIA...`), bearer tokens, JSON Web Tokens, passwords in
 * addresses, `api_key=...` and `password=...`, private keys in PEM. It takes linear time, whatever the text.
 *
 * Outputs are not touched: they are what you asked for. Neither are tasks.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { mark, redactShapes } from "./internal/redaction/patterns.ts"

/**
 * Replaces the secrets in a text.
 *
 * @category models
 * @since 0.1.0
 */
export type Redact = (text: string) => string

/**
 * What to look for besides the shapes of common secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Secrets by their value, as they are and as part of an address. Shorter ones than 6 characters are left out. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
  /** All that they match is replaced. See to it that they take linear time. */
  readonly patterns?: ReadonlyArray<RegExp> | undefined
}

/**
 * A function that replaces the shapes of common secrets, and what the options name.
 *
 * **Example**
 *
 * ```ts
 * import { Redactor } from "@baton/core"
 *
 * const redact = Redactor.make({ patterns: [/\bACME-\d+/] })
 * redact("postgres://app:hunter2@db and ACME-17") // => "postgres://app:[redacted]@db and [redacted]"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Redact => {
  const values = (options.secrets ?? [])
    .map((secret) => Redacted.value(secret))
    .flatMap((value) =>
      value.length < 6 ? [] : [value, encodeURIComponent(value.toWellFormed()), JSON.stringify(value).slice(1, -1)]
    )
    // The longest first, so that nothing is left of one that contains another.
    .toSorted((left, right) => right.length - left.length)
  const patterns = (options.patterns ?? []).map(
    ({ flags, source }) => new RegExp(source, flags.replace(/[gy]/g, "") + "g")
  )
  return (text) => {
    const known = values.reduce((text, value) => text.replaceAll(value, mark), text)
    return patterns.reduce((text, pattern) => text.replace(pattern, mark), redactShapes(known))
  }
}

/**
 * The redactor of a run. By default it replaces the shapes of common secrets; with null, nothing is replaced.
 *
 * @category references
 * @since 0.1.0
 */
export const Redactor: Context.Reference<Redact | null> = Context.Reference<Redact | null>("@baton/core/Redactor", {
  defaultValue: () => make()
})

/**
 * Replaces what the options name, besides the shapes of common secrets. Provide it to the orchestrator's layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never> => Layer.succeed(Redactor, make(options))

/**
 * Replaces nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<never> = Layer.succeed(Redactor, null)
