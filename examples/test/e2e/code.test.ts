/**
 * Compiles the TypeScript of the documentation and of the source comments as a user would, through the `exports` of the
 * packages. The other blocks of a page can import a block with a file name after its language (`ts MyStore.ts`). A block
 * marked `run` is also run as a program. A block marked `unchecked:` with a reason is excluded.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { type Block, comments, type Page, pages } from "../../../packages/cli/test/docs/pages.ts"

const examples = fileURLToPath(new URL("../../", import.meta.url))

/** Inside the workspace, so that imports resolve to its packages; hidden from the other checks. */
const folder = `${mkdtempSync(`${examples}.docs-`)}/`

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const isExcluded = ({ info }: Block) => info.startsWith("unchecked:")

const blocks = [...pages, ...comments()].flatMap((page) =>
  page.blocks.filter(({ language }) => language === "ts" || language === "typescript").map((block) => ({ page, block }))
)

const nameOf = (page: Page, block: Block) =>
  `${page.name.replaceAll(/[^A-Za-z]+/g, "-")}/${/^[\w.-]+\.ts/.exec(block.info)?.[0] ?? `line-${block.line}.ts`}`

const compilerOptions = {
  noEmit: true,
  rootDir: "../..",
  noUnusedLocals: false,
  noUnusedParameters: false,
  types: ["node"]
}

describe("TypeScript in the documentation", () => {
  it("exists", () => {
    assert.isAbove(blocks.length, 12)
  })

  it("is excluded only with a reason", () => {
    const unexplained = blocks.filter(
      ({ block }) => isExcluded(block) && block.info.length < "unchecked: reason".length
    )
    assert.deepStrictEqual(
      unexplained.map(({ block, page }) => `${page.name}:${block.line}`),
      []
    )
  })

  it("compiles, and runs if it is marked `run`", () => {
    const origins = new Map<string, string>()
    for (const { block, page } of blocks) {
      if (isExcluded(block)) continue
      const name = nameOf(page, block)
      origins.set(name, page.name)
      mkdirSync(dirname(folder + name), { recursive: true })
      // Shifted to its lines on the page, so that messages have the right line numbers.
      writeFileSync(folder + name, "\n".repeat(block.line) + block.code)
    }
    const files = Array.from(origins.keys())
    writeFileSync(
      folder + "tsconfig.json",
      JSON.stringify({ extends: "../../tsconfig.base.json", files, compilerOptions })
    )
    // Each further checker checks what all files share once more.
    const args = ["-p", folder, "--pretty", "false", "--checkers", "1"]
    const tsc = spawnSync(`${examples}node_modules/.bin/tsc`, args, { encoding: "utf8" })
    const messages = tsc.stdout.replaceAll(
      /^(?:.*\.docs-\w+\/)?([\w-]+\/[\w.-]+\.ts)/gm,
      (file, name: string) => origins.get(name) ?? file
    )
    assert.strictEqual(messages + tsc.stderr + (tsc.error?.message ?? ""), "")
    for (const { block, page } of blocks) {
      if (!block.info.endsWith(" run")) continue
      const { status, stderr } = spawnSync(process.execPath, [folder + nameOf(page, block)], {
        cwd: folder,
        encoding: "utf8"
      })
      assert.strictEqual(status, 0, `${page.name}:${block.line}: ${stderr}`)
    }
  })
})
