/** The paths of files that belong to a store. */
import { createHash } from "node:crypto"
import { dirname, join, parse } from "node:path"
import { settings } from "./settings.ts"

/**
 * The path of a file for a store: next to a store in a file, and in the directory of the default store for a store on a
 * server. Undefined for a store in memory.
 */
export const siblingFile = (storeUrl: string, kind: string): string | undefined => {
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

/** Identifies the server and the database. The user and the password are not included, because they can change. */
const fingerprint = (storeUrl: string): string => {
  const { host, pathname } = URL.canParse(storeUrl) ? new URL(storeUrl) : { host: storeUrl, pathname: "" }
  return createHash("sha256").update(`${host}${pathname}`).digest("hex").slice(0, 12)
}
