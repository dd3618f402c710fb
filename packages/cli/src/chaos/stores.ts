/** The stores that `baton chaos` makes for its tasks, on the same server or disk as the user's store. */
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { locate } from "../run/stores.ts"
import { CommandFailed } from "../system/CommandFailed.ts"

/** A place for a new store, until the scope closes. */
export interface Temporary {
  readonly url: string
  /** The name of the created place, for a message: `schema baton_chaos_1 of the database`. */
  readonly description: string
  /** Whether the store is one file, which a frozen writer locks for all others. */
  readonly isFile: boolean
  readonly remove: Effect.Effect<void, TaskStoreError>
}

/** A separate store on the server or disk of this URL. `name` is unique. */
export const beside = Effect.fnUntraced(function* (
  url: string,
  name: string
): Effect.fn.Return<Temporary, CommandFailed, FileSystem.FileSystem | Path.Path> {
  const { location } = yield* locate(url)
  const kind = url.slice(0, Math.max(0, url.indexOf(":")))
  switch (kind) {
    case "sqlite":
      return yield* inFolder(location, name)
    case "postgres":
    case "postgresql":
      return yield* onPostgres(url, name.replaceAll("-", "_"))
    case "redis":
    case "rediss":
      return yield* onRedis(url, name)
    default:
      return yield* new CommandFailed({
        message: `Several workers cannot share a store of this kind, so it cannot be tested: choose one with --store sqlite:PATH, postgres://HOST/DATABASE or redis://HOST.`
      })
  }
})

const inFolder = Effect.fnUntraced(function* (location: string, name: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let parent = path.dirname(path.resolve(location))
  // The store need not exist, and no folder is made that would be left behind.
  while (!(yield* Effect.orElseSucceed(fs.exists(parent), () => true))) parent = path.dirname(parent)
  const folder = path.join(parent, `.${name}`)
  const remove = Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
  yield* fs
    .makeDirectory(folder, { recursive: true })
    .pipe(
      Effect.mapError(
        (error) => new CommandFailed({ message: `The folder ${folder} could not be created: ${error.message}` })
      )
    )
  return { url: `sqlite:${path.join(folder, "baton.db")}`, description: `the folder ${folder}`, isFile: true, remove }
})

const onPostgres = Effect.fnUntraced(function* (url: string, schema: string) {
  const { PostgresTaskStore } = yield* Effect.promise(() => import("@baton/adapters/postgres"))
  const changed = yield* withParameter(url, "schema", schema)
  const remove = PostgresTaskStore.remove({ url: Redacted.make(changed) })
  return { url: changed, description: `the schema ${schema} of the database`, isFile: false, remove }
})

const onRedis = Effect.fnUntraced(function* (url: string, prefix: string) {
  const { RedisTaskStore } = yield* Effect.promise(() => import("@baton/adapters/redis"))
  const changed = yield* withParameter(url, "prefix", prefix)
  const remove = RedisTaskStore.remove({ url: Redacted.make(changed) })
  return { url: changed, description: `keys with the prefix ${prefix}`, isFile: false, remove }
})

const withParameter = (url: string, name: string, value: string) =>
  Effect.suspend(() => {
    const parsed = URL.parse(url)
    if (parsed === null) {
      return Effect.fail(
        new CommandFailed({ message: "The URL of --store is not valid: check it with `baton doctor`." })
      )
    }
    parsed.searchParams.set(name, value)
    return Effect.succeed(parsed.href)
  })
