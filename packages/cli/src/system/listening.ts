/** Why a server cannot listen on an address. */

const codeOf = (cause: unknown): unknown => (cause instanceof Error && "code" in cause ? cause.code : undefined)

/** Whether another process listens on the port. */
export const isInUse = (cause: unknown): boolean => codeOf(cause) === "EADDRINUSE"

export const reasonOf = (cause: unknown): string => {
  const code = codeOf(cause)
  if (isInUse(cause)) return "another process uses this port"
  if (code === "EACCES") return "permission denied; use a port from 1024"
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") return "this machine has no such address"
  return cause instanceof Error ? cause.message : String(cause)
}
