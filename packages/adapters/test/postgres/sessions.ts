import { Effect, type Scope } from "effect"
import type { Socket } from "node:net"
import * as Front from "./front.ts"
import { messages } from "./pooler.ts"

/**
 * A pooler in session mode: a client has its own session until it disconnects, and the session is reset for the next client
 * that connects with the same parameters. Starting a session of PostgreSQL takes more processor time than most cases.
 */
export interface Sessions {
  readonly url: string
  /** Waits until all sessions with this application name are reset. Those that still have a client are closed. */
  readonly settled: (applicationName: string) => Effect.Effect<void>
}

/** A pooler for the server at the URL. Where the connection is encrypted, each client has a new session of the server. */
export const make = (url: string): Effect.Effect<Sessions, never, Scope.Scope> => {
  const encrypted = !["disable", "allow", "prefer", null].includes(new URL(url).searchParams.get("sslmode"))
  if (encrypted) return Effect.succeed({ url, settled: () => Effect.void })
  return Front.make(url, start)
}

interface Session {
  readonly socket: Socket
  /** The startup message of its clients. */
  readonly startup: string
  /** What the server answered to it, without the authentication. */
  readonly greeting: Array<Buffer>
  client: Socket | undefined
  state: "starting" | "lent" | "resetting" | "idle"
  /** The number of times that the server still has to become ready for a query. */
  unanswered: number
  /** The server is ready for the beginning of a transaction, as far as it has answered. */
  isReady: boolean
}

const authenticated = Buffer.from("R\0\0\0\u0008\0\0\0\0")
const discard = Buffer.concat([Buffer.from("Q\0\0\0\u0010"), Buffer.from("DISCARD ALL\0")])
const cancelRequest = 80_877_102

const start = ({ connect, url }: Front.Front) => {
  const all = new Set<Session>()
  let waiting: Array<() => void> = []

  const changed = () => {
    for (const look of waiting.splice(0)) look()
  }

  const open = (startup: Buffer, client: Socket): Session => {
    const socket = connect(() => socket.write(startup))
    const session: Session = {
      socket,
      startup: startup.toString("latin1"),
      greeting: [authenticated],
      client,
      state: "starting",
      unanswered: 1,
      isReady: false
    }
    all.add(session)
    const read = messages(({ bytes, kind }) => {
      if (session.state === "starting" && kind !== "R") session.greeting.push(bytes)
      if (kind !== "Z") return
      session.unanswered--
      session.isReady = bytes.at(-1) === "I".charCodeAt(0)
      if (session.state === "starting") session.state = "lent"
      else if (session.state === "resetting") {
        session.state = "idle"
        changed()
      }
    })
    socket.on("data", (chunk: Buffer) => {
      const { client } = session
      read(chunk)
      client?.write(chunk)
    })
    socket.on("close", () => {
      all.delete(session)
      session.client?.destroy()
      changed()
    })
    return session
  }

  /** Resets the session, or closes it if it is in the middle of something. */
  const release = (session: Session) => {
    session.client = undefined
    if (session.state !== "lent" || session.unanswered > 0 || !session.isReady) {
      all.delete(session)
      session.socket.destroy()
      return
    }
    session.state = "resetting"
    session.unanswered++
    session.socket.write(discard)
  }

  const serve = (client: Socket, startup: Buffer) => {
    const name = startup.toString("latin1")
    const idle = [...all].find((session) => session.state === "idle" && session.startup === name)
    const session = idle ?? open(startup, client)
    if (idle !== undefined) {
      idle.state = "lent"
      idle.client = client
      client.write(Buffer.concat(idle.greeting))
    }
    const receive = messages(({ bytes, kind }) => {
      if (session.client !== client) return
      if (kind === "X") {
        client.end()
        return release(session)
      }
      if (kind === "S" || kind === "Q") session.unanswered++
      else session.isReady = false
      session.socket.write(bytes)
    })
    client.on("data", receive)
    client.on("close", () => {
      if (session.client === client) release(session)
    })
  }

  const accept = (client: Socket) => {
    client.once("data", (packet: Buffer) => {
      if (packet.readInt32BE(4) === cancelRequest) {
        const socket = connect(() => socket.end(packet))
        socket.on("close", () => client.destroy())
      } else {
        serve(client, packet)
      }
    })
  }

  const settled = (applicationName: string) =>
    Effect.callback<void>((resume) => {
      const look = () => {
        const named = [...all].filter(({ startup }) => startup.includes(`\0application_name\0${applicationName}\0`))
        for (const session of named) if (session.client !== undefined) release(session)
        if (named.some((session) => session.state === "resetting" && all.has(session))) waiting.push(look)
        else resume(Effect.void)
      }
      look()
    })

  return { url, settled, accept }
}
