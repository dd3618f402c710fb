import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import { BadRequest, BodyTooLarge, Forbidden, InternalError, ReadOnly, Unauthorized } from "../ApiError.ts"

/** Reports requests that do not fit the schemas, and unexpected failures. */
export class RequestErrors extends HttpApiMiddleware.Service<RequestErrors>()("@baton/adapters/http/RequestErrors", {
  error: [BadRequest, Forbidden, BodyTooLarge, InternalError]
}) {}

/** Requires the token, and refuses changes if the server is read-only. */
export class Access extends HttpApiMiddleware.Service<Access>()("@baton/adapters/http/Access", {
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, ReadOnly]
}) {}
