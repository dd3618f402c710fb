/** Who may do what: the token, and `readOnly`. */
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import { ReadOnly, Unauthorized } from "../ApiError.ts"
import { isLoopback } from "./hosts.ts"
import { Access } from "./middleware.ts"

export interface Options {
  readonly token: Redacted.Redacted | undefined
  readonly readOnly: boolean
}

/** Hashes have one length, so that the comparison takes the same time for every token. */
const digest = (text: string) => createHash("sha256").update(text).digest()

export const layer = ({ readOnly, token }: Options): Layer.Layer<Access> => {
  const expected = token === undefined ? undefined : digest(Redacted.value(token))
  return Layer.succeed(Access, {
    bearer: (handler, { credential, endpoint }) =>
      Effect.gen(function* () {
        const given = Redacted.value(credential)
        if (expected === undefined) {
          const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
          if (!Option.exists(remoteAddress, isLoopback)) {
            return yield* new Unauthorized({
              message: "This server has no token, so that it answers only programs on its own machine."
            })
          }
        } else if (given === "") {
          return yield* new Unauthorized({
            message: "This server requires its token: send the header `Authorization: Bearer TOKEN`."
          })
        } else if (!timingSafeEqual(digest(given), expected)) {
          return yield* new Unauthorized({ message: "The token is not the one of this server." })
        }
        if (readOnly && endpoint.method !== "GET") {
          return yield* new ReadOnly({ message: "This server is read-only: it refuses every change." })
        }
        return yield* handler
      })
  })
}
