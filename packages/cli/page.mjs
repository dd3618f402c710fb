// Copies the web page that `baton serve` serves next to the bundle, if the page was built.
import { existsSync } from "node:fs"
import { cp, rm } from "node:fs/promises"

const page = "../dashboard/dist"
const copy = "dist/dashboard"
await rm(copy, { recursive: true, force: true })
if (existsSync(page)) await cp(page, copy, { recursive: true })
