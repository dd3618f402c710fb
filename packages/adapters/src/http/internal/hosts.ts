/** Which names and addresses a request may have, against pages of other sites in the user's browser. */
import { isIP, isIPv4 } from "node:net"

/** Whether an IP address belongs to this machine alone. */
export const isLoopback = (address: string): boolean => {
  const ip = address.replace(/^::ffff:/i, "")
  return isIPv4(ip) ? ip.startsWith("127.") : ip === "::1"
}

const hostnameOf = (host: string): string | undefined => {
  const url = URL.parse(`http://${host}`)
  // A host with a path or a user is not a host.
  return url === null || url.host === "" || url.pathname !== "/" || url.username !== "" ? undefined : url.hostname
}

/**
 * Whether the server may be called this. A page that wants to reach the server through a name that its own DNS server
 * points here has to use that name, so only `localhost`, addresses and the names that were given are accepted.
 */
export const isOwnHost = (host: string | undefined, names: ReadonlySet<string>): boolean => {
  const name = host === undefined ? undefined : hostnameOf(host)
  if (name === undefined) return false
  return (
    name === "localhost" ||
    name.endsWith(".localhost") ||
    isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0 ||
    names.has(name.toLowerCase())
  )
}

/** Whether the page that sends a request came from this server. */
export const isOwnOrigin = (origin: string, host: string, names: ReadonlySet<string>): boolean => {
  const url = URL.parse(origin)
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return false
  return url.host === host.toLowerCase() || names.has(url.hostname)
}
