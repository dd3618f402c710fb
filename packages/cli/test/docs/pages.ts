/** The pages of documentation, and what is in them. */
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../../", import.meta.url))

/** A fenced block of code. */
export interface Block {
  /** The line that opens it. */
  readonly line: number
  readonly language: string
  readonly code: string
}

export interface Page {
  readonly name: string
  readonly text: string
  readonly blocks: ReadonlyArray<Block>
}

const blocksOf = (text: string): ReadonlyArray<Block> =>
  Array.from(text.matchAll(/^```(\S+)[^\n]*\n([\s\S]*?)^```$/gm), ({ index, 1: language = "", 2: code = "" }) => ({
    line: text.slice(0, index).split("\n").length,
    language,
    code
  }))

/** Every page of the project, that of the interfaces left out, which is made of the sources. */
export const pages: ReadonlyArray<Page> = globSync(
  ["*.md", "docs/**/*.md", "packages/*/README.md", "examples/**/*.md", "bench/*.md", ".changeset/*.md"],
  { cwd: root, exclude: (name) => name.includes("node_modules") || name.includes("docs/api") }
)
  .sort()
  .map((name) => {
    const text = readFileSync(root + name, "utf8")
    return { name, text, blocks: blocksOf(text) }
  })
