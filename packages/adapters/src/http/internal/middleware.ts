import * as Context from "effect/Context"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import { BadRequest, BodyTooLarge, Forbidden, InternalError, NotAllowed, ReadOnly, Unauthorized } from "../ApiError.ts"
import type { Role } from "./model.ts"

/** Reports requests that do not fit the schemas, and unexpected failures. */
export class RequestErrors extends HttpApiMiddleware.Service<RequestErrors>()("@baton/adapters/http/RequestErrors", {
  error: [BadRequest, Forbidden, BodyTooLarge, InternalError]
}) {}

/** Who sends a request. The name is that of the token, if it has one. */
export class Caller extends Context.Service<Caller, { readonly role: Role; readonly name: string | undefined }>()(
  "@baton/adapters/http/Caller"
) {}

/** Requires a token with the role that an endpoint needs, and refuses changes if the server is read-only. */
export class Access extends HttpApiMiddleware.Service<Access, { provides: Caller }>()("@baton/adapters/http/Access", {
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, ReadOnly, NotAllowed]
}) {}
