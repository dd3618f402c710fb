import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, describe, it } from "vitest"

const dist = join(import.meta.dirname, "../dist")
const html = readFileSync(join(dist, "index.html"), "utf8")

/** The scripts that a text names, and those that they name. The folder can contain those of other builds too. */
const scriptsOf = (text: string, found = new Set<string>()): ReadonlySet<string> => {
  for (const [name] of text.matchAll(/[\w.-]+\.js\b/g)) {
    const file = join(dist, "assets", name)
    if (found.has(file) || !existsSync(file)) continue
    found.add(file)
    scriptsOf(readFileSync(file, "utf8"), found)
  }
  return found
}

describe("the built page", () => {
  it("has at most 250 kB of compressed scripts", () => {
    const scripts = Array.from(scriptsOf(html))
    assert.isNotEmpty(scripts)
    const size = scripts.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0)
    assert.isBelow(size, 250_000)
  })

  it("has no inline scripts or styles, and no absolute addresses", () => {
    assert.notMatch(html, /<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)/)
    assert.notMatch(html, /(?:src|href)="(?!\.\/)/)
  })
})
