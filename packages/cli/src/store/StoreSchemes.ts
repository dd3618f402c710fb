/**
 * The kinds of store that `--store` can name, by the scheme of its URL.
 *
 * @since 0.1.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Project from "../config/Project.ts"
import { CommandFailed } from "../errors/CommandFailed.ts"
import { defaultStoreUrl } from "../flags/storeUrl.ts"

/**
 * One kind of store. What it needs is loaded when it is opened.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreScheme {
  /** How its URLs look, for messages. */
  readonly example: string
  readonly open: (options: {
    /** What follows the scheme and its colon. */
    readonly location: string
    /** Fail rather than make a new store when there is none at this place. */
    readonly mustExist: boolean
  }) => Layer.Layer<TaskStore, CommandFailed | TaskStoreError, FileSystem.FileSystem | Path.Path>
}

const memory: StoreScheme = {
  example: "memory:",
  open: () =>
    Layer.unwrap(
      Effect.map(
        Effect.promise(() => import("@baton/core/TaskStore")),
        ({ layerMemory }) => layerMemory
      )
    )
}

const config: StoreScheme = {
  example: "config, for the layer of baton.config.ts",
  open: () =>
    Layer.unwrap(
      Effect.map(
        Effect.promise(() => import("@baton/core/TaskStore")),
        ({ TaskStore }) => Project.part("store", TaskStore)
      )
    )
}

/** A store in a file, whose layer `load` brings. */
const inFile = (
  scheme: string,
  example: string,
  load: (filename: string) => Effect.Effect<Layer.Layer<TaskStore, TaskStoreError>>
): StoreScheme => ({
  example: `${scheme}:PATH`,
  open: ({ location, mustExist }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        if (location.trim() === "") {
          return yield* new CommandFailed({ message: `--store ${scheme}: needs a path, as in ${example}.` })
        }
        const fs = yield* FileSystem.FileSystem
        if (mustExist && !(yield* Effect.orElseSucceed(fs.exists(location), () => true))) {
          return yield* new CommandFailed({
            message:
              `There is no store at ${location}: go to the directory that has it, name another with --store, ` +
              "or bring tasks with `baton import FILE`, `baton add TEXT` or `baton run FILE`."
          })
        }
        return yield* load(location)
      })
    )
})

const sqlite = inFile("sqlite", defaultStoreUrl, (filename) =>
  Effect.map(
    Effect.promise(() => import("@baton/adapters/sqlite")),
    ({ SqliteTaskStore }) => SqliteTaskStore.layer({ filename })
  )
)

const json = inFile("json", "json:tasks.json", (filename) =>
  Effect.map(
    Effect.promise(() => import("@baton/adapters/json")),
    ({ JsonTaskStore }) => JsonTaskStore.layer({ filename })
  )
)

const postgres = (scheme: "postgres" | "postgresql"): StoreScheme => ({
  example: `${scheme}://USER:PASSWORD@HOST:PORT/DATABASE`,
  open: ({ location, mustExist }) =>
    Layer.unwrap(
      Effect.map(
        Effect.promise(() => import("@baton/adapters/postgres")),
        ({ PostgresTaskStore }) => PostgresTaskStore.layer({ url: Redacted.make(`${scheme}:${location}`), mustExist })
      )
    )
})

const redis = (scheme: "redis" | "rediss"): StoreScheme => ({
  example: `${scheme}://HOST:PORT`,
  open: ({ location, mustExist }) =>
    Layer.unwrap(
      Effect.map(
        Effect.promise(() => import("@baton/adapters/redis")),
        ({ RedisTaskStore }) => RedisTaskStore.layer({ url: Redacted.make(`${scheme}:${location}`), mustExist })
      )
    )
})

/**
 * The schemes that exist.
 *
 * @category services
 * @since 0.1.0
 */
export const StoreSchemes = Context.Reference<ReadonlyMap<string, StoreScheme>>("@baton/cli/store/StoreSchemes", {
  defaultValue: () =>
    new Map([
      ["sqlite", sqlite],
      ["json", json],
      ["postgres", postgres("postgres")],
      ["postgresql", postgres("postgresql")],
      ["redis", redis("redis")],
      ["rediss", redis("rediss")],
      ["memory", memory],
      [Project.fromConfig, config]
    ])
})
