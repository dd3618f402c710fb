import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { accessSync, constants, existsSync, realpathSync } from "node:fs"
import { resolve } from "node:path"
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Diagnosing from "../../internal/diagnosing.ts"
import * as Document from "./document.ts"
import * as Errors from "./errors.ts"
import * as TaskFile from "./file.ts"
import * as Lock from "./lock.ts"

/** With more tasks, a write takes long. */
const manyTasks = 20_000

/** Checks the file and its lock without writing to them. A file that does not exist is not created. */
export const diagnose = Effect.fnUntraced(function* (options: {
  readonly filename: string
}): Effect.fn.Return<ReadonlyArray<Diagnosis.Diagnosis>> {
  const { filename } = options
  const path = resolve(filename)
  const located = yield* Effect.result(Errors.attempt(filename, () => existsSync(path) && TaskFile.locate(filename)))
  if (Result.isFailure(located)) return [Diagnosing.fromError("file", located.failure)]
  const check = (name: string, body: () => Diagnosis.Diagnosis) =>
    Diagnosing.check(name, Errors.attempt(filename, body))
  return [
    yield* check("file", () => inspectFile(filename, path)),
    ...(existsSync(path)
      ? [
          yield* check("tasks", () => inspectTasks(filename, path)),
          yield* check("lock", () => inspectLock(filename, realpathSync(path)))
        ]
      : []),
    ...Diagnosing.disk(path)
  ]
})

const inspectFile = (filename: string, path: string): Diagnosis.Diagnosis => {
  if (!existsSync(path)) {
    accessSync(Diagnosing.existingPart(path), constants.W_OK | constants.X_OK)
    return Diagnosis.ok("file", `There is no file ${filename} yet; the first command that adds tasks creates it.`)
  }
  return Diagnosis.ok("file", `${filename} can be read and written.`)
}

const inspectTasks = (filename: string, path: string): Diagnosis.Diagnosis => {
  const { text } = TaskFile.load(path)
  const read = Document.read(text, DateTime.makeUnsafe(0))
  if (Result.isFailure(read)) {
    return Diagnosis.fail("tasks", `${filename}:${read.failure}.`, "Correct the file, or name another one.")
  }
  const { length } = read.success.entries
  const found = `The file contains ${length} ${length === 1 ? "task" : "tasks"}`
  return length > manyTasks
    ? Diagnosis.warn(
        "tasks",
        `${found}, and every change writes all of them.`,
        "Move them with `baton migrate-store` to SQLite."
      )
    : Diagnosis.ok("tasks", `${found}.`)
}

const inspectLock = (filename: string, path: string): Diagnosis.Diagnosis => {
  const refusal = Lock.inspect(filename, path)
  return refusal === undefined
    ? Diagnosis.ok("lock", "No other process uses the file.")
    : // Another run is not a fault of the file.
      { ...Diagnosing.fromError("lock", Errors.unusable(refusal)), status: "warn" }
}
