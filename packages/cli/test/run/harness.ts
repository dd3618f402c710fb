/** Runs command lines in this process on an in-memory store that the test can access. */
import { NodeServices } from "@effect/platform-node"
import { TaskStore } from "@baton/core"
import { it } from "@effect/vitest"
import { ConfigProvider, Effect, FileSystem, Layer, Path, Runtime, type Scope, Sink, Stdio } from "effect"
import { TestConsole } from "effect/testing"
import { run } from "../../src/main.ts"
import { StoreSchemes } from "../../src/run/stores.ts"

export interface Surroundings {
  /** Environment variables. */
  readonly env?: Readonly<Record<string, string>>
  /** Called with the output written to standard output. */
  readonly onStdout?: (text: string) => Effect.Effect<unknown>
}

/** Runs a command line and returns its output and exit code. `--store test:` is the store of the test. */
export const baton = Effect.fnUntraced(function* (args: ReadonlyArray<string>, surroundings: Surroundings = {}) {
  const store = yield* TaskStore.TaskStore
  const stdout: Array<string> = []
  const stderr: Array<string> = []
  const collect = (into: Array<string>, also?: Surroundings["onStdout"]) => () =>
    Sink.forEach((part: string | Uint8Array) => {
      const text = typeof part === "string" ? part : new TextDecoder().decode(part)
      into.push(text)
      return also === undefined ? Effect.void : also(text)
    })
  const services = Layer.mergeAll(
    Stdio.layerTest({ stdout: collect(stdout, surroundings.onStdout), stderr: collect(stderr) }),
    Layer.succeed(
      StoreSchemes,
      new Map([["test", { example: "test:", open: () => Layer.succeed(TaskStore.TaskStore, store) }]])
    ),
    ConfigProvider.layer(
      ConfigProvider.fromUnknown({ PATH: process.env["PATH"], BATON_STORE: "test:", ...surroundings.env })
    ),
    TestConsole.layer
  )
  const { errors, exit } = yield* Effect.all({ exit: Effect.exit(run(args)), errors: TestConsole.errorLines }).pipe(
    Effect.provide(Layer.provideMerge(services, NodeServices.layer), { local: true })
  )
  let exitCode = -1
  Runtime.defaultTeardown(exit, (code) => {
    exitCode = code
  })
  return {
    stdout: stdout.join(""),
    stderr: errors.map((line) => `${String(line)}\n`).join("") + stderr.join(""),
    exitCode
  }
})

/** A test with a separate store. */
export const test = (
  name: string,
  effect: Effect.Effect<void, unknown, TaskStore.TaskStore | FileSystem.FileSystem | Path.Path | Scope.Scope>
) =>
  it.effect(name, () =>
    Effect.provide(Effect.scoped(effect), Layer.merge(TaskStore.layerMemory, NodeServices.layer), { local: true })
  )

/** A temporary file with this text. */
export const file = Effect.fnUntraced(function* (name: string, ...lines: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "baton-test-" })
  const file = path.join(directory, name)
  yield* fs.writeFileString(file, lines.map((line) => `${line}\n`).join(""))
  return file
})
