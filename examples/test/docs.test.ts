import { assert, describe, it } from "@effect/vitest"
import { Task, TaskState } from "@baton/core"
import { Result } from "effect"
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs"
import { basename, dirname, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { pages } from "../../packages/cli/test/docs/pages.ts"

const statuses = Task.TaskStatus.literals

const page = readFileSync(new URL("../../docs/state-machine.md", import.meta.url), "utf8")
const cells = (line: string) =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim())
const [header = [], , ...rows] = page
  .split("\n")
  .filter((line) => line.startsWith("|"))
  .map(cells)

/** The results of a transition under every policy, for a task with this many attempts used. */
const results = (tag: string, status: Task.TaskStatus, attempts: number) =>
  [true, false].flatMap((permanent) =>
    (["retry", "dead-letter"] as const).map((onCrash) => {
      const event = TaskState.Transition.make(
        tag === "AttemptFailed" || tag === "Rejected" ? { _tag: tag, permanent } : { _tag: eventTag(tag) }
      )
      return TaskState.transition({ status, attempts }, event, { maxAttempts: 3, onCrash })
    })
  )

const plainTags = [
  "Claimed",
  "Verified",
  "Released",
  "LeaseExpired",
  "ClaimExpired",
  "Requeued",
  "Cancelled",
  "Revised",
  "DependencyFailed",
  "SentToReview",
  "Approved",
  "Edited",
  "ReviewExpired"
] as const
const eventTag = (tag: string) => plainTags.find((known) => known === tag) ?? assert.fail(`no transition ${tag}`)

/** The attempts of a task that had used two, for each entry of the last column. */
const attemptsAfterTwo = new Map([
  ["+ 1", 3],
  ["- 1", 1],
  ["0", 0],
  ["same", 2]
])

describe("docs/state-machine.md", () => {
  it("has a row for every transition and a column for every status", () => {
    assert.deepStrictEqual(header, ["transition", ...statuses, "attempts"])
    assert.deepStrictEqual(rows.map(([tag]) => tag).sort(), Object.keys(TaskState.Transition.cases).sort())
  })

  it.each(
    rows.flatMap((row) => statuses.map((status, column) => [row[0] ?? "", status, row[column + 1] ?? ""] as const))
  )("%s from %s: %s", (tag, status, cell) => {
    const reached = [1, 2, 3].flatMap((attempts) =>
      results(tag, status, attempts).flatMap((result) => (Result.isSuccess(result) ? [result.success.status] : []))
    )
    assert.deepStrictEqual(new Set(reached), new Set(cell === "·" ? [] : cell.split(", ")))
  })

  it("has the change of attempts for each transition", () => {
    for (const [tag = "", ...row] of rows) {
      const change = row.at(-1) ?? ""
      for (const status of statuses) {
        for (const result of results(tag, status, 2)) {
          if (Result.isSuccess(result)) assert.strictEqual(result.success.attempts, attemptsAfterTwo.get(change), tag)
        }
      }
    }
  })
})

describe("docs/layers.md", () => {
  it("names every layer that the packages export, and no other", () => {
    const root = fileURLToPath(new URL("../../", import.meta.url))
    const modules = globSync("packages/{core,adapters}/src/**/*.ts", { cwd: root }).filter(
      (name) => !name.includes("internal") && !name.includes("testing")
    )
    const exported = modules.flatMap((name) =>
      Array.from(
        readFileSync(root + name, "utf8").matchAll(/^export const (layer\w*)/gm),
        ([, layer = ""]) => `${basename(name, ".ts")}.${layer}`
      )
    )
    const layers = readFileSync(`${root}docs/layers.md`, "utf8")
    const named = new Set(Array.from(layers.matchAll(/(?<=`)\w+\.layer\w*/g), ([layer]) => layer))
    assert.deepStrictEqual([...named].sort(), [...new Set(exported)].sort())
  })
})

describe("docs/architecture.md", () => {
  it("names files and folders that exist", () => {
    const root = fileURLToPath(new URL("../../", import.meta.url))
    const [, ...sections] = readFileSync(`${root}docs/architecture.md`, "utf8").split(/^### /m)
    const missing: Array<string> = []
    for (const section of sections) {
      // Each heading names the folder of its table. A path starts there, or at the folder of the first one in its row.
      const folder = /`([^`]+)`/.exec(section)?.[1] ?? ""
      for (const line of section.split("\n").filter((line) => line.startsWith("| "))) {
        const places = Array.from((cells(line)[1] ?? "").matchAll(/`([^`]+)`/g), ([, path = ""]) => path)
        let last = ""
        for (const place of places) {
          const bases = [folder, `${folder}/${last}`]
          if (!bases.some((base) => existsSync(`${root}${base}/${place}`))) missing.push(`${folder}: ${place}`)
          if (place.includes("/")) last = dirname(place)
        }
      }
    }
    assert.isAtLeast(sections.length, 4)
    assert.deepStrictEqual(missing, [])
  })

  it("lists the folders of the command line so that each imports only folders after it", () => {
    const text = readFileSync(new URL("../../docs/architecture.md", import.meta.url), "utf8")
    const list = /Each folder imports only folders that follow it in this list: ([^.]+)\./.exec(text)?.[1] ?? ""
    const folders = Array.from(list.matchAll(/`([a-z]+)`/g), ([, folder = ""]) => folder)
    const entries = readdirSync(sourcesOf("cli"), { withFileTypes: true })
    assert.sameMembers(
      folders,
      entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
    )
    const upward = importsBetweenFolders("cli").filter(({ from, to }) => folders.indexOf(to) < folders.indexOf(from))
    assert.deepStrictEqual(upward, [])
  })

  it.each(["core", "adapters", "cli", "dashboard"])(
    "is of packages like %s, whose folders do not import each other in circles",
    (name) => {
      const imports = importsBetweenFolders(name)
      const reached = (folder: string, seen = new Set<string>()): ReadonlySet<string> => {
        for (const { from, to } of imports) {
          if (from !== folder || seen.has(to)) continue
          seen.add(to)
          reached(to, seen)
        }
        return seen
      }
      assert.deepStrictEqual(
        imports.filter(({ from }) => reached(from).has(from)),
        []
      )
    }
  )
})

const sourcesOf = (name: string) => fileURLToPath(new URL(`../../packages/${name}/src/`, import.meta.url))

/** Imports of a file in one folder of a package from another folder of it. */
const importsBetweenFolders = (name: string) => {
  const src = sourcesOf(name)
  return globSync(`${src}*/**/*.{ts,tsx}`).flatMap((file) => {
    const imports = readFileSync(file, "utf8").matchAll(/(?:from |import\()"(\.[^"]+)"/g)
    const [from = ""] = relative(src, file).split("/")
    return Array.from(imports, ([, path = ""]) => relative(src, resolve(dirname(file), path)))
      .filter((target) => target.includes("/") && !target.startsWith(".."))
      .map((target) => ({ from, to: target.split("/")[0] ?? "", file: relative(src, file), target }))
      .filter(({ to }) => to !== from)
  })
}

/** The anchors of a page, as GitHub derives them from its headings. */
const anchorsOf = (text: string) =>
  new Set(
    Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
        .replaceAll(/\s/g, "-")
    )
  )

describe("links between pages", () => {
  it.each(pages)("of $name lead to files and headings that exist", ({ name, text }) => {
    const url = new URL(`../../${name}`, import.meta.url)
    const links = Array.from(
      text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/\]\((?!https?:)([^)]+)\)/g),
      ([, link = ""]) => link
    )
    const dead = links.filter((link) => {
      const [file = "", anchor] = link.split("#")
      const target = file === "" ? url : new URL(file, url)
      if (!existsSync(target)) return true
      return (
        anchor !== undefined && target.pathname.endsWith(".md") && !anchorsOf(readFileSync(target, "utf8")).has(anchor)
      )
    })
    assert.deepStrictEqual(dead, [])
  })

  it("lead from the index to every page of docs", () => {
    const index = pages.find(({ name }) => name === "docs/README.md")?.text ?? ""
    const others = pages.map(({ name }) => name).filter((name) => name.startsWith("docs/") && name !== "docs/README.md")
    assert.isNotEmpty(others)
    assert.deepStrictEqual(
      others.filter((name) => !index.includes(`](${name.slice("docs/".length)})`)),
      []
    )
  })
})
