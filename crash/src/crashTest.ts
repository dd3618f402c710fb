/** The test on private stores, whose servers it can stop. */
import { Effect, type Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundleInto } from "../../packages/adapters/test/bundle.ts"
import { faultTest, type FaultTestResult, type Options, workers } from "./faultTest.ts"
import * as Proxy from "./proxy.ts"
import { layers, startServer, type StoreName, withPort } from "./stores.ts"

const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-crash-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }))
)

export const crashTest = Effect.fnUntraced(function* (
  store: StoreName,
  options: Options
): Effect.fn.Return<FaultTestResult, never, Scope.Scope> {
  const server = yield* startServer(store)
  const programs = yield* folder
  const worker = yield* Effect.promise(() => bundleInto(programs, new URL("worker.ts", import.meta.url)))
  const place = server?.url ?? join(yield* folder, "baton.db")
  const proxies =
    server === undefined ? [] : yield* Effect.forEach(Array.from({ length: workers }), () => Proxy.make(server.port))
  return yield* faultTest(
    {
      name: store,
      open: layers[store](place),
      worker: { file: worker, args: [store] },
      placeOf: (index) => {
        const proxy = proxies[index]
        return proxy === undefined ? place : withPort(place, proxy.port)
      },
      server,
      proxies,
      sharesLock: server === undefined
    },
    options
  )
})
