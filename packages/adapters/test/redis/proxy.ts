import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** A network between a store and its server, which can be made to misbehave. */
export interface Proxy {
  readonly url: string
  /** Passes everything on, as at the start. */
  readonly heal: () => void
  /** Swallows everything, on the connections that there are and on new ones: nobody is told that nobody listens. */
  readonly swallow: () => void
  /** Swallows what the server says; what it is told still gets there. */
  readonly swallowReplies: () => void
  /** Swallows what the server says on connections that listen to a channel; all others are as they should be. */
  readonly deafen: () => void
  /** Ends all connections. */
  readonly cut: () => void
  /** How many connections were made so far. */
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
