/** Who may do what: tokens with their roles, and `readOnly`. */
import * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import { NotAllowed, ReadOnly, Unauthorized } from "../ApiError.ts"
import { isLoopback } from "./hosts.ts"
import { Access, Caller } from "./middleware.ts"
import type { Role } from "./model.ts"

/** A token that the server accepts. */
export interface Token {
  readonly token: Redacted.Redacted
  /** Default: `operate`. */
  readonly role?: Role | undefined
  /** The person whose token it is, and in whose name its decisions are recorded. Default: the name in the request. */
  readonly name?: string | undefined
}

export interface Options {
  readonly tokens: ReadonlyArray<Token>
  readonly readOnly: boolean
}

/** Each role has the rights of the roles before it. */
const rank = { view: 0, review: 1, operate: 2 } as const satisfies Record<Role, number>

export const includes = (role: Role, needed: Role): boolean => rank[role] >= rank[needed]

/** Hashes have one length, so that a comparison takes the same time for every token. */
const digest = (text: string) => createHash("sha256").update(text).digest()

/** Finds the caller of a request by its token. */
export interface Authority {
  readonly callerOf: (
    token: string
  ) => Effect.Effect<Caller["Service"], Unauthorized, HttpServerRequest.HttpServerRequest>
  /** Fails unless the caller has a role. */
  readonly require: (caller: Caller["Service"], needed: Role) => Effect.Effect<void, ReadOnly | NotAllowed>
}

export const make = ({ readOnly, tokens }: Options): Authority => {
  const known: ReadonlyArray<{ readonly caller: Caller["Service"]; readonly digest: Buffer }> = tokens.map(
    ({ name, role = "operate", token }) => ({
      caller: { role: readOnly ? "view" : role, name },
      digest: digest(Redacted.value(token))
    })
  )
  const anonymous = { role: readOnly ? "view" : "operate", name: undefined } as const
  const callerOf = Effect.fnUntraced(function* (token: string) {
    if (known.length === 0) {
      const { remoteAddress } = yield* HttpServerRequest.HttpServerRequest
      if (Option.exists(remoteAddress, isLoopback)) return anonymous
      return yield* new Unauthorized({
        message: "This server has no token, so that it answers only programs on its own machine."
      })
    }
    if (token === "") {
      return yield* new Unauthorized({
        message: "This server requires a token: send the header `Authorization: Bearer TOKEN`."
      })
    }
    const given = digest(token)
    let found: Caller["Service"] | undefined
    // Every token is compared, so that the time does not depend on the one that matches.
    for (const { caller, digest } of known) if (timingSafeEqual(given, digest)) found = caller
    return found ?? (yield* new Unauthorized({ message: "This server does not know the token." }))
  })
  return {
    callerOf,
    require: ({ role }, needed) => {
      if (includes(role, needed)) return Effect.void
      return readOnly
        ? Effect.fail(new ReadOnly({ message: "This server is read-only: it refuses every change." }))
        : Effect.fail(
            new NotAllowed({ message: `This requires a token with the role ${needed}. The role of yours is ${role}.` })
          )
    }
  }
}

/** The role that an endpoint requires. */
const neededFor = ({ identifier, method }: HttpApiEndpoint.Top): Role =>
  method === "GET" ? "view" : identifier === "decide" || identifier === "find" ? "review" : "operate"

export const layer = ({ callerOf, require }: Authority): Layer.Layer<Access> =>
  Layer.succeed(Access, {
    bearer: (handler, { credential, endpoint }) =>
      Effect.gen(function* () {
        const caller = yield* callerOf(Redacted.value(credential))
        yield* require(caller, neededFor(endpoint))
        return yield* Effect.provideService(handler, Caller, caller)
      })
  })
