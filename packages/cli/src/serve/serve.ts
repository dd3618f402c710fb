/** `baton serve`: the web page and the HTTP API of a store, until the process is stopped. */
import { BatonServer } from "@baton/adapters/http"
import type { TaskStore } from "@baton/core/TaskStore"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import type * as Stdio from "effect/Stdio"
import { createServer } from "node:http"
import { isIPv4 } from "node:net"
import { hostname } from "node:os"
import { fileURLToPath } from "node:url"
import type { ServeFlags } from "../settings/flags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { isInUse, reasonOf } from "../system/listening.ts"
import { safe } from "../view/safeText.ts"
import { printMessage } from "../view/stderr.ts"
import { writeLine } from "../view/stdout.ts"
import { readTokens } from "./tokenFile.ts"

/** Serves the store until it is interrupted. */
export const serve = Effect.fnUntraced(function* (
  options: ServeFlags & { readonly open: boolean }
): Effect.fn.Return<
  never,
  CommandFailed | PlatformError,
  TaskStore | FileSystem.FileSystem | Path.Path | Stdio.Stdio | ChildProcessSpawner.ChildProcessSpawner
> {
  const host = options.host.value
  const tokens = options.tokenFile === undefined ? [] : yield* readTokens(options.tokenFile)
  if (tokens.length === 0 && !isLoopback(host)) {
    return yield* new CommandFailed({
      message:
        `--host ${host} lets other machines in, which requires a token. Write one to a file, as in ` +
        "`openssl rand -hex 32 > token.txt`, and add --token-file token.txt."
    })
  }
  const isStopped = yield* Deferred.make<void>()
  const routes = BatonServer.layerHttp({
    readOnly: options.readOnly,
    allow: options.allow?.value,
    until: Deferred.await(isStopped),
    tokens,
    hosts: [host, hostname(), `${hostname()}.local`],
    files: yield* pageFolder
  })
  const server = routes.pipe(Layer.provideMerge(listen(host, options.port.value)))
  return yield* Effect.gen(function* () {
    const url = yield* HttpServer.addressFormattedWith(Effect.succeed)
    yield* writeLine(safe`Serving at ${url}${options.readOnly ? " (read-only)" : ""}. Press Ctrl-C to stop.`)
    if (options.open) yield* openInBrowser(url)
    return yield* Effect.never
  }).pipe(Effect.ensuring(Deferred.succeed(isStopped, undefined)), Effect.provide(server))
})

/** What else is under way, such as an agent that waits, is cut. */
const shutdownTimeout = "500 millis"

/**
 * Longer than proxies keep an idle connection, which is usually a minute. A request that arrives while the server closes its
 * connection fails. Node's default is 5 seconds.
 */
const keepAliveTimeout = 65_000

const listen = (host: string, port: number) =>
  NodeHttpServer.layer(() => createServer({ keepAliveTimeout }), {
    host,
    port,
    gracefulShutdownTimeout: shutdownTimeout
  }).pipe(
    Layer.catchTag("ServeError", ({ cause }) =>
      Layer.effectContext(
        new CommandFailed({
          message: isInUse(cause)
            ? `Another process uses port ${port} of ${host}. Choose another port, as in --port ${port + 1}, or --port 0 for a free one.`
            : `The server cannot listen on port ${port} of ${host}: ${reasonOf(cause)}.`
        })
      )
    )
  )

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))

/** The files of the page, next to the bundled program. */
const pageFolder = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const folder = fileURLToPath(new URL("../dashboard", import.meta.url))
  const exists = yield* Effect.orElseSucceed(fs.exists(`${folder}/index.html`), () => false)
  return exists ? folder : undefined
})

const openInBrowser = Effect.fnUntraced(function* (url: string) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const [program, ...args] =
    process.platform === "darwin" ? ["open"] : process.platform === "win32" ? ["explorer"] : ["xdg-open"]
  const command = ChildProcess.make(program ?? "", [...args, url], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore"
  })
  yield* Effect.catch(Effect.scoped(spawner.exitCode(command)), () =>
    printMessage(safe`No browser could be opened. Open ${url} yourself.`)
  )
})
