import { createServer, type Socket, connect } from "node:net"
import { Effect, type Scope } from "effect"

/** A TCP proxy between a worker and its server that can break their connections. */
export interface Proxy {
  readonly port: number
  /** Resets all connections. */
  readonly cut: () => void
  /**
   * Makes all connections half-open: they stay open, and drop every byte for the rest of their life. New connections do the
   * same until `restore` is called.
   */
  readonly halfOpen: () => void
  readonly restore: () => void
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  isHalfOpen: boolean
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
    ({ cut, halfOpen, listener, restore }) => {
      const address = listener.address()
      return { port: typeof address === "object" && address !== null ? address.port : 0, cut, halfOpen, restore }
    }
  )

const open = (target: number) => {
  const pairs = new Set<Pair>()
  let opensHalf = false

  const listener = createServer((client) => {
    const pair: Pair = { client, server: connect(target, "127.0.0.1"), isHalfOpen: opensHalf }
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
        if (!pair.isHalfOpen) to.write(bytes)
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
    halfOpen: () => {
      opensHalf = true
      for (const pair of pairs) pair.isHalfOpen = true
    },
    restore: () => {
      opensHalf = false
    }
  }
}
