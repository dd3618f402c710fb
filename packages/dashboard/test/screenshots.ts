/** Makes the pictures of the documentation: `node packages/dashboard/test/screenshots.ts`. */
import { Execution, type TaskStore } from "@baton/core"
import { Duration, Effect } from "effect"
import { join } from "node:path"
import { launch, open, visit } from "./browser.ts"
import { compared, examples } from "./records.ts"
import { startServer } from "./server.ts"

const folder = join(import.meta.dirname, "../../../docs/images")

const work = Effect.fnUntraced(function* (store: TaskStore.TaskStore["Service"]) {
  const claims = yield* store.claim({ queues: ["reviews"], owner: "a", limit: 3, lease: Duration.minutes(5) })
  yield* store.settle(
    claims.map(({ task, token }) => ({
      _tag: "Complete",
      taskId: task.id,
      token,
      execution: Execution.make({ output: "The customer likes it." }),
      verification: null,
      verified: true,
      attemptUsage: null,
      usage: null
    }))
  )
})

const server = await startServer(examples)
await server.change(({ budgets }) =>
  budgets === undefined
    ? Effect.void
    : budgets.set("reviews", { limit: { nanoUsd: 15e9 }, committed: { nanoUsd: 8.42e9, tokens: 0 } })
)
const browser = await launch()

const queues = await open(browser, { colorScheme: "light" })
await visit(queues.page, server.url)
// The rate is measured while the page is open.
for (let second = 0; second < 6; second++) {
  await queues.page.waitForTimeout(1000)
  await server.change(work)
}
await queues.page.screenshot({ path: join(folder, "dashboard-queues.png") })

const task = await open(browser, { colorScheme: "dark" })
await visit(task.page, `${server.url}/task?id=${encodeURIComponent(compared.task.id)}&view=changes`)
await task.page.screenshot({ path: join(folder, "dashboard-task.png") })

await browser.close()
await server.close()
