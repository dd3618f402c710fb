/** A browser for the tests: the Chromium or Chrome that is installed, or the one that `BATON_TEST_CHROMIUM` names. */
import { AxeBuilder } from "@axe-core/playwright"
import { existsSync } from "node:fs"
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core"
import { assert } from "vitest"

const places = [process.env["BATON_TEST_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/google-chrome"]

/** Undefined where there is no browser, and the tests are skipped. */
export const executablePath = places.find((path) => path !== undefined && existsSync(path))

/** Waits are for a condition. They are long, because the machine may be busy. */
const timeout = 300_000

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: executablePath ?? "",
    // The sandbox of Chromium does not work for root, which runs CI. The pages are our own, so they can share a process.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--process-per-site"],
    timeout
  })

export interface Opened {
  readonly page: Page
  readonly context: BrowserContext
  /** Errors of scripts and of the content security policy. */
  readonly errors: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

const errorsOf = (page: Page): ReadonlyArray<string> => {
  const errors: Array<string> = []
  page.on("pageerror", (error) => errors.push(error.message))
  page.on("console", (message) => {
    // Requests that fail are expected in tests of the connection.
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) errors.push(message.text())
  })
  return errors
}

const newContext = async (browser: Browser): Promise<BrowserContext> => {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    reducedMotion: "reduce"
  })
  context.setDefaultTimeout(timeout)
  return context
}

const shared = new WeakMap<Browser, Promise<BrowserContext>>()

/** A context with an empty page at the address of all servers. The process of their pages lasts as long as one of them is open. */
const newShared = async (browser: Browser): Promise<BrowserContext> => {
  const context = await newContext(browser)
  const page = await context.newPage()
  await page.route("**", (route) => route.fulfill({ contentType: "text/html", body: "" }))
  await page.goto("http://127.0.0.1/")
  return context
}

/** Opens a page in the context of all tests, which has the files of the page in its cache. */
export const open = async (browser: Browser): Promise<Opened> => {
  const existing = shared.get(browser) ?? newShared(browser)
  shared.set(browser, existing)
  const context = await existing
  const page = await context.newPage()
  return { page, context, errors: errorsOf(page), close: () => page.close() }
}

/** Opens a page in a context of its own, for tests of what the browser keeps. */
export const openAlone = async (browser: Browser): Promise<Opened> => {
  const context = await newContext(browser)
  const page = await context.newPage()
  return { page, context, errors: errorsOf(page), close: () => context.close() }
}

/** Fails unless the page fits a window of this width. */
export const assertFits = async (page: Page, width: number): Promise<void> => {
  await page.setViewportSize({ width, height: 640 })
  assert.isAtMost(await page.evaluate<number>("document.documentElement.scrollWidth"), width, page.url())
}

/** Fails if the page has a serious problem for people with disabilities, in one of its themes. */
export const assertAccessibleInBothThemes = async (page: Page): Promise<void> => {
  await assertAccessible(page)
  await page.emulateMedia({ colorScheme: "dark" })
  // The dark theme differs in its colours.
  await assertAccessible(page, ["color-contrast"])
  await page.emulateMedia({ colorScheme: "light" })
}

/** The heading of a page, once its data is there and the connection is live. */
export const visit = async (page: Page, url: string): Promise<void> => {
  await page.goto(url)
  await page.locator("h1").first().waitFor()
  await page.locator(".connection[data-state=live]").waitFor()
}

/** Fails if the page has a serious problem for people with disabilities. */
export const assertAccessible = async (page: Page, rules?: ReadonlyArray<string>): Promise<void> => {
  // Pages have no frames, so no blank page has to be opened to join the results of several.
  const axe = new AxeBuilder({ page }).setLegacyMode().options({ resultTypes: ["violations"] })
  const { violations } = await (rules === undefined ? axe : axe.withRules([...rules])).analyze()
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical")
  assert.deepStrictEqual(
    serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`),
    []
  )
}
