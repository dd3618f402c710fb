import { assert, describe } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { Execution, TaskStore, Usage } from "@baton/core"
import { Effect, FileSystem, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"
import { TaskWithHistory } from "../../src/view/json.ts"
import { add, baton, claim, complete, everyKind, fail, morning, test, text } from "./harness.ts"

const records = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(TaskWithHistory)))
const rows = (csv: string) =>
  Stream.succeed(csv).pipe(Stream.pipeThroughChannel(Csv.decodeString({ headers: true })), Stream.runCollect)

const inDirectory = <A, E, R>(use: (directory: string, fs: FileSystem.FileSystem) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped(), fs)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const awkward = 'say "hi",\r\nthen\n=1+1;\u0007 日本 '

describe("baton export", () => {
  test(
    "writes one task per line by default, and one array with --format json",
    Effect.gen(function* () {
      yield* everyKind
      const lines = yield* baton(["export"])
      const array = yield* baton(["export", "--format", "json"])
      const fromLines = yield* records(`[${lines.stdout.trimEnd().split("\n").join(",")}]`)
      assert.deepStrictEqual(fromLines, yield* records(array.stdout))
      assert.deepStrictEqual(
        fromLines.map(({ id, status }) => `${id} ${status}`),
        ["parse completed", "check failed", "ship in_progress", "notes cancelled", "plan pending", "announce pending"]
      )
      assert.strictEqual(lines.stderr, "")
    })
  )

  test(
    "writes CSV with stable columns that can be read back",
    Effect.gen(function* () {
      yield* morning
      yield* add({ id: "a,b", description: awkward, metadata: { k: ['"', "\n"] }, priority: -1 })
      yield* complete(awkward)
      yield* add({ id: "plain", description: "Plain" })
      yield* fail("no, it\nfailed")
      const { stdout } = yield* baton(["export", "--format", "csv"])
      assert.isTrue(
        stdout.startsWith(
          "id,status,description,result,attempts,feedback,verified,priority,createdAt,updatedAt," +
            "inputTokens,outputTokens,cacheReadTokens,cacheWriteTokens,costUsd,metadata," +
            "costAtLeastUsd,costAtMostUsd,models,k\r\n"
        )
      )
      const [first, second] = yield* rows(stdout)
      const at = "2026-01-05T09:00:00.000Z"
      const unmetered = { inputTokens: "", outputTokens: "", cacheReadTokens: "", cacheWriteTokens: "", costUsd: "" }
      assert.deepStrictEqual(first, {
        id: "a,b",
        status: "completed",
        description: awkward,
        result: awkward,
        attempts: "1",
        feedback: "",
        verified: "true",
        priority: "-1",
        createdAt: at,
        updatedAt: at,
        ...unmetered,
        metadata: '{"k":["\\"","\\n"]}',
        costAtLeastUsd: "",
        costAtMostUsd: "",
        models: "",
        k: '["\\"","\\n"]'
      })
      assert.strictEqual(second?.["feedback"], "no, it\nfailed")
    })
  )

  test(
    "lists the models, and the bounds of an uncertain cost",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* add({ id: "a", description: "Do a" })
      const { task, token } = yield* claim()
      const known: Usage.Usage = { ...Usage.zero, outputTokens: 9, costUsd: 0.25 }
      const usage = Usage.add(known, Usage.atMost({ costUsd: 0.5, tokens: 100 }))
      const execution = Execution.make({ output: "x", usage, metadata: { model: "claude-x" } })
      yield* store.settle([
        {
          _tag: "Complete",
          taskId: task.id,
          token,
          attemptUsage: usage,
          usage,
          execution,
          verified: false
        }
      ])
      const [row] = yield* rows((yield* baton(["export", "--format", "csv"])).stdout)
      assert.deepInclude(row, { costUsd: "", costAtLeastUsd: "0.25", costAtMostUsd: "0.75", models: "claude-x" })
      const { stdout } = yield* baton(["export", "--format", "md"])
      assert.include(stdout, "9 tokens (9 out), $0.2500 to $0.7500 · claude-x*")
      assert.include((yield* baton(["list"])).stdout, "$0.2500 to $0.7500")
      assert.include((yield* baton(["status"])).stdout, "\nUsed  9 tokens (9 out), $0.2500 to $0.7500\n")
    })
  )

  test(
    "writes tokens and cost into separate columns",
    Effect.gen(function* () {
      yield* everyKind
      const [parse, check] = yield* rows((yield* baton(["export", "--format", "csv"])).stdout)
      assert.deepStrictEqual(
        [parse?.["inputTokens"], parse?.["outputTokens"], parse?.["cacheReadTokens"], parse?.["costUsd"]],
        ["1200", "34", "0", "0.0123"]
      )
      assert.strictEqual(check?.["costUsd"], "")
    })
  )

  test(
    "writes a Markdown report",
    Effect.gen(function* () {
      yield* everyKind
      const { stdout } = yield* baton(["export", "--format", "md", "--status", "completed"])
      assert.strictEqual(
        stdout,
        text(
          "# Tasks",
          "",
          "## `parse`",
          "",
          "*completed · verified · 2 attempts · 1,234 tokens (1,200 in, 34 out), $0.0123*",
          "",
          "```",
          "Parse the report",
          "and count its sections",
          "```",
          "",
          "- team: `docs`",
          "",
          "Result:",
          "",
          "```",
          "7",
          "```"
        )
      )
    })
  )

  test(
    "adds every attempt with --history and refuses it for formats without room for attempts",
    Effect.gen(function* () {
      yield* everyKind
      const tasks = yield* records((yield* baton(["export", "--format", "json", "--history"])).stdout)
      assert.deepStrictEqual(
        tasks.map((task) => task.history?.map((attempt) => attempt.outcome).join(" ")),
        ["retried completed", "failed", "running", "", "", ""]
      )
      for (const args of [
        ["--format", "csv"],
        ["-o", "x.md"]
      ]) {
        const { exitCode, stderr } = yield* baton(["export", "--history", ...args])
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, "--history does not work with")
      }
    })
  )

  test(
    "refuses a file whose extension names no format",
    Effect.gen(function* () {
      yield* everyKind
      for (const [command, known] of [
        ["export", ".jsonl, .ndjson, .json, .csv,"],
        ["report", ".txt, .md, .markdown, .html, .htm"]
      ] as const) {
        const { exitCode, stderr } = yield* baton([command, "-o", "x.pdf"])
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, `--output x.pdf has an unknown extension (.pdf): it takes ${known}`)
      }
    })
  )

  test(
    "writes a valid file if there are no tasks",
    Effect.gen(function* () {
      assert.strictEqual((yield* baton(["export"])).stdout, "")
      assert.strictEqual((yield* baton(["export", "--format", "json"])).stdout, "[]\n")
      assert.strictEqual((yield* baton(["export", "--format", "csv"])).stdout.split("\r\n").length, 2)
    })
  )

  test(
    "writes more than one page of tasks",
    Effect.gen(function* () {
      yield* morning
      yield* add(...Array.from({ length: 450 }, (_, index) => ({ id: `t${index}`, description: "D" })))
      assert.strictEqual((yield* baton(["export"])).stdout.split("\n").length, 451)
      assert.strictEqual((yield* records((yield* baton(["export", "--format", "json"])).stdout)).length, 450)
      assert.strictEqual((yield* rows((yield* baton(["export", "--format", "csv"])).stdout)).length, 450)
    })
  )

  test(
    "replaces a file atomically, in the format of its extension, without leaving other files",
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        yield* everyKind
        const file = `${directory}/results.csv`
        yield* fs.writeFileString(file, "old")
        assert.deepStrictEqual(yield* baton(["export", "-o", file]), {
          stdout: "",
          stderr: text(`6 tasks exported to ${file}.`),
          exitCode: 0
        })
        assert.strictEqual((yield* rows(yield* fs.readFileString(file))).length, 6)
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["results.csv"])
      })
    )
  )

  test(
    "keeps the old file if the store fails during the export",
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        yield* everyKind
        const store = yield* TaskStore.TaskStore
        const failing = TaskStore.TaskStore.of({
          ...store,
          dump: () => Effect.die("the ledger is gone")
        })
        const file = `${directory}/results.jsonl`
        yield* fs.writeFileString(file, "old")
        const { exitCode } = yield* Effect.provideService(
          baton(["export", "--history", "-o", file]),
          TaskStore.TaskStore,
          failing
        )
        assert.strictEqual(exitCode, 1)
        assert.strictEqual(yield* fs.readFileString(file), "old")
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["results.jsonl"])
      })
    )
  )

  test(
    "replaces the target of a link and writes to devices and pipes",
    inDirectory((directory, fs) =>
      Effect.gen(function* () {
        yield* everyKind
        yield* fs.writeFileString(`${directory}/real.jsonl`, "old")
        yield* fs.symlink(`${directory}/real.jsonl`, `${directory}/link.jsonl`)
        yield* baton(["export", "-o", `${directory}/link.jsonl`])
        assert.strictEqual((yield* fs.readFileString(`${directory}/real.jsonl`)).split("\n").length, 7)
        assert.strictEqual(yield* fs.readLink(`${directory}/link.jsonl`), `${directory}/real.jsonl`)
        assert.strictEqual((yield* baton(["export", "-o", "/dev/null"])).exitCode, 0)
        assert.strictEqual((yield* fs.stat("/dev/null")).type, "CharacterDevice")
      })
    )
  )

  test(
    "reports why a file cannot be written",
    inDirectory((directory) =>
      Effect.gen(function* () {
        yield* everyKind
        const file = `${directory}/missing/results.csv`
        assert.deepStrictEqual(yield* baton(["export", "-o", file]), {
          stdout: "",
          stderr: text(`error: ${file} cannot be written: its directory does not exist.`),
          exitCode: 1
        })
        const { exitCode, stderr } = yield* baton(["export", "-o", directory])
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, `error: ${directory} cannot be written:`)
      })
    )
  )
})
