import { QueueName, TaskId } from "@baton/core/Task"
import { Duration, Effect, Redacted } from "effect"
import type { Browser } from "playwright-core"
import { afterAll, assert, beforeAll, describe, it, vi } from "vitest"
import {
  assertAccessible,
  assertAccessibleInBothThemes,
  assertFits,
  executablePath,
  launch,
  open,
  openAlone,
  visit
} from "../browser.ts"
import { compared, examples, hostile, inReview, long, manyPending, traceId, workflows } from "../records.ts"
import { type Server, startServer } from "../server.ts"

describe.skipIf(executablePath === undefined)("the page in a browser", () => {
  let browser: Browser
  let server: Server

  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser.close())

  const withServer = (...options: Parameters<typeof startServer>) => {
    beforeAll(async () => {
      server = await startServer(...options)
    })
    afterAll(() => server.close())
  }

  describe("with outputs in review", () => {
    withServer(inReview.slice(0, 8))

    it("shows the review desk accessibly in both themes, and in a narrow window", async () => {
      const { close, errors, page } = await open(browser)
      await visit(page, `${server.url}/review?queue=notes`)
      await page.getByRole("heading", { level: 1, name: "notes/1" }).waitFor()
      await assertAccessibleInBothThemes(page)
      await page.keyboard.press("v")
      await page.locator("ins", { hasText: "Parquet" }).waitFor()
      await assertFits(page, 360)
      assert.deepStrictEqual(errors, [])
      await close()
    })

    it("decides about all outputs with the keyboard alone", async () => {
      const { close, errors, page } = await open(browser)
      await visit(page, `${server.url}/review`)
      const shown = async (id: string) => {
        await page.getByRole("heading", { level: 1, name: id, exact: true }).waitFor()
        await page.getByRole("button", { name: "Approve a" }).waitFor()
      }
      await shown("notes/1")

      const comment = 'Say "Parquet" first.\nThen  the <b>rest</b>.'
      await page.keyboard.press("r")
      const field = page.getByRole("textbox", { name: "Feedback for the next attempt" })
      await field.evaluate((element) => {
        const clipboardData = new DataTransfer()
        clipboardData.setData("text", "x".repeat(10_000_000))
        element.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
      })
      await page.getByText("this 10,000,000 characters, so it was left out. A comment has at most 65,536.").waitFor()
      await page.keyboard.type('Say "Parquet" first.')
      await page.keyboard.press("Enter")
      await page.keyboard.type("Then  the <b>rest</b>.")
      await page.keyboard.press("Control+Enter")
      await shown("notes/2")

      await page.keyboard.press("e")
      await page.keyboard.press("Control+a")
      await page.keyboard.type("Edited notes")
      await page.keyboard.press("Control+Enter")
      await shown("notes/3")

      for (let number = 3; number < 7; number++) {
        await page.keyboard.press("a")
        await shown(`notes/${number + 1}`)
      }
      // Both tabs approve the output, and the request of the other one arrives first.
      const other = await openAlone(browser)
      await visit(other.page, `${server.url}/review?id=notes%2F7`)
      await other.page.getByLabel("Your name").fill("bob")
      const isFirst = Promise.withResolvers<void>()
      await page.route("**/api/reviews", async (route) => {
        await isFirst.promise
        await route.continue()
      })
      await page.keyboard.press("a")
      await other.page.getByRole("button", { name: "Approve a" }).click()
      await other.page.getByRole("heading", { level: 1, name: "notes/8" }).waitFor()
      isFirst.resolve()
      await page.getByText("bob has already approved this output").first().waitFor()
      await shown("notes/8")
      // What is being typed stays where it is when the other tab decides.
      await page.keyboard.press("x")
      await page.keyboard.type("No.")
      await other.page.getByRole("button", { name: "Approve a" }).click()
      // A page that is closed before its request has left the browser does not decide.
      await other.page.getByText("No output waits for review").waitFor()
      await other.close()
      await page.getByText("bob approved this output.").waitFor()
      await page.keyboard.type(" as")
      assert.strictEqual(await page.getByRole("textbox", { name: "Why the task is given up" }).inputValue(), "No. as")
      assert.isTrue(await page.getByRole("button", { name: /^Give up Ctrl/ }).isDisabled())
      await page.keyboard.press("Escape")
      await page.keyboard.press("s")
      await page.getByText("No output waits for review").waitFor()

      const tasks = await server.change((store) => store.list({ limit: 100 }))
      const of = (id: string) => tasks.tasks.find((task) => task.id === id)
      assert.deepStrictEqual([of("notes/1")?.status, of("notes/1")?.feedback], ["pending", comment])
      assert.deepStrictEqual([of("notes/2")?.status, of("notes/2")?.result], ["completed", "Edited notes"])
      assert.lengthOf(
        tasks.tasks.filter(({ status }) => status === "completed"),
        7
      )
      await visit(page, `${server.url}/task?id=notes%2F2`)
      await page.getByText("Edited by web").waitFor()
      assert.deepStrictEqual(errors, [])
      await close()
    })
  })

  describe("with an execution of a workflow", () => {
    withServer(workflows)

    it("shows it as a tree of its tasks, accessibly, and cancels it", async () => {
      const { close, errors, page } = await open(browser)
      await visit(page, server.url)
      await page.getByRole("heading", { level: 2, name: "reports" }).waitFor()
      assert.strictEqual(await page.getByText("@workflow").count(), 0)
      await page.getByRole("link", { name: "Workflows" }).click()
      await page.getByLabel("Workflow").selectOption("Publish/1")
      await page.getByText('Publish/1 {"date":"2026-11-30"}').waitFor()
      await assertAccessible(page)
      await page.getByRole("link", { name: "6098519acdce" }).click()
      await page.getByText("Its steps").waitFor()
      await page.getByText("waits for a person").waitFor()
      const names = ["fetch", "summarise", "report", "Announce/1", "mail"]
      assert.deepStrictEqual(await page.locator(".step-name").allTextContents(), names)
      assert.deepStrictEqual(await page.locator(".step[data-depth='1'] .step-name").allTextContents(), ["mail"])
      await page.getByRole("link", { name: "Announce/1" }).click()
      await page.getByRole("link", { name: "Publish/1 6098519acdce" }).click()
      await page.getByText("waits for a person").waitFor()
      await assertAccessibleInBothThemes(page)
      await page.setViewportSize({ width: 360, height: 640 })
      assert.isAtMost(await page.evaluate(() => document.documentElement.scrollWidth), 360)
      await page.getByRole("button", { name: "Cancel" }).click()
      await page.getByRole("button", { name: "Cancel the execution" }).click()
      await page.locator("h1 + .badge", { hasText: "Cancelled" }).waitFor()
      await page.locator(".step .badge", { hasText: "Failed" }).waitFor()
      assert.deepStrictEqual(errors, [])
      await close()
    })
  })

  describe("with verdicts to audit", () => {
    withServer([compared])

    it("takes findings from the keyboard alone, and shows the rates accessibly", async () => {
      const { close, errors, page } = await open(browser)
      await visit(page, `${server.url}/audit?share=1`)
      await page.getByRole("heading", { level: 1, name: "release-notes/12" }).waitFor()
      await page.getByText("2 verdicts wait").waitFor()
      await page.getByRole("button", { name: "Agree a" }).waitFor()
      await assertAccessible(page)
      await page.keyboard.press("a")
      await page.getByText("1 verdict waits").waitFor()
      await page.getByRole("button", { name: "Disagree d" }).waitFor()
      await page.keyboard.press("d")
      await page.keyboard.type("The upgrade is missing.")
      await page.keyboard.press("Control+Enter")
      await page.getByText("Each verdict in the sample was audited.").waitFor()
      await page.getByText("People agree with 1 of 2 verdicts: 50% (9.5% to 90.5%).").waitFor()
      const attempts = await server.change((store) => store.attempts(compared.task.id))
      assert.deepStrictEqual(
        attempts.map(({ verification }) => verification?.audit?.agrees),
        [true, undefined, false]
      )
      await assertFits(page, 360)
      assert.deepStrictEqual(errors, [])
      await close()
    })
  })

  describe("with the tasks of several runs", () => {
    withServer([...examples, hostile])

    const pages = {
      Queues: "/",
      Tasks: "/tasks?queue=reviews",
      "Settings of reviews": "/settings?queue=reviews",
      "Report on reviews": "/report?queue=reviews",
      "release-notes/12": `/task?id=${encodeURIComponent(compared.task.id)}&view=changes`,
      Failures: "/failures"
    }

    it.each(Object.entries(pages))(
      "shows the page %s without errors, accessibly in both themes, and in a narrow window",
      async (heading, path) => {
        const { close, errors, page } = await open(browser)
        await visit(page, `${server.url}${path}`)
        await page.getByRole("heading", { level: 1, name: heading }).waitFor()
        await assertAccessibleInBothThemes(page)
        await assertFits(page, 360)
        assert.deepStrictEqual(errors, [])
        await close()
      }
    )

    it("shows a change of a task within its list and its queue", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/tasks?queue=reviews`)
      const row = page.getByRole("row").filter({ hasText: "reviews/1S" })
      await row.getByText("Running").waitFor()
      await server.change((store) => store.cancel({ ids: ["reviews/1"] }))
      await row.getByText("Cancelled").waitFor()
      await page.getByRole("link", { name: "Queues", exact: true }).click()
      await page.getByRole("link", { name: "1 cancelled" }).waitFor()
      await close()
    })

    it("shows the progress and the output of a running task while it is written, as text", async () => {
      const id = TaskId.make("live/1")
      const report = (output: string, text: string, fraction: number) =>
        server.change((store) =>
          Effect.gen(function* () {
            const [attempt] = yield* store.attempts(id)
            if (attempt === undefined || store.progress === undefined) return yield* Effect.die("nothing is running")
            const lease = { taskId: id, token: attempt.token }
            yield* store.progress.save([{ ...lease, text, fraction, output, at: attempt.startedAt }])
          })
        )
      await server.change((store) =>
        Effect.andThen(
          store.add([{ id, queue: QueueName.make("live"), description: "Write a letter." }]),
          store.claim({ queues: [QueueName.make("live")], limit: 1, owner: "writer", lease: Duration.hours(1) })
        )
      )
      const { close, errors, page } = await open(browser)
      await visit(page, `${server.url}/task?id=live%2F1`)
      await page.getByText("The output appears here when the attempt ends.").waitFor()
      await report("Dear <b>Ada</b>,", "greeting", 0.25)
      await page.getByRole("region", { name: "Output so far" }).getByText("Dear <b>Ada</b>,", { exact: true }).waitFor()
      await page.getByText("Progress: 25%").waitFor()
      await report("Dear <b>Ada</b>, thank you", "<i>body</i>", 0.5)
      await page.getByText("thank you").waitFor()
      await page.getByText("<i>body</i>").waitFor()
      assert.strictEqual(await page.getByRole("progressbar", { name: "Progress of the attempt" }).count(), 1)
      assert.strictEqual(await page.locator("main b, main i").count(), 0)
      await assertAccessibleInBothThemes(page)
      await assertFits(page, 360)
      await server.change((store) => store.cancel({ ids: [id] }))
      await page.getByText("This attempt has no output.").waitFor()
      assert.deepStrictEqual(errors, [])
      await close()
    })

    it("raises the budget of a queue, and changes its speed and its pause", async () => {
      const { close, errors, page } = await open(browser)
      await server.change(({ budgets }) =>
        budgets === undefined
          ? Effect.die("no budgets")
          : budgets.set("reviews", { limit: { nanoUsd: 15e9 }, committed: { nanoUsd: 15e9, tokens: 0 } })
      )
      await visit(page, server.url)
      await page.getByText("The budget is spent: raise it in the settings.").waitFor()
      const workers = page.getByRole("list", { name: "Workers of reviews" }).getByRole("listitem")
      // The lease of a task that was restored has expired.
      await workers
        .filter({ hasText: "build-7:4312" })
        .getByText(/^stopped responding with \d tasks/)
        .waitFor()
      await page.getByRole("link", { name: "Settings of reviews" }).click()
      const cost = page.getByLabel("Most that its tasks may cost, in US dollars")
      await page.getByText("$15.00 of $15.00 spent").waitFor()
      await page.getByRole("region", { name: "Workers" }).getByText("build-7:4312").waitFor()
      await cost.fill("a lot")
      await page.getByText("Expected an amount of dollars above 0, such as 12.50.").waitFor()
      await cost.fill("$30")
      await page.getByLabel("Tasks at a time, in each worker that runs now").fill("8")
      await page.keyboard.press("Enter")
      await page.getByText("$15.00 of $30.00 spent").waitFor()
      await page.getByRole("button", { name: "Pause the queue" }).click()
      await page.getByRole("button", { name: "Resume the queue" }).waitFor()
      const [budgets, pauses, speeds] = await server.change((store) =>
        Effect.all([
          store.budgets?.list ?? Effect.succeed([]),
          store.pauses?.list ?? Effect.succeed([]),
          store.concurrency?.list ?? Effect.succeed([])
        ])
      )
      assert.deepStrictEqual(budgets[0]?.limit, { nanoUsd: 30e9 })
      assert.deepStrictEqual([pauses[0]?.queue, speeds[0]?.concurrency], ["reviews", 8])
      await page.getByRole("button", { name: "Resume the queue" }).click()
      await page.getByRole("button", { name: "Pause the queue" }).waitFor()
      assert.deepStrictEqual(errors, [])
      await close()
    })

    it("narrows the list by the address, by the filters and by a search", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/tasks?queue=reviews&status=failed`)
      await page.getByText("48 tasks").waitFor()
      await page.getByLabel("Status").selectOption("Any status")
      await page.getByText(/^812 tasks completed and 48 failed within/).waitFor()
      const chart = page.locator(".chart canvas")
      await chart.waitFor()
      await page.locator(".chart .u-over").hover()
      await page.getByText(/\d completed, \d+ failed$/).waitFor()
      const ended = page.getByRole("table", { name: /^Tasks that ended/ }).locator("td")
      const total = (await ended.allTextContents()).reduce((sum, text) => sum + Number(text), 0)
      assert.strictEqual(total, 860)
      await page.getByLabel("Status").selectOption("Failed")
      await page.getByText("48 tasks").waitFor()
      await page.keyboard.press("/")
      await page.keyboard.type("f2-")
      await page.getByText("1 found").waitFor()
      assert.match(page.url(), /text=f2-/)
      await page.keyboard.press("Enter")
      await page.keyboard.press("j")
      await page.keyboard.press("Enter")
      await page.getByRole("heading", { level: 1, name: "reviews/f2-1" }).waitFor()
      await page.goBack()
      await page.getByText("1 found").waitFor()
      assert.strictEqual(await page.getByRole("searchbox").inputValue(), "f2-")
      await close()
    })

    it("compares two outputs", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/task?id=${encodeURIComponent(compared.task.id)}`)
      await page.getByText(traceId).waitFor()
      await page.getByRole("button", { name: "Side by side" }).click()
      await page.locator("ins", { hasText: "Parquet" }).waitFor()
      assert.match(page.url(), /view=side-by-side/)
      await page.getByRole("button", { name: /Attempt 2/ }).click()
      await page.getByText("This attempt has no output.").waitFor()
      await close()
    })

    it("requeues all failures with one cause, by keyboard, and says how many", async () => {
      const { close, errors, page } = await open(browser)
      await visit(page, `${server.url}/failures?queue=reviews`)
      await page.getByText("connect ECONNREFUSED …").waitFor()
      await page.keyboard.press("j")
      await page.keyboard.press("r")
      const dialog = page.getByRole("alertdialog", { name: "Requeue 40 tasks?" })
      await dialog.waitFor()
      await assertAccessible(page)
      await page.keyboard.press("Escape")
      await dialog.waitFor({ state: "hidden" })
      const pending = () => server.change((store) => store.list({ queue: "reviews", status: "pending", limit: 500 }))
      assert.lengthOf((await pending()).tasks, 336)
      // Until the dialog has closed altogether, the page does not listen.
      await vi.waitFor(
        async () => {
          await page.keyboard.press("r")
          await dialog.waitFor({ timeout: 1_000 })
        },
        { timeout: 300_000 }
      )
      const confirm = dialog.getByRole("button", { name: "Requeue 40 tasks" })
      while (!(await confirm.evaluate((button) => button === document.activeElement))) await page.keyboard.press("Tab")
      await page.keyboard.press("Enter")
      await page.getByText("40 tasks requeued.").waitFor()
      await page.getByText("connect ECONNREFUSED …").waitFor({ state: "detached" })
      assert.lengthOf((await pending()).tasks, 376)
      assert.deepStrictEqual(errors, [])
      await close()
    })

    it("shows markup and terminal sequences as text", async () => {
      const { close, errors, page } = await open(browser)
      for (const view of ["output", "changes", "side-by-side"]) {
        await visit(page, `${server.url}/task?id=${encodeURIComponent(hostile.task.id)}&view=${view}`)
        await page.getByText("<img src=x").first().waitFor()
        await page.getByText("^[[31m").first().waitFor()
        assert.isTrue((await page.title()).startsWith("../<b>bold</b>"))
        assert.strictEqual(await page.locator("main img, main script, main style, main a[href^=javascript]").count(), 0)
      }
      await page.getByRole("link", { name: "Failures" }).click()
      await page.getByRole("heading", { name: "<img src=x" }).waitFor()
      assert.deepStrictEqual(errors, [])
      await close()
    })

    it("says that the connection is lost, and catches up when it is back", async () => {
      const { close, page } = await open(browser)
      await visit(page, server.url)
      await server.stop()
      await page.getByText("The connection to the server is lost.").waitFor()
      await server.change((store) => store.request("pause"))
      await server.restart()
      await page.getByText("All runs on this store are paused.").waitFor()
      await page.locator(".connection[data-state=live]").waitFor()
      await page.getByRole("button", { name: "Resume" }).click()
      await page.getByRole("button", { name: "Pause" }).waitFor()
      await close()
    })

    it("keeps the theme that was chosen", async () => {
      const { close, page } = await openAlone(browser)
      await visit(page, server.url)
      await page.getByRole("button", { name: "Dark" }).click()
      await page.reload()
      await page.locator("html[data-theme=dark]").waitFor()
      await close()
    })

    it("explains a task that does not exist, or that was deleted while it was open", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/task?id=reviews%2F2`)
      await server.change((store) =>
        Effect.andThen(store.cancel({ ids: ["reviews/2"] }), store.prune({ statuses: ["cancelled"] }))
      )
      await page.getByText('The task "reviews/2" does not exist.').waitFor()
      await page.goto(`${server.url}/task?id=none`)
      await page.getByText("none").waitFor()
      await page.goto(`${server.url}/nothing`)
      await page.getByText("This page does not exist").waitFor()
      await close()
    })
  })

  describe("with nothing", () => {
    withServer([])

    it("says what to type", async () => {
      const { close, page } = await open(browser)
      for (const [path, command] of [
        ["/", "baton run prompts.csv"],
        ["/tasks", "baton run prompts.csv"],
        ["/failures", "baton dlq list"]
      ]) {
        await visit(page, `${server.url}${path}`)
        await page.getByText(command ?? "").waitFor()
      }
      await assertAccessible(page)
      await close()
    })
  })

  describe("with a token", () => {
    withServer([], { tokens: [{ token: Redacted.make("a secret of the server") }] })

    it("asks for a token, and keeps it out of the address", async () => {
      const { close, page } = await open(browser)
      await page.goto(server.url)
      await page.getByLabel("Token").fill("wrong")
      await page.keyboard.press("Enter")
      await page.getByText("The server refused this token.").waitFor()
      await assertAccessible(page)
      await page.getByLabel("Token").fill("a secret of the server")
      await page.getByRole("button", { name: "Open" }).click()
      await page.getByText("There are no tasks yet").waitFor()
      await page.locator(".connection[data-state=live]").waitFor()

      const other = await openAlone(browser)
      await visit(other.page, `${server.url}/tasks#token=a%20secret%20of%20the%20server`)
      assert.strictEqual(other.page.url(), `${server.url}/tasks`)
      await other.page.reload()
      await other.page.getByText("There are no tasks yet").waitFor()
      assert.isEmpty(await other.context.cookies())
      await other.close()
      await close()
    })
  })

  describe("with tokens for roles", () => {
    const tokens = (["view", "review", "operate"] as const).map((role) => ({ role, token: Redacted.make(role) }))
    withServer([...examples, ...inReview], { tokens })

    it("offers a viewer no changes, and a reviewer decisions alone", async () => {
      const { close, errors, page } = await open(browser)
      const isOffered = (name: string) => page.getByRole("button", { name, exact: true }).isVisible()
      for (const [path, action] of [
        ["/", "Pause"],
        ["/failures", "Requeue all"],
        ["/task?id=reviews%2F1", "Cancel"],
        ["/review?queue=notes", "Approve a"]
      ] as const) {
        await visit(page, `${server.url}${path}#token=view`)
        await page.locator(".role", { hasText: "View only" }).waitFor()
        assert.isFalse(await isOffered(action), path)
      }
      await visit(page, `${server.url}/failures#token=review`)
      await page.locator(".role", { hasText: "Review only" }).waitFor()
      assert.isFalse(await isOffered("Requeue all"))
      await page.getByRole("link", { name: /^Review/ }).click()
      await page.getByRole("button", { name: "Approve a", exact: true }).waitFor()
      await assertFits(page, 360)
      assert.deepStrictEqual(errors, [])
      await close()
    })

    it("says why the server refuses an action whose role was withdrawn", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/failures#token=operate`)
      await page.route("**/api/requeue", (route) =>
        route.continue({ headers: { ...route.request().headers(), authorization: "Bearer view" } })
      )
      await page.getByRole("button", { name: "Requeue all" }).click()
      await page
        .getByRole("alertdialog")
        .getByRole("button", { name: /^Requeue/ })
        .click()
      await page
        .getByRole("region", { name: "Notifications" })
        .getByText("This requires a token with the role operate. The role of yours is view.")
        .waitFor()
      await close()
    })
  })

  describe("mounted in another application, read-only", () => {
    withServer([compared, ...examples.filter(({ task }) => task.status === "failed")], {
      path: "/baton",
      readOnly: true
    })

    it("keeps its addresses under the path, and offers no changes", async () => {
      const { close, errors, page } = await open(browser)
      await visit(page, `${server.url}/failures`)
      await page.getByText("connect ECONNREFUSED …").waitFor()
      assert.strictEqual(await page.getByRole("button", { name: "Requeue" }).count(), 0)
      await page.getByRole("link", { name: "Tasks" }).click()
      await page.getByRole("link", { name: "release-notes/12" }).click()
      await page.getByRole("heading", { level: 1, name: "release-notes/12" }).waitFor()
      assert.strictEqual(new URL(page.url()).pathname, "/baton/task")
      await page.reload()
      await page.getByRole("heading", { level: 1, name: "release-notes/12" }).waitFor()
      assert.deepStrictEqual(errors, [])
      await close()
    })
  })

  describe("with 100,000 tasks and an output of 5 MB", () => {
    withServer([long, ...manyPending(100_000)])

    it("loads the list page by page, with few elements", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/tasks`)
      await page.getByText("100,001 tasks").waitFor()
      const height = () => page.evaluate(() => document.documentElement.scrollHeight)
      while ((await height()) < 1600 * 56) await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight))
      await page.evaluate(() => scrollTo(0, 1500 * 56))
      await page.getByText("many/1500", { exact: true }).waitFor()
      assert.isBelow(await page.getByRole("row").count(), 60)
      await close()
    })

    it("shows a part of a long output first, and then more", async () => {
      const { close, page } = await open(browser)
      await visit(page, `${server.url}/task?id=long`)
      const output = page.getByRole("region", { name: "Output of attempt 2" }).last()
      assert.isBelow(await output.evaluate((element) => element.textContent.length), 100_000)
      const isWhole = () => output.evaluate((element) => element.textContent.endsWith("the end"))
      while (!(await isWhole())) await page.getByRole("button", { name: "Show more" }).click()
      await page.getByRole("button", { name: "Changes" }).click()
      await page.locator(".comparison").waitFor()
      await close()
    })
  })
})
