import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** A proxy in front of a server that can make the network fail. */
export interface Proxy {
  readonly url: string
  /** The number of packets that clients sent. */
  readonly sent: () => number
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
export const make = (url: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Running>((resume) => {
        const running = start(url)
        running.server.listen(0, "127.0.0.1", () => resume(Effect.succeed(running)))
      }),
      ({ proxy, server }) =>
        Effect.sync(() => {
          proxy.restore()
          server.close()
        })
    ),
    ({ proxy }) => proxy
  )

interface Running {
  readonly server: ReturnType<typeof createServer>
  readonly proxy: Proxy
}

const start = (url: string): Running => {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let requests = true
  let answers = true
  let deafUntil = 0
  let opened = 0
  let sent = 0

  const server = createServer((client) => {
    const number = ++opened
    const upstream = connect({ host: target.hostname, port: Number(target.port || 5432) })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on("error", () => socket.destroy())
      socket.on("close", () => sockets.delete(socket))
    }
    client.on("data", (chunk) => {
      sent++
      if (requests) upstream.write(chunk)
    })
    upstream.on("data", (chunk) => {
      if (answers && number > deafUntil) client.write(chunk)
    })
    client.on("close", () => upstream.destroy())
    upstream.on("close", () => {
      // Closing a connection counts as an answer.
      if (answers) client.destroy()
    })
  })

  return {
    server,
    proxy: {
      get url() {
        const address = server.address()
        const own = new URL(url)
        own.port = typeof address === "object" && address !== null ? String(address.port) : ""
        own.hostname = "127.0.0.1"
        return own.href
      },
      sent: () => sent,
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
        for (const socket of sockets) socket.destroy()
      }
    }
  }
}
