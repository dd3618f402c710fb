import { NodeServices } from "@effect/platform-node"
import { layer, type Vitest } from "@effect/vitest"
import { Effect, FileSystem, Stdio, Stream } from "effect"
import type { NewTask } from "@baton/core/Task"
import { readTasks, type ReadOptions } from "../../src/sources/readTasks.ts"
import type { SourceError } from "../../src/sources/SourceError.ts"

type Services = NodeServices.NodeServices

/** A group of tests with access to files and an empty store. */
export const describeSources = (name: string, tests: (it: Vitest.MethodsNonLive<Services>) => void) =>
  layer(NodeServices.layer)(name, tests)

/** Writes a file into a temporary directory, which is removed after the test. */
export const write = Effect.fnUntraced(function* (name: string, content: string | Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  const path = `${yield* fs.makeTempDirectoryScoped()}/${name}`
  yield* typeof content === "string" ? fs.writeFileString(path, content) : fs.writeFile(path, content)
  return path
})

/** The tasks of a file with this name and content, and their lines. */
export const read = Effect.fnUntraced(function* (name: string, content: string | Uint8Array, options?: ReadOptions) {
  const path = yield* write(name, content)
  return yield* Stream.runCollect(readTasks(path, options))
})

/** The lines and descriptions of a file's tasks. */
export const descriptions = (name: string, content: string | Uint8Array, options?: ReadOptions) =>
  Effect.map(read(name, content, options), (tasks) =>
    tasks.map(({ line, task }): readonly [number, string] => [line, task.description])
  )

/** The only task of a file, without its id. */
export const readOne = (name: string, content: string, options?: ReadOptions) =>
  Effect.map(read(name, content, options), (tasks): Omit<NewTask, "id"> | undefined => {
    if (tasks.length !== 1 || tasks[0] === undefined) return undefined
    const { id: _, ...task } = tasks[0].task
    return task
  })

/** The problems reported for a file, with its name instead of its path. */
export const complaints = Effect.fnUntraced(function* (
  name: string,
  content: string | Uint8Array,
  options?: ReadOptions
) {
  const path = yield* write(name, content)
  const error = yield* Effect.flip(Stream.runDrain(readTasks(path, options)))
  return messageLines(error, path, name)
})

export const messageLines = (error: SourceError, path: string, name: string): ReadonlyArray<string> =>
  error.message.replaceAll(path, name).split("\n")

/** Standard input with this content. */
export const stdin = (...chunks: ReadonlyArray<string>) =>
  Stdio.layerTest({ stdin: Stream.encodeText(Stream.fromIterable(chunks)) })
