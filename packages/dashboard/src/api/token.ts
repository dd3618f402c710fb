/** The token of a server that requires one. It is kept until the window is closed, and is never put into a cookie. */

const key = "baton-token"

let current: string | undefined

const stored = (): string | undefined => {
  try {
    return sessionStorage.getItem(key) ?? undefined
  } catch {
    // Storage is blocked: the token is kept in memory.
    return undefined
  }
}

export const get = (): string | undefined => current ?? stored()

export const set = (token: string): void => {
  current = token
  try {
    sessionStorage.setItem(key, token)
  } catch {
    // As above.
  }
}

/** Takes the token out of the address that `baton serve --open` opens, so that it is not copied with the address. */
export const takeFromAddress = (): void => {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1]
  if (token === undefined) return
  history.replaceState(null, "", `${location.pathname}${location.search}`)
  set(decodeURIComponent(token))
}
