/** The key and the URL for OpenAI's API or a compatible server. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Given } from "../../settings/flags.ts"
import { CommandFailed } from "../../system/CommandFailed.ts"

/** A server, and a key where there is one. */
export interface Account {
  readonly apiKey: Redacted.Redacted | undefined
  /** Undefined for OpenAI's API. */
  readonly baseUrl: string | undefined
}

const fromEnvironment = Config.all({
  key: Config.option(Config.Redacted("OPENAI_API_KEY")),
  baseUrl: Config.option(Config.NonEmptyString("OPENAI_BASE_URL"))
})

const environment = Effect.map(
  Effect.orElseSucceed(fromEnvironment, () => ({ key: Option.none(), baseUrl: Option.none() })),
  ({ baseUrl, key }): Account => ({
    apiKey: Option.getOrUndefined(Option.filter(key, (key) => Redacted.value(key).trim() !== "")),
    baseUrl: Option.getOrUndefined(baseUrl)
  })
)

/** The key of the environment. */
export const key: Effect.Effect<Option.Option<Redacted.Redacted>> = Effect.map(environment, ({ apiKey }) =>
  Option.fromUndefinedOr(apiKey)
)

/** The server to use; none without a key for OpenAI's API. Other servers may need no key. */
export const find = (baseUrl: Given<string> | undefined): Effect.Effect<Option.Option<Account>> =>
  Effect.map(environment, (found) => {
    const account = { ...found, baseUrl: baseUrl?.value ?? found.baseUrl }
    return account.apiKey === undefined && account.baseUrl === undefined ? Option.none() : Option.some(account)
  })

export const missingKey = "There is no key for OpenAI's API."

export const remedy =
  "Set OPENAI_API_KEY, or give the URL of another server, as in --base-url http://localhost:11434/v1 for Ollama."

/** The server to use. Fails with a message for the user if there is none. */
export const require = (baseUrl: Given<string> | undefined): Effect.Effect<Account, CommandFailed> =>
  Effect.flatMap(
    find(baseUrl),
    Option.match({
      onNone: () => Effect.fail(new CommandFailed({ message: `${missingKey} ${remedy}` })),
      onSome: Effect.succeed
    })
  )
