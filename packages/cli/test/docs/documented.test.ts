import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { settingNames, variableName } from "../../src/settings/settings.ts"
import { helpOf, mistakesIn, paths } from "./commandTree.ts"
import { pages } from "./pages.ts"
import { batonLines } from "./shellLines.ts"

const shell = new Set(["sh", "bash", "console"])

/** The shell code of a page, by its first line; for a terminal session, only the typed commands. */
const codeOf = (page: (typeof pages)[number]) =>
  page.blocks
    .filter(({ language }) => shell.has(language))
    .map(({ code, language, line }) => ({
      line,
      code: language === "console" ? Array.from(code.matchAll(/^\$ (.*)$/gm), ([, typed]) => typed).join("\n") : code
    }))

/** The inline code of a text. */
const inlineOf = (text: string) =>
  Array.from(text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/(?<!`)`([^`\n]+)`(?!`)/g), ([, code = ""]) => code)

describe("the documentation", () => {
  it("has pages with commands", () => {
    assert.isAbove(pages.flatMap(codeOf).flatMap(({ code }) => batonLines(code)).length, 50)
  })

  it.effect.each(pages.filter((page) => codeOf(page).length > 0))("$name: every command is valid", (page) =>
    Effect.gen(function* () {
      for (const { code, line } of codeOf(page)) {
        for (const args of batonLines(code)) {
          // In the definition of a function, the arguments are unknown.
          if (args.includes("$@")) continue
          const at = `${page.name}:${line}: baton ${args.join(" ")}`
          assert.deepStrictEqual(yield* mistakesIn(args), [], at)
        }
      }
    })
  )

  it.effect("mentions only commands and flags that exist, also in inline code", () =>
    Effect.gen(function* () {
      const known = new Map<string, ReadonlySet<string>>()
      for (const path of [[], ...paths]) {
        const { flags, globalFlags = [] } = yield* helpOf(path)
        const names = [...flags, ...globalFlags].flatMap(({ aliases, name }) => aliases.concat(`--${name}`))
        known.set(path.join(" "), new Set(names))
      }
      // Flags of `npx -y pnpm@12 test:crash`.
      const others = ["--seconds", "--pace", "--fault"]
      const all = new Set([...others, ...Array.from(known.values(), (names) => [...names]).flat()])
      const unknown: Array<string> = []
      for (const { name, text } of pages) {
        for (const code of inlineOf(text)) {
          const [program = "", ...words] = code.split(/\s+/)
          if (program.startsWith("--") && !all.has(program.replace(/[=.].*$/, ""))) unknown.push(`${name}: ${code}`)
          if (program !== "baton" || words.length === 0) continue
          const path = words.slice(0, known.has(words.slice(0, 2).join(" ")) ? 2 : 1).join(" ")
          const flags = words.filter((word) => word.startsWith("--"))
          if (words[0]?.startsWith("-") === true) {
            if (!all.has(words[0])) unknown.push(`${name}: ${code}`)
          } else if (/^[a-z]/.test(path) && !known.has(path)) unknown.push(`${name}: ${code}`)
          else if (flags.some((flag) => known.get(path)?.has(flag.replace(/=.*$/, "")) === false))
            unknown.push(`${name}: ${code}`)
        }
      }
      assert.deepStrictEqual(unknown, [])
    })
  )

  it("mentions only environment variables that are read somewhere", () => {
    const root = fileURLToPath(new URL("../../../../", import.meta.url))
    const sources = globSync(["packages/*/{src,test}/**/*.ts", "crash/**/*.ts", "bench/**/*.ts"], {
      cwd: root,
      exclude: (name) => name.includes("node_modules")
    })
    const text = sources.map((name) => readFileSync(root + name, "utf8")).join("\n")
    const variables = new Set(settingNames.map(variableName))
    const named = pages.flatMap((page) =>
      Array.from(page.text.matchAll(/\bBATON_[A-Z_]*[A-Z]\b/g), ([name]) => [page.name, name] as const)
    )
    assert.deepStrictEqual(
      named.filter(([, name]) => !variables.has(name) && !text.includes(`"${name}"`) && !text.includes(`${name}:`)),
      []
    )
  })
})
