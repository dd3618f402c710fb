import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "vitest"

const dist = join(import.meta.dirname, "../dist")
const assets = readdirSync(join(dist, "assets")).map((name) => join(dist, "assets", name))

describe("the built page", () => {
  it("has at most 250 kB of compressed scripts", () => {
    const scripts = assets.filter((file) => file.endsWith(".js"))
    assert.isNotEmpty(scripts)
    const size = scripts.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0)
    assert.isBelow(size, 250_000)
  })

  it("has no inline scripts or styles, and no absolute addresses", () => {
    const html = readFileSync(join(dist, "index.html"), "utf8")
    assert.notMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/)
    assert.notMatch(html, /(?:src|href)="(?!\.\/)/)
  })
})
