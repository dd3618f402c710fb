import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** A network between a store and its server, with faults on demand. */
export interface Proxy {
  readonly url: string
  /** Forwards everything, as at the start. */
  readonly heal: () => void
  /** Drops everything on existing and new connections, without closing them. */
  readonly swallow: () => void
  /** Drops the server's replies; requests still arrive. */
  readonly swallowReplies: () => void
  /** Drops the server's messages on subscribed connections only. */
  readonly deafen: () => void
  /** Closes all connections. */
  readonly cut: () => void
  /** The number of connections made so far. */
  readonly connections: () => number
}

/** A proxy in front of the server at `url`, until the scope closes. */
export const make = (url: string): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof start>>((resume) => {
        const proxy = start(new URL(url))
        proxy.server.listen(0, "127.0.0.1", () => resume(Effect.succeed(proxy)))
      }),
      ({ cut, server }) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          cut()
        })
    ),
    (proxy) => ({ ...proxy, url: `redis://127.0.0.1:${portOf(proxy.server)}` })
  )

const portOf = (server: ReturnType<typeof createServer>) => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const start = (target: URL) => {
  const sockets = new Set<Socket>()
  let connections = 0
  let mode: "pass" | "swallow" | "swallow replies" | "deafen" = "pass"

  const keep = (socket: Socket, other: Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => {
      sockets.delete(socket)
      other.destroy()
    })
  }

  const server = createServer((near) => {
    connections++
    const far = connect({ host: target.hostname, port: Number(target.port) || 6379 })
    keep(near, far)
    keep(far, near)
    let listens = false
    near.on("data", (chunk) => {
      listens ||= /subscribe/i.test(chunk.toString())
      if (mode !== "swallow") far.write(chunk)
    })
    far.on("data", (chunk) => {
      if (mode === "pass" || (mode === "deafen" && !listens)) near.write(chunk)
    })
  })

  return {
    server,
    heal: () => {
      mode = "pass"
    },
    swallow: () => {
      mode = "swallow"
    },
    swallowReplies: () => {
      mode = "swallow replies"
    },
    deafen: () => {
      mode = "deafen"
    },
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    connections: () => connections
  }
}
