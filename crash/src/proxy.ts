import { createServer, type Socket, connect } from "node:net"
import { Effect, type Scope } from "effect"

/** Stands between a worker and its server, and spoils the connection. */
export interface Proxy {
  readonly port: number
  /** Resets all connections. */
  readonly cut: () => void
  /**
   * Makes all connections half-open: they stay, and what is sent over them goes nowhere, for good. So do new ones until
   * `flow` is called.
   */
  readonly swallow: () => void
  readonly flow: () => void
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  swallowed: boolean
}

export const make = (target: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof open>>((resume) => {
        const opened = open(target)
        opened.listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(opened)))
      }),
      ({ cut, listener }) =>
        Effect.sync(() => {
          listener.close()
          cut()
        })
    ),
    ({ cut, flow, listener, swallow }) => {
      const address = listener.address()
      return { port: typeof address === "object" && address !== null ? address.port : 0, cut, swallow, flow }
    }
  )

const open = (target: number) => {
  const pairs = new Set<Pair>()
  let swallowing = false

  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect(target, "127.0.0.1"), swallowed: swallowing }
    pairs.add(pair)
    const close = () => {
      pairs.delete(pair)
      pair.client.destroy()
      pair.server.destroy()
    }
    for (const [from, to] of [
      [pair.client, pair.server],
      [pair.server, pair.client]
    ] as const) {
      from.setNoDelay(true)
      from.on("data", (bytes) => {
        if (!pair.swallowed) to.write(bytes)
      })
      from.on("error", close)
      from.on("close", close)
    }
  })

  return {
    listener,
    cut: () => {
      for (const { client, server } of pairs) {
        client.resetAndDestroy()
        server.resetAndDestroy()
      }
    },
    swallow: () => {
      swallowing = true
      for (const pair of pairs) pair.swallowed = true
    },
    flow: () => {
      swallowing = false
    }
  }
}
