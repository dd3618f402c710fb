import { assert } from "@effect/vitest"
import { Effect, FileSystem, Layer, PlatformError, Stdio, Stream } from "effect"
import { ChildProcess } from "effect/process"
import * as Source from "../../src/sources/Source.ts"
import { readTasks } from "../../src/sources/readTasks.ts"
import { complaints, describeSources, descriptions, messageLines, stdin, write } from "./sourceFiles.ts"

const problem = (path: string, name: string) =>
  Effect.map(Effect.flip(Stream.runDrain(readTasks(path))), (error) => messageLines(error, path, name))

const describedIn = (path: string) =>
  Effect.map(Stream.runCollect(readTasks(path)), (tasks) => tasks.map(({ task }) => task.description))

describeSources("Source", (it) => {
  it.effect("takes the format from the extension, in upper or lower case", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* descriptions("LIST.TXT", "one\n"), [[1, "one"]])
      assert.deepStrictEqual(yield* descriptions("a.b.Md", "- [ ] one\n"), [[1, "one"]])
    })
  )

  it.effect("reads the given format instead of that of the extension", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* descriptions("list", "one\n", { format: "txt" }), [[1, "one"]])
      assert.deepStrictEqual(yield* descriptions("list.txt", '"one"\n', { format: "jsonl" }), [[1, "one"]])
    })
  )

  const known = ".jsonl, .ndjson, .json, .csv, .tsv, .yaml, .yml, .md, .markdown, .txt"

  it.effect("lists the known extensions if the format is unknown", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("list.docx", ""), [
        `list.docx: has an unknown extension (.docx); Baton reads ${known}; for another name, add --format`
      ])
      assert.deepStrictEqual(yield* complaints("list", ""), [
        `list: has no extension; Baton reads ${known}; for another name, add --format`
      ])
      assert.match((yield* complaints(".txt", ""))[0] ?? "", /^\.txt: has no extension/)
    })
  )

  it.effect("says what to do with a workbook, an empty name and a misspelt one", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("list.xlsx", ""), [
        "list.xlsx: is a workbook; export its sheet as CSV, and name that file"
      ])
      assert.deepStrictEqual(yield* problem(" ", " "), [
        '"": is not the name of a file; is a variable of the shell empty?'
      ])
      const path = yield* write("tasks.csv", "")
      const misspelt = path.replace("tasks", "taks")
      assert.deepStrictEqual(yield* problem(misspelt, misspelt), [`${misspelt}: file not found; did you mean ${path}?`])
    })
  )

  it.effect("reports a missing file and a directory", () =>
    Effect.gen(function* () {
      const path = yield* write("a.txt", "")
      assert.deepStrictEqual(yield* problem(`${path}.txt`, "b.txt"), ["b.txt: file not found"])
      const fs = yield* FileSystem.FileSystem
      yield* fs.makeDirectory(`${path}.md`)
      assert.deepStrictEqual(yield* problem(`${path}.md`, "b.md"), [
        "b.md: is a directory; for a task per file, write --each 'b.md/*'"
      ])
    })
  )

  it.effect("reports a file that cannot be read", () =>
    Effect.gen(function* () {
      const path = yield* write("a.txt", "one\n")
      const fs = yield* FileSystem.FileSystem
      // Root can read every file, so the error is simulated.
      const denied = PlatformError.systemError({ _tag: "PermissionDenied", module: "FileSystem", method: "open" })
      const guarded = Layer.succeed(FileSystem.FileSystem, { ...fs, stream: () => Stream.fail(denied) })
      assert.deepStrictEqual(yield* Effect.provide(problem(path, "a.txt"), guarded), [
        "a.txt: cannot be read: permission denied"
      ])
    })
  )

  it.effect("reads standard input as JSON lines", () =>
    Effect.gen(function* () {
      const input = stdin('{"description": "o', 'ne"}\n"two"')
      assert.deepStrictEqual(yield* Effect.provide(describedIn("-"), input), ["one", "two"])
    })
  )

  it.effect("calls standard input <stdin> in messages", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Effect.provide(problem("-", "-"), stdin('"one"\n{}\n{')), [
        "<stdin>:2: the field \"description\" is missing; the fields are (none); add it, or build it from others with --template '… {{title}} …'",
        "<stdin>:3: not valid JSON at column 2: expected a field name in double quotes, found the end. Standard input is read as JSONL; use --format txt for one task per line"
      ])
    })
  )

  it.effect("makes its copy of standard input private and removes it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Effect.scoped(
        Effect.gen(function* () {
          const source = yield* Source.open("-", undefined)
          const { mode } = yield* fs.stat(source.path)
          assert.strictEqual(mode & 0o777, 0o600)
          assert.strictEqual(yield* fs.readFileString(source.path), '"one"\n')
          return source.path
        })
      ).pipe(Effect.provide(stdin('"one"\n')))
      assert.isFalse(yield* fs.exists(path))
      assert.isFalse(yield* fs.exists(path.slice(0, path.lastIndexOf("/"))))
    })
  )

  it.effect("reports an error while reading standard input", () =>
    Effect.gen(function* () {
      const broken = PlatformError.systemError({
        _tag: "Unknown",
        module: "Stdio",
        method: "stdin",
        description: "EIO"
      })
      const input = Stdio.layerTest({ stdin: Stream.fail(broken) })
      assert.deepStrictEqual(yield* Effect.provide(problem("-", "-"), input), [
        "<stdin>: cannot be read: Unknown: Stdio.stdin: EIO"
      ])
    })
  )

  it.effect("reads a pipe, although it can be read only once", () =>
    Effect.gen(function* () {
      const path = yield* write("a.txt", "")
      const pipe = `${path}.pipe.txt`
      yield* Effect.flatMap(ChildProcess.make("mkfifo", [pipe]), ({ exitCode }) => exitCode)
      const fs = yield* FileSystem.FileSystem
      const [tasks] = yield* Effect.all([describedIn(pipe), fs.writeFileString(pipe, "one\ntwo\n")], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(tasks, ["one", "two"])
    })
  )

  it.effect("reports an invalid template", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.txt", "one\n", { template: "{{x" }), [
        "--template: the {{ at character 1 has no closing }}; for a literal {{, write \\{{"
      ])
    })
  )
})
