/** The pages of the documentation and their code blocks. */
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../../", import.meta.url))

/** A fenced block of code. */
export interface Block {
  /** Its first line. */
  readonly line: number
  readonly language: string
  /** The text after the language: `run` for shell code that the tests run, or the name of a file. */
  readonly info: string
  readonly code: string
}

export interface Page {
  readonly name: string
  readonly text: string
  readonly blocks: ReadonlyArray<Block>
}

const blocksOf = (text: string): ReadonlyArray<Block> =>
  Array.from(
    text.matchAll(/^```(\S+)([^\n]*)\n([\s\S]*?)^```$/gm),
    ({ index, 1: language = "", 2: info = "", 3: code = "" }) => ({
      line: text.slice(0, index).split("\n").length,
      language,
      info: info.trim(),
      code
    })
  )

const read = (name: string, change: (text: string) => string = (text) => text): Page => {
  const text = change(readFileSync(root + name, "utf8"))
  return { name, text, blocks: blocksOf(text) }
}

const isOurs = (name: string) => !name.includes("node_modules") && !name.includes("docs/api")

/** Every page of the project except the API reference, which is generated. */
export const pages: ReadonlyArray<Page> = globSync(
  ["*.md", "docs/**/*.md", "packages/*/README.md", "examples/**/*.md", "bench/*.md", ".changeset/*.md"],
  { cwd: root, exclude: (name) => !isOurs(name) }
)
  .sort()
  .map((name) => read(name))

/** The doc comments with code blocks, as pages with the line numbers of their files. */
export const comments = (): ReadonlyArray<Page> =>
  globSync("packages/*/src/**/*.ts", { cwd: root, exclude: (name) => !isOurs(name) })
    .sort()
    .map((name) => read(name, (text) => text.replaceAll(/^.*$/gm, (line) => /^ \*(?: (.*))?$/.exec(line)?.[1] ?? "")))
    .filter(({ blocks }) => blocks.length > 0)
