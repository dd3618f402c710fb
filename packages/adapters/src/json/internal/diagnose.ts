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

/** So many are written again with each change. */
const many = 20_000

/** Looks at the file and its lock, and writes nothing: where there is no file, none is made. */
export const diagnose = Effect.fnUntraced(function* (options: {
  readonly filename: string
}): Effect.fn.Return<ReadonlyArray<Diagnosis.Diagnosis>> {
  const { filename } = options
  const path = resolve(filename)
  const isThere = yield* Effect.result(Errors.attempt(filename, () => existsSync(path) && TaskFile.locate(filename)))
  if (Result.isFailure(isThere)) return [Diagnosing.fromError("file", isThere.failure)]
  const look = (name: string, body: () => Diagnosis.Diagnosis) => Diagnosing.check(name, Errors.attempt(filename, body))
  return [
    yield* look("file", () => file(filename, path)),
    ...(existsSync(path)
      ? [
          yield* look("tasks", () => tasks(filename, path)),
          yield* look("lock", () => lock(filename, realpathSync(path)))
        ]
      : []),
    ...Diagnosing.disk(path)
  ]
})

const file = (filename: string, path: string): Diagnosis.Diagnosis => {
  if (!existsSync(path)) {
    accessSync(Diagnosing.existingPart(path), constants.W_OK | constants.X_OK)
    return Diagnosis.ok("file", `There is no file ${filename} yet; the first command that adds tasks makes it.`)
  }
  return Diagnosis.ok("file", `${filename} can be read and written.`)
}

const tasks = (filename: string, path: string): Diagnosis.Diagnosis => {
  const { text } = TaskFile.load(path)
  const read = Document.read(text, DateTime.makeUnsafe(0))
  if (Result.isFailure(read)) {
    return Diagnosis.fail("tasks", `${filename}:${read.failure}.`, "Correct the file, or name another one.")
  }
  const { length } = read.success.entries
  const found = `The file holds ${length} ${length === 1 ? "task" : "tasks"}`
  return length > many
    ? Diagnosis.warn(
        "tasks",
        `${found}, all of which are written with every change.`,
        "Move them with `baton migrate-store` to SQLite."
      )
    : Diagnosis.ok("tasks", `${found}.`)
}

const lock = (filename: string, path: string): Diagnosis.Diagnosis => {
  const refusal = Lock.look(filename, path)
  return refusal === undefined
    ? Diagnosis.ok("lock", "No other process uses the file.")
    : // A run that is under way is no fault of the file.
      { ...Diagnosing.fromError("lock", Errors.unusable(refusal)), status: "warn" }
}
