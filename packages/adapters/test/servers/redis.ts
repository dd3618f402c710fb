import { Effect, type Scope } from "effect"
import { connect } from "node:net"
import { findProgram, freePort, makeFolder, serve, type Server } from "./process.ts"

/** Whether a Redis without a password answers at this address. */
const answers = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 60_000 })
    const end = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.once("connect", () => socket.write("PING\r\n"))
    socket.once("data", (reply) => end(reply.toString().startsWith("+PONG")))
    socket.once("timeout", () => end(false))
    socket.once("error", () => end(false))
    socket.once("close", () => end(false))
  })

/** The shared server: the configured one, the running one, or one that is started for the tests. */
export const find = async (): Promise<Pick<Server, "url" | "remove"> | undefined> => {
  const remove = async () => {}
  const named = process.env.BATON_TEST_REDIS_URL
  // Not probed: it may need a password, which the tests' client sends.
  if (named !== undefined && named !== "") return { url: named, remove }
  if (await answers("127.0.0.1", 6379)) return { url: "redis://127.0.0.1:6379", remove }
  return isInstalled() ? start() : undefined
}

/** Whether `start` can start a server. */
export const isInstalled = (): boolean => findProgram("redis-server") !== undefined

/** Starts a private Redis, for tests that stop it or change its settings. Keeps its data across a restart. */
export const start = async (more: Readonly<Record<string, string>> = {}): Promise<Server> => {
  const command = findProgram("redis-server")
  if (command === undefined) throw new Error("No redis-server was found: install Redis.")
  const folder = makeFolder("redis", undefined)
  const port = await freePort()
  const given = { bind: "127.0.0.1", port: String(port), dir: folder, appendonly: "yes", save: "", ...more }
  return serve(
    {
      command,
      args: Object.entries(given).flatMap(([name, value]) => [`--${name}`, value]),
      user: undefined,
      folder,
      ready: /Ready to accept connections/,
      signals: { stop: "SIGTERM", crash: "SIGKILL" }
    },
    `redis://127.0.0.1:${port}`,
    port
  )
}

/** A private Redis, which ends with the test. */
export const temporary = (more?: Readonly<Record<string, string>>): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(more)),
    (server) => Effect.promise(() => server.remove())
  )
