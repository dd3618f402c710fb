/** Makes the pictures of the documentation: `node packages/dashboard/test/screenshots.ts`. */
import { Execution, type TaskStore } from "@baton/core"
import { Duration, Effect } from "effect"
import { join } from "node:path"
import { launch, openAlone, visit } from "./browser.ts"
import { audited, compared, examples, inReview } from "./records.ts"
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
      verified: true
    }))
  )
})

const server = await startServer([...examples, ...audited, ...inReview])
await server.change(({ budgets }) =>
  budgets === undefined
    ? Effect.void
    : budgets.set("reviews", { limit: { nanoUsd: 15e9 }, committed: { nanoUsd: 8.42e9, tokens: 0 } })
)
// Tasks are restored with leases that have expired.
await server.change((store) =>
  Effect.gen(function* () {
    const { tasks } = yield* store.list({ status: "in_progress" })
    const ledgers = yield* Effect.forEach(tasks, ({ id }) => store.attempts(id))
    yield* store.extend(
      ledgers.flatMap((attempts) => attempts.slice(-1)),
      Duration.hours(1)
    )
  })
)
const browser = await launch()

const pages = {
  tasks: "/tasks?queue=reviews",
  task: `/task?id=${encodeURIComponent(compared.task.id)}&view=changes`,
  failures: "/failures",
  settings: "/settings?queue=reviews",
  audit: "/audit?queue=replies&share=1",
  review: "/review"
}

for (const colorScheme of ["light", "dark"] as const) {
  const picture = (name: string) => join(folder, `dashboard-${name}-${colorScheme}.png`)
  const { close, page } = await openAlone(browser)
  await page.emulateMedia({ colorScheme })
  await visit(page, server.url)
  // The rate is measured while the page is open.
  for (let second = 0; second < 6; second++) {
    await page.waitForTimeout(1000)
    await server.change(work)
  }
  await page.screenshot({ path: picture("queues") })
  for (const [name, path] of Object.entries(pages)) {
    await visit(page, `${server.url}${path}`)
    await page.locator("main .loading").waitFor({ state: "detached" })
    if (name === "review") await page.keyboard.press("v")
    await page.waitForTimeout(300)
    await page.screenshot({ path: picture(name) })
  }
  await close()
}

await browser.close()
await server.close()
