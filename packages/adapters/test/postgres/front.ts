import { Effect, type Scope } from "effect"
import * as Net from "node:net"

/** A server in front of a PostgreSQL server. */
export interface Front {
  /** That of the server behind, with the address of this one. */
  readonly url: string
  /** Opens a connection to the server behind. */
  readonly connect: (onConnect?: () => void) => Net.Socket
  /** Closes the connections on both sides. */
  readonly disconnect: () => void
}

/** Listens on a free port until the scope ends, and gives each connection of a client to `accept`. */
export const make = <A extends { readonly accept: (client: Net.Socket) => void }>(
  url: string,
  start: (front: Front) => A
): Effect.Effect<A, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly started: A; readonly end: () => void }>((resume) => {
        const target = new URL(url)
        const sockets = new Set<Net.Socket>()
        const keep = (socket: Net.Socket): Net.Socket => {
          sockets.add(socket)
          // Otherwise small packets wait up to 40 ms to be sent together.
          socket.setNoDelay(true)
          socket.on("error", () => socket.destroy())
          socket.on("close", () => sockets.delete(socket))
          return socket
        }
        const disconnect = () => {
          for (const socket of sockets) socket.destroy()
        }
        const server = Net.createServer()
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const own = new URL(url)
          own.port = typeof address === "object" && address !== null ? String(address.port) : ""
          own.hostname = "127.0.0.1"
          const started = start({
            url: own.href,
            connect: (onConnect) =>
              keep(Net.connect({ host: target.hostname, port: Number(target.port || 5432) }, onConnect)),
            disconnect
          })
          server.on("connection", (client) => started.accept(keep(client)))
          const end = () => {
            server.close()
            disconnect()
          }
          resume(Effect.succeed({ started, end }))
        })
      }),
      ({ end }) => Effect.sync(end)
    ),
    ({ started }) => started
  )
