import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { baton, folder, list } from "./baton.ts"

/** A test of the built program, in its own folder with some documents. */
const live = (name: string, test: (dir: Effect.Success<typeof folder>) => Effect.Effect<void>) =>
  it.live(name, () =>
    Effect.flatMap(folder, (dir) => {
      for (const name of ["docs", "docs/deep", "node_modules"]) mkdirSync(join(dir.path, name))
      dir.write("docs/b.md", "Second\n")
      dir.write("docs/a.md", "First {{path}}\n")
      dir.write("docs/.hidden.md", "Hidden\n")
      dir.write("docs/deep/c.md", "Third\n")
      dir.write("node_modules/d.md", "Foreign\n")
      return test(dir)
    })
  )

const run = (dir: Effect.Success<typeof folder>, ...args: ReadonlyArray<string>) =>
  baton(dir.path, ["run", "--exec", "cat", "--no-verify", ...args])

describe("--each", () => {
  live("adds a task for each file that matches, with its content", (dir) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run(dir, "--each", "docs/*.md")
      assert.strictEqual(code, 0, stderr)
      const tasks = yield* list(dir.path)
      assert.deepStrictEqual(
        tasks.map(({ id, result }) => [id, result]),
        [
          ["docs/a.md", "First {{path}}"],
          ["docs/b.md", "Second"]
        ]
      )
      const again = yield* run(dir, "--each", "docs/*.md")
      assert.include(again.stderr, "docs/*.md: 0 tasks added, 2 already in the store")
    })
  )

  live("renders a template from the path or the content", (dir) =>
    Effect.gen(function* () {
      yield* run(dir, "--each", "**/*.md", "--template", "Read {{path}}")
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ result }) => result),
        ["Read docs/a.md", "Read docs/b.md", "Read docs/deep/c.md"]
      )
      yield* run(dir, "--each", "docs/deep/*", "--template", "Translate: {{content}}", "--queue", "other")
      assert.deepStrictEqual(
        (yield* list(dir.path, ["--queue", "other"])).map(({ result }) => result),
        ["Translate: Third"]
      )
    })
  )

  live("refuses files that are empty or no text, and a pattern that the shell replaced", (dir) =>
    Effect.gen(function* () {
      dir.write("docs/b.md", "")
      assert.include((yield* run(dir, "--each", "docs/*.md")).stderr, "docs/b.md: is empty")
      const replaced = yield* run(dir, "--each", "docs/a.md", "docs/b.md")
      assert.strictEqual(replaced.code, 1)
      assert.include(replaced.stderr, '--each is "docs/a.md", which is not a pattern: put the pattern in quotes')
      const nothing = yield* run(dir, "--each", "doc/*.md")
      assert.include(nothing.stderr, "doc/*.md: found no tasks")
    })
  )

  live("is what a directory as a source suggests", (dir) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run(dir, "docs/")
      assert.strictEqual(code, 1)
      assert.include(stderr, "docs/: is a directory; for a task per file, write --each 'docs/*'")
    })
  )
})
