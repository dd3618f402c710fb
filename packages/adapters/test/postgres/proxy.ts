import { Effect, type Scope } from "effect"
import type { Socket } from "node:net"
import * as Front from "./front.ts"

/** A proxy in front of a server that can make the network fail. */
export interface Proxy {
  readonly url: string
  /** The number of packets that clients sent. */
  readonly sent: () => number
  /** Waits for an answer on each connection on which a client sent something. */
  readonly answered: Effect.Effect<void>
  /** Drops everything from now on without closing connections, like a half-open connection. */
  readonly swallow: () => void
  /** Drops the answers of the server from now on. */
  readonly swallowAnswers: () => void
  /** Drops the answers on the open connections from now on. New connections work. */
  readonly deafen: () => void
  /** Closes all connections. New ones work. */
  readonly restore: () => void
}

/** A proxy in front of the server at the URL. */
export const make = (url: string): Effect.Effect<Proxy, never, Scope.Scope> => Front.make(url, start)

const start = ({ connect, disconnect, url }: Front.Front) => {
  let requests = true
  let answers = true
  let deafUntil = 0
  let opened = 0
  let sent = 0
  const unanswered = new Set<number>()

  const accept = (client: Socket) => {
    const number = ++opened
    const upstream = connect()
    client.on("data", (chunk) => {
      sent++
      unanswered.add(number)
      if (requests) upstream.write(chunk)
    })
    upstream.on("data", (chunk) => {
      unanswered.delete(number)
      if (answers && number > deafUntil) client.write(chunk)
    })
    client.on("close", () => {
      unanswered.delete(number)
      upstream.destroy()
    })
    upstream.on("close", () => {
      // Closing a connection counts as an answer.
      if (answers) client.destroy()
    })
  }

  return {
    url,
    accept,
    sent: () => sent,
    answered: Effect.yieldNow.pipe(Effect.repeat({ while: () => unanswered.size > 0 }), Effect.asVoid),
    swallow: () => {
      requests = false
      answers = false
    },
    swallowAnswers: () => {
      answers = false
    },
    deafen: () => {
      deafUntil = opened
    },
    restore: () => {
      requests = true
      answers = true
      disconnect()
    }
  }
}
