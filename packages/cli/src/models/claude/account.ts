/** The key and the URL for Claude's API, from the environment. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CommandFailed } from "../../system/CommandFailed.ts"

/** A key and the URL that it is for. */
export interface Account {
  readonly apiKey: Redacted.Redacted
  /** Undefined for the default URL. */
  readonly baseUrl: string | undefined
}

const fromEnvironment = Config.all({
  key: Config.option(Config.Redacted("ANTHROPIC_API_KEY")),
  token: Config.option(Config.Redacted("ANTHROPIC_AUTH_TOKEN")),
  baseUrl: Config.option(Config.NonEmptyString("ANTHROPIC_BASE_URL"))
})

/** The account of the environment; none without a key. `ANTHROPIC_API_KEY` overrides `ANTHROPIC_AUTH_TOKEN`. */
export const find: Effect.Effect<Option.Option<Account>> = Effect.map(
  Effect.orElseSucceed(fromEnvironment, () => ({ key: Option.none(), token: Option.none(), baseUrl: Option.none() })),
  ({ baseUrl, key, token }) =>
    Option.map(
      Option.orElse(filled(key), () => filled(token)),
      (apiKey) => ({
        apiKey,
        baseUrl: Option.getOrUndefined(baseUrl)
      })
    )
)

const filled = Option.filter((key: Redacted.Redacted) => Redacted.value(key).trim() !== "")

/** The account of the environment. Fails with a message for the user if there is none. */
export const require: Effect.Effect<Account, CommandFailed> = Effect.flatMap(
  find,
  Option.match({
    onNone: () =>
      Effect.fail(
        new CommandFailed({
          message:
            "There is no key for Claude's API. Get one at console.anthropic.com and set ANTHROPIC_API_KEY, or try the run with --executor fake."
        })
      ),
    onSome: Effect.succeed
  })
)
