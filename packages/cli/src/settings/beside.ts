/**
 * Where files are that belong to a store without being part of it.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import { dirname, join, parse } from "node:path"
import { settings } from "./settings.ts"

/**
 * The file of one kind for a store: beside a store that is a file, and where the default store would be for a server's,
 * which this machine alone can use. Undefined for a store that is gone with the process.
 *
 * @category getters
 * @since 0.1.0
 */
export const beside = (storeUrl: string, kind: string): string | undefined => {
  const [, scheme = "", location = ""] = /^([a-z]+):(.*)$/s.exec(storeUrl) ?? []
  switch (scheme) {
    case "memory":
      return undefined
    case "sqlite":
    case "json": {
      const { dir, name } = parse(location)
      return join(dir, `${name}.${kind}.db`)
    }
    default:
      return join(dirname(pathOf(settings.store.default)), `${scheme}-${fingerprint(storeUrl)}.${kind}.db`)
  }
}

const pathOf = (url: string) => url.slice(url.indexOf(":") + 1)

/** Of what says which store it is: a user or a password may change, and belongs into no name. */
const fingerprint = (storeUrl: string): string => {
  const { host, pathname } = URL.canParse(storeUrl) ? new URL(storeUrl) : { host: storeUrl, pathname: "" }
  return createHash("sha256").update(`${host}${pathname}`).digest("hex").slice(0, 12)
}
