/**
 * Removes secrets from the metadata of executions, the feedback and issues of verdicts, and the messages of errors, before
 * they reach the store, events, hooks, logs or the next attempt.
 *
 * Programs print their environment, libraries include the address with its password in their errors, and a judge repeats its
 * input. The orchestrator passes all of these texts through the redactor in its context. The default redactor recognizes
 * common secrets by their shape: API keys (`sk-...`, `ghp_...`, `AKIA...`), bearer tokens, JSON Web Tokens, passwords in
 * addresses, addresses of webhooks, cookies, `api_key=...` and `password=...`, and private keys in PEM. It takes linear time on any text.
 *
 * Outputs and tasks are left unchanged.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { isSecretVariable, mark, redactShapes } from "./internal/redaction/patterns.ts"

/**
 * Replaces the secrets in a text.
 *
 * @category models
 * @since 0.1.0
 */
export type Redact = (text: string) => string

/**
 * What to remove besides common secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Secrets by their value, also where they are encoded in an address or in JSON. Values under 6 characters are ignored. */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
  /** Every match is replaced. Choose expressions that take linear time. */
  readonly patterns?: ReadonlyArray<RegExp> | undefined
}

/**
 * A function that replaces common secrets, and the secrets and patterns of the options.
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
    // The longest first, so that a secret that contains another one is replaced as a whole.
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
 * The secrets of an environment: the values of the variables whose names say that they are secrets, such as `DB_PASS`,
 * `STRIPE_SECRET_KEY` or `BATON_WEBHOOK_SECRET`. Programs inherit these variables and can print them without their names.
 *
 * Values that can be an ordinary word are left out, because they would be replaced wherever the word occurs: values of fewer than
 * 8 characters, and values of fewer than 16 that have lower-case letters only.
 *
 * @category constructors
 * @since 0.2.0
 */
export const secretsOf = (
  environment: Readonly<Record<string, string | undefined>>
): ReadonlyArray<Redacted.Redacted> =>
  Object.entries(environment).flatMap(([name, value]) =>
    value === undefined || !isSecretVariable(name) || isOrdinary(value) ? [] : Redacted.make(value, { label: name })
  )

const isOrdinary = (value: string): boolean => value.length < 8 || (value.length < 16 && /^[a-z]*$/.test(value))

/**
 * The redactor of a run. The default replaces common secrets; none replaces nothing.
 *
 * @category references
 * @since 0.1.0
 */
export const Redactor: Context.Reference<Option.Option<Redact>> = Context.Reference<Option.Option<Redact>>(
  "@baton/core/Redactor",
  { defaultValue: () => Option.some(make()) }
)

/**
 * Replaces common secrets, and the secrets and patterns of the options. Provide it to the orchestrator's layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never> => Layer.succeed(Redactor, Option.some(make(options)))

/**
 * Replaces nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<never> = Layer.succeed(Redactor, Option.none())
