import { assert, describe } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { TaskStore } from "@baton/core"
import { Effect, FileSystem } from "effect"
import { baton, test, text } from "./harness.ts"

const withFiles = <A, E, R>(
  files: { readonly [name: string]: string },
  use: (path: (name: string) => string) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const directory = yield* fs.makeTempDirectoryScoped()
    for (const [name, content] of Object.entries(files)) yield* fs.writeFileString(`${directory}/${name}`, content)
    return yield* use((name) => `${directory}/${name}`)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const descriptions = TaskStore.TaskStore.use((store) =>
  Effect.map(store.list(), ({ tasks }) => tasks.map((task) => task.description))
)

describe("baton import", () => {
  test(
    "reports the number of added, existing and skipped tasks",
    withFiles({ "list.md": "- [ ] Write it\n- [x] Think\n- [ ] Ship it\n" }, (path) =>
      Effect.gen(function* () {
        const file = path("list.md")
        assert.deepStrictEqual(yield* baton(["import", file]), {
          stdout: text(`${file}: 2 tasks added, 1 skipped: already completed`),
          stderr: "",
          exitCode: 0
        })
        assert.strictEqual(
          (yield* baton(["import", file])).stdout,
          text(`${file}: 0 tasks added, 2 already in the store, 1 skipped: already completed`)
        )
        assert.deepStrictEqual(yield* descriptions, ["Write it", "Ship it"])
      })
    )
  )

  test(
    "reports the numbers for each of several sources, also as JSON",
    withFiles({ "a.txt": "One\nTwo\n", "b.jsonl": '{"id": "x", "description": "Three"}\n' }, (path) =>
      Effect.gen(function* () {
        const [a, b] = [path("a.txt"), path("b.jsonl")]
        const { stdout } = yield* baton(["import", a, b, "--json"])
        assert.strictEqual(
          stdout,
          text(
            `{"added":3,"existing":0,"skipped":0,"sources":[` +
              `{"source":${JSON.stringify(a)},"added":2,"existing":0,"skipped":0},` +
              `{"source":${JSON.stringify(b)},"added":1,"existing":0,"skipped":0}]}`
          )
        )
        assert.strictEqual(
          (yield* baton(["import", a, b])).stdout,
          text(
            `${a}: 0 tasks added, 2 already in the store`,
            `${b}: 0 tasks added, 1 already in the store`,
            "Total: 0 tasks added, 3 already in the store"
          )
        )
      })
    )
  )

  test(
    "reads standard input, with a format and a template",
    Effect.gen(function* () {
      const { stdout } = yield* baton(["import", "-", "--format", "csv", "--template", "Summarise {{title}}"], {
        stdin: "title\nDune\nEmma\n"
      })
      assert.strictEqual(stdout, text("<stdin>: 2 tasks added"))
      assert.deepStrictEqual(yield* descriptions, ["Summarise Dune", "Summarise Emma"])
    })
  )

  test(
    "adds nothing if a line has a problem, and reports the line",
    withFiles({ "a.jsonl": '{"description": "Fine"}\n{"description": ""}\n' }, (path) =>
      Effect.gen(function* () {
        const { exitCode, stderr, stdout } = yield* baton(["import", path("a.jsonl")])
        assert.strictEqual(exitCode, 1)
        assert.strictEqual(stdout, "")
        assert.isTrue(stderr.startsWith(`${path("a.jsonl")}:2: `), stderr)
        assert.deepStrictEqual(yield* descriptions, [])
      })
    )
  )

  test(
    "warns about a source without tasks",
    withFiles({ "empty.md": "# Nothing here\n" }, (path) =>
      Effect.gen(function* () {
        const { exitCode, stderr } = yield* baton(["import", path("empty.md")])
        assert.strictEqual(exitCode, 0)
        assert.include(stderr, "found no tasks")
      })
    )
  )

  test(
    "requires a source and a known format",
    Effect.gen(function* () {
      assert.strictEqual((yield* baton(["import"])).exitCode, 1)
      const { exitCode, stderr } = yield* baton(["import", "-", "--format", "docx"])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, '--format is "docx": it takes jsonl, json, csv, tsv, yaml, md or txt.')
    })
  )
})
