import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"

/** What messages say of where a store is: never the password. */
export interface Address {
  /** As in `PostgreSQL at 127.0.0.1:5432`. */
  readonly server: string
  readonly database: string
  readonly user: string
}

/** The values that libpq knows for this. */
const sslModes = new Set(["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])

/** What a URL names, or nothing if it is none of PostgreSQL's. */
export const parse = (
  url: Redacted.Redacted
): { readonly address: Address; readonly query: URLSearchParams } | undefined => {
  const parsed = URL.parse(Redacted.value(url))
  if (parsed === null || (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:")) return undefined
  const query = parsed.searchParams
  if (!sslModes.has(query.get("sslmode") ?? "prefer") || !/^\d*$/.test(query.get("port") ?? "")) return undefined
  const host = query.get("host") ?? (parsed.hostname === "" ? "localhost" : decode(parsed.hostname))
  const port = query.get("port") ?? (parsed.port === "" ? "5432" : parsed.port)
  const user = query.get("user") ?? decode(parsed.username)
  const database = query.get("dbname") ?? decode(parsed.pathname.slice(1))
  const address = { server: `PostgreSQL at ${host}:${port}`, database: database === "" ? user : database, user }
  return { address, query }
}

/** What is not encoded properly stays as it is. */
const decode = (part: string): string =>
  Result.getOrElse(
    Result.try(() => decodeURIComponent(part)),
    () => part
  )
