/**
 * The TypeScript in the documentation and in the comments of the sources is compiled, as a user would: with the packages as
 * their `exports` have them. A block with a name beside its language (`ts MyStore.ts`) can be imported by the others of its
 * page; one that says `run` besides is run as a program. One that begins with `unchecked:` and a reason is left out.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { type Block, comments, type Page, pages } from "../../packages/cli/test/docs/pages.ts"

const examples = fileURLToPath(new URL("../", import.meta.url))

/** Inside the workspace, so that imports find its packages; hidden, so that no other check looks at it. */
const folder = `${mkdtempSync(`${examples}.docs-`)}/`

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const isLeftOut = ({ info }: Block) => info.startsWith("unchecked:")

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
  it("is there", () => {
    assert.isAbove(blocks.length, 12)
  })

  it("is left out for a reason only", () => {
    const unexplained = blocks.filter(({ block }) => isLeftOut(block) && block.info.length < "unchecked: reason".length)
    assert.deepStrictEqual(
      unexplained.map(({ block, page }) => `${page.name}:${block.line}`),
      []
    )
  })

  it("compiles, and runs where it says so", () => {
    const origins = new Map<string, string>()
    for (const { block, page } of blocks) {
      if (isLeftOut(block)) continue
      const name = nameOf(page, block)
      origins.set(name, page.name)
      mkdirSync(dirname(folder + name), { recursive: true })
      // Moved down to the lines that it has on its page, for the messages.
      writeFileSync(folder + name, "\n".repeat(block.line) + block.code)
    }
    const files = Array.from(origins.keys())
    writeFileSync(
      folder + "tsconfig.json",
      JSON.stringify({ extends: "../../tsconfig.base.json", files, compilerOptions })
    )
    const tsc = spawnSync(`${examples}node_modules/.bin/tsc`, ["-p", folder, "--pretty", "false"], { encoding: "utf8" })
    const told = tsc.stdout.replaceAll(
      /^(?:.*\.docs-\w+\/)?([\w-]+\/[\w.-]+\.ts)/gm,
      (file, name: string) => origins.get(name) ?? file
    )
    assert.strictEqual(told + tsc.stderr + (tsc.error?.message ?? ""), "")
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
