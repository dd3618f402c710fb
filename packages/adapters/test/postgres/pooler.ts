import type { Effect, Scope } from "effect"
import type { Socket } from "node:net"
import * as Front from "./front.ts"

/**
 * A pooler in transaction mode, as strict as PgBouncer: it lends a session for one transaction, resets the session
 * afterwards, and refuses settings in the startup message of a connection.
 */
export interface Pooler {
  readonly url: string
  /** Requests of clients that such a pooler does not support. */
  readonly complaints: ReadonlyArray<string>
}

/** Few, so that the transactions of one client run in different sessions. */
const sessions = 3

const understood = new Set(["user", "database", "application_name", "client_encoding"])

/** A pooler in front of the server at the URL, which has to admit its user without a password, and the name of its sessions. */
export const make = (url: string, applicationName = "baton-test"): Effect.Effect<Pooler, never, Scope.Scope> =>
  Front.make(url, (front) => start(front, startup(new URL(url), applicationName)))

/** A message of the protocol, with all its bytes. */
export interface Message {
  readonly kind: string
  readonly bytes: Buffer
}

/** Splits a stream of bytes into messages. */
export const messages = (onMessage: (message: Message) => void) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const end = rest.readInt32BE(1) + 1
      const bytes = rest.subarray(0, end)
      rest = rest.subarray(end)
      onMessage({ kind: String.fromCharCode(bytes[0] ?? 0), bytes })
    }
  }
}

const message = (kind: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.write(kind, 0)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

const authenticated = message("R", int32(0))
const key = message("K", Buffer.concat([int32(1), int32(1)]))
const ready = message("Z", Buffer.from("I"))
const forget = message("Q", Buffer.from("DISCARD ALL\0"))
const failure = (text: string) => message("E", Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${text}\0\0`))

interface Session {
  readonly socket: Socket
  /** The client that uses it. */
  client: Client | undefined
  forgetting: boolean
}

interface Client {
  readonly socket: Socket
  readonly unsent: Array<Buffer>
  session: Session | undefined
}

const startup = (target: URL, applicationName: string): Buffer => {
  const user = decodeURIComponent(target.username)
  const database = target.pathname.slice(1)
  const body = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0${applicationName}\0\0`)
  return Buffer.concat([int32(body.length + 8), int32(196_608), body])
}

const start = ({ connect, url }: Front.Front, startupMessage: Buffer) => {
  const complaints: Array<string> = []
  const idle: Array<Session> = []
  const waiting: Array<Client> = []

  const lend = () => {
    while (idle.length > 0 && waiting.length > 0) {
      const session = idle.shift()
      const client = waiting.shift()
      if (session === undefined || client === undefined) return
      session.client = client
      client.session = session
      for (const bytes of client.unsent.splice(0)) session.socket.write(bytes)
    }
  }

  const release = (session: Session) => {
    if (session.client !== undefined) session.client.session = undefined
    session.client = undefined
    session.forgetting = true
    session.socket.write(forget)
  }

  const openSession = () => {
    const socket = connect(() => socket.write(startupMessage))
    const session: Session = { socket, client: undefined, forgetting: true }
    socket.on(
      "data",
      messages(({ bytes, kind }) => {
        const isReady = kind === "Z"
        if (session.forgetting) {
          if (!isReady) return
          session.forgetting = false
          idle.push(session)
          lend()
          return
        }
        const { client } = session
        client?.socket.write(bytes)
        if (isReady && bytes.at(-1) === "I".charCodeAt(0)) release(session)
      })
    )
  }

  const serve = (client: Client, { bytes, kind }: Message) => {
    if (kind === "X") {
      client.socket.destroy()
      return
    }
    // A client names a statement to run it again later.
    if (kind === "P" && bytes[5] !== 0) complaints.push("a prepared statement")
    if (client.session !== undefined) {
      client.session.socket.write(bytes)
      return
    }
    client.unsent.push(bytes)
    if (!waiting.includes(client)) waiting.push(client)
    lend()
  }

  const accept = (socket: Socket) => {
    const client: Client = { socket, unsent: [], session: undefined }
    const receive = messages((received) => serve(client, received))
    socket.once("data", (packet: Buffer) => {
      const names = packet
        .subarray(8, packet.readInt32BE(0) - 1)
        .toString()
        .split("\0")
        .filter((_, index) => index % 2 === 0)
      const refused = names.filter((name) => name !== "" && !understood.has(name))
      complaints.push(...refused)
      if (refused.length > 0) {
        socket.end(failure(`unsupported startup parameter: ${refused.join(", ")}`))
      } else {
        socket.on("data", receive)
        socket.write(Buffer.concat([authenticated, key, ready]))
      }
    })
    socket.on("close", () => {
      // The session may be in the middle of a transaction.
      client.session?.socket.destroy()
      if (client.session !== undefined) openSession()
    })
  }

  for (let opened = 0; opened < sessions; opened++) openSession()

  return { url, complaints, accept }
}
