/** As whom and where Claude's API is asked: what the environment says. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CommandFailed } from "../system/CommandFailed.ts"

/** A key, and the address it is for. */
export interface Account {
  readonly apiKey: Redacted.Redacted
  /** Undefined for the API's own address. */
  readonly baseUrl: string | undefined
}

const fromEnvironment = Config.all({
  key: Config.option(Config.Redacted("ANTHROPIC_API_KEY")),
  token: Config.option(Config.Redacted("ANTHROPIC_AUTH_TOKEN")),
  baseUrl: Config.option(Config.NonEmptyString("ANTHROPIC_BASE_URL"))
})

/** The account of the environment; none without a key. `ANTHROPIC_API_KEY` wins over `ANTHROPIC_AUTH_TOKEN`. */
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

/** The account of the environment, or one sentence on how to get one. */
export const require: Effect.Effect<Account, CommandFailed> = Effect.flatMap(
  find,
  Option.match({
    onNone: () =>
      Effect.fail(
        new CommandFailed({
          message:
            "There is no key for Claude's API: put one into the environment as ANTHROPIC_API_KEY (console.anthropic.com has them), or try the run out with --executor fake."
        })
      ),
    onSome: Effect.succeed
  })
)
