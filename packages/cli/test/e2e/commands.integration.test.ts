import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { Task } from "@baton/core"
import { Effect, FileSystem, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { fileURLToPath } from "node:url"
import { baton, folder } from "./baton.ts"

const program = fileURLToPath(new URL("../../dist/baton.js", import.meta.url))

/** Runs `baton` as a separate process with a store in a separate directory. */
const makeBaton = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const cwd = yield* fs.makeTempDirectoryScoped()
  const spawn = Effect.fnUntraced(function* (command: string, args: ReadonlyArray<string>, stdin?: string) {
    const child = yield* spawner.spawn(
      ChildProcess.make(command, args, {
        cwd,
        env: { PATH: process.env["PATH"] ?? "" },
        extendEnv: false,
        stdin: stdin === undefined ? "ignore" : Stream.succeed(new TextEncoder().encode(stdin))
      })
    )
    const [stdout, stderr] = yield* Effect.all(
      [Stream.mkString(Stream.decodeText(child.stdout)), Stream.mkString(Stream.decodeText(child.stderr))],
      { concurrency: 2 }
    )
    return { stdout, stderr, exitCode: Number(yield* child.exitCode) }
  }, Effect.scoped)
  return {
    run: (args: ReadonlyArray<string>, stdin?: string) => spawn(process.execPath, [program, ...args], stdin),
    shell: (command: string) => spawn("sh", ["-c", command]),
    read: (name: string) => fs.readFileString(`${cwd}/${name}`),
    write: (name: string, text: string) => fs.writeFileString(`${cwd}/${name}`, text)
  }
})

const live = <A, E>(effect: Effect.Effect<A, E, Effect.Services<typeof makeBaton>>) =>
  effect.pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const tasks = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Array(Task.Task)))

describe("the commands as processes", () => {
  it.live("exit without an error when the reader closes the pipe, as in `baton list --json | head`", () =>
    live(
      Effect.gen(function* () {
        const baton = yield* makeBaton
        const lines = Array.from({ length: 2000 }, (_, n) =>
          JSON.stringify({ id: `t${n}`, description: "x".repeat(200) })
        )
        yield* baton.write("tasks.jsonl", lines.join("\n"))
        assert.strictEqual((yield* baton.run(["import", "tasks.jsonl"])).stdout, "tasks.jsonl: 2,000 tasks added\n")
        for (const args of [["list", "--json"], ["list"], ["export", "--format", "csv"]]) {
          // The pipe is closed after ten bytes, with much more than a pipe holds left to write.
          const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(" ")
          const { stderr, stdout } = yield* baton.shell(`{ ${command}; echo $? >status; } | head -c 10`)
          assert.strictEqual(stdout.length, 10)
          assert.strictEqual(stderr, "")
          assert.strictEqual(yield* baton.read("status"), "141\n")
        }
      })
    )
  )

  it.live("preserve a megabyte of text with NUL and emoji", () =>
    live(
      Effect.gen(function* () {
        const baton = yield* makeBaton
        const description = `first line \u001B[31m\u0000 👩‍👩‍👧\r\n${'"quoted", 日本語\u0000\n'.repeat(50_000)}end`
        const added = yield* baton.run(["add", "-", "--id", "big"], description)
        assert.deepStrictEqual(added, { stdout: "big\n", stderr: "", exitCode: 0 })
        const [task] = yield* tasks((yield* baton.run(["list", "--json"])).stdout)
        assert.isTrue(task?.description === description)
        const csv = (yield* baton.run(["export", "--format", "csv"])).stdout
        const [row] = yield* Stream.succeed(csv).pipe(
          Stream.pipeThroughChannel(Csv.decodeString({ headers: true, maxRecordSize: Infinity })),
          Stream.runCollect
        )
        assert.isTrue(row?.["description"] === description)
        const shown = (yield* baton.run(["list"])).stdout
        assert.match(shown, /\nbig  pending         0 +\w+  first line ␀ 👩‍👩‍👧…\n$/u)
      })
    )
  )
})

describe("the commands", () => {
  it.live("report a missing store and do not create it", () =>
    Effect.gen(function* () {
      const { entries, path } = yield* folder
      for (const args of [["list"], ["status"], ["show", "x"], ["export"], ["pause"], ["dlq", "list"], ["prune"]]) {
        const { code, stderr, stdout } = yield* baton(path, args)
        assert.strictEqual(code, 1, args.join(" "))
        assert.strictEqual(stdout, "")
        assert.match(stderr, /^error: There is no store at \.baton\/baton\.db/)
      }
      assert.deepStrictEqual(entries(), [])
    })
  )

  it.live("repeat --store in the commands that they suggest", () =>
    Effect.gen(function* () {
      const { path } = yield* folder
      yield* baton(path, ["add", "X", "--store", "sqlite:my work.db"])
      const { stdout } = yield* baton(path, ["status", "--store", "sqlite:my work.db"])
      assert.include(stdout, "\n  baton --store 'sqlite:my work.db' run  run the pending tasks\n")
    })
  )
})
