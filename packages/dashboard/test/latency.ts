/** Measures the time from a change by another connection to the screen: `node packages/dashboard/test/latency.ts`. */
import { BatonServer } from "@baton/adapters/http"
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { Task, TaskStore } from "@baton/core"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import { HttpServer } from "effect/http"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { launch, open, visit } from "./browser.ts"

const rounds = 60

const folder = mkdtempSync(join(tmpdir(), "baton-latency-"))
const store = () => Layer.fresh(SqliteTaskStore.layer({ filename: join(folder, "store.db") }))
const files = join(import.meta.dirname, "../dist")
const worker = ManagedRuntime.make(store())
const server = ManagedRuntime.make(
  BatonServer.layerHttp({ files }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 })),
    Layer.provide(store())
  )
)
const ids = Array.from({ length: rounds }, (_, index) => Task.TaskId.make(`task-${index}`))
await worker.runPromise(
  TaskStore.TaskStore.use(({ add }) => add(ids.map((id) => Task.makeNew({ id, description: "Wait." }))))
)
const url = await server.runPromise(HttpServer.addressFormattedWith(Effect.succeed))
const browser = await launch()
const { page } = await open(browser)
// All rows are on the screen.
await page.setViewportSize({ width: 1280, height: 300 + rounds * 60 })
await visit(page, `${url}/tasks`)

const times: Array<number> = []
for (const [round, id] of ids.entries()) {
  // Intervals that match no timer of the server or of the page.
  await page.waitForTimeout(300 + 37 * (round % 17))
  const shown = page.evaluate(
    (count) =>
      new Promise<number>((resolve) => {
        const look = () =>
          document.querySelectorAll('tbody .badge[data-status="cancelled"], [role=row] .badge[data-status="cancelled"]')
            .length >= count
            ? resolve(Date.now())
            : requestAnimationFrame(look)
        look()
      }),
    round + 1
  )
  const began = Date.now()
  await worker.runPromise(TaskStore.TaskStore.use(({ cancel }) => cancel({ ids: [id] })))
  times.push((await shown) - began)
}
times.sort((left, right) => left - right)
const at = (share: number) => `${times[Math.ceil(times.length * share) - 1]} ms`
process.stdout.write(`from a change to the screen: median ${at(0.5)}, 95th percentile ${at(0.95)}, worst ${at(1)}\n`)

await browser.close()
await server.dispose()
await worker.dispose()
rmSync(folder, { recursive: true })
