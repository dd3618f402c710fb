/** Opens the store of `--store`; the scheme of the URL selects the kind of store. */
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Diagnosis } from "@baton/core/Diagnosis"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import * as Context from "effect/Context"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Project from "../settings/Project.ts"
import { fromConfig } from "../settings/Project.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { StoreUrl } from "../settings/flags.ts"
import { settings } from "../settings/settings.ts"
import { nearest } from "../system/nearest.ts"
import * as queues from "./queues.ts"
import { withoutPassword } from "../view/commandLine.ts"

type Store<R = never> = Layer.Layer<TaskStore, CommandFailed | TaskStoreError, FileSystem.FileSystem | Path.Path | R>

/** The store with this URL. */
export const storeFromUrl = (url: string, options?: { readonly mustExist?: boolean | undefined }): Store =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { location, scheme } = yield* locate(url)
      return scheme.open({ location, mustExist: options?.mustExist ?? false })
    })
  )

/** Finds the scheme of a URL. A URL with a mistake can contain a password, which is not repeated. */
export const locate = Effect.fnUntraced(function* (url: string) {
  const schemes = yield* StoreSchemes
  const colon = url.indexOf(":")
  const location = url.slice(colon + 1)
  const scheme = schemes.get(url === fromConfig ? url : url.slice(0, Math.max(0, colon)))
  if (scheme !== undefined && !(scheme.isFile === true && location.includes("://"))) return { scheme, location }
  const examples = [...schemes.values()].map(({ example }) => example).join(", ")
  const hint = suggestion(scheme === undefined ? url : location, schemes)
  return yield* new CommandFailed({
    message: `--store is "${withoutPassword(url)}": it takes ${examples}.${hint === undefined ? "" : ` Did you mean ${withoutPassword(hint)}?`}`
  })
})

/** The URL that was probably meant: with the usual spelling of its scheme, or for a path whose extension tells the kind. */
const suggestion = (text: string, schemes: ReadonlyMap<string, StoreScheme>): string | undefined => {
  const path = text.trim()
  const [, scheme = "", rest = ""] = /^(\w+):(.*)$/s.exec(path) ?? []
  if (schemes.has(scheme.toLowerCase())) return `${scheme.toLowerCase()}:${rest}`
  const [close] = scheme === "" || path.includes("://") ? [] : nearest(scheme, schemes.keys())
  if (close !== undefined) return `${close}:${rest}`
  if (path.includes("://")) return undefined
  if (/\.(?:db|sqlite3?)$/.test(path)) return `sqlite:${path}`
  return path.endsWith(".json") ? `json:${path}` : undefined
}

/** The store of this command line, which is created if it does not exist. For commands that add tasks. */
export const layer: Store<GlobalFlag.Setting.Identifier<"store">> = Layer.unwrap(
  Effect.map(StoreUrl, (url) => storeFromUrl(url))
)

/**
 * The store of this command line for a worker: while the store is unavailable, tries again, at most 30 seconds apart. A worker starts
 * with the machine, often before the server of its store.
 */
export const layerPatient: Store<GlobalFlag.Setting.Identifier<"store">> = Layer.effectContext(
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let isReported = false
    const open = Effect.gen(function* () {
      const attempt = yield* Scope.fork(scope)
      return yield* Layer.buildWithScope(Layer.fresh(layer), attempt).pipe(
        // What a failed attempt has opened is closed before the next one.
        Effect.onError((cause) => Scope.close(attempt, Exit.failCause(cause)))
      )
    })
    const opened = yield* open.pipe(
      Effect.tapError((error) => {
        if (isReported || !isUnavailable(error)) return Effect.void
        isReported = true
        return Effect.logWarning(`The worker waits for its store. ${error.message}`)
      }),
      Effect.retry({ schedule: reopening, while: isUnavailable })
    )
    if (isReported) yield* Effect.logWarning("The store is available.")
    return opened
  })
)

const isUnavailable = (error: CommandFailed | TaskStoreError): boolean =>
  error._tag === "TaskStoreError" && error.reason === "Unavailable"

const reopening = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.jittered
)

/** The store of this command line with all of its queues, which must exist. */
export const layerAllQueues: Store<GlobalFlag.Setting.Identifier<"store">> = Layer.unwrap(
  Effect.map(StoreUrl, (url) => storeFromUrl(url, { mustExist: true }))
)

/** The store of this command line, which must exist, as commands see it that read or change tasks: see `queues.selected`. */
export const layerExisting: Store<GlobalFlag.Setting.Identifier<"store" | "queue">> = Layer.effect(
  TaskStore,
  Effect.flatMap(TaskStore, queues.selected)
).pipe(Layer.provide(layerAllQueues))

/** The store of this command line, which must exist: the queue of `--queue` alone, or all queues. */
export const layerNamedQueue: Store<GlobalFlag.Setting.Identifier<"store" | "queue">> = Layer.effect(
  TaskStore,
  Effect.flatMap(TaskStore, queues.named)
).pipe(Layer.provide(layerAllQueues))

/** A kind of store. Its module is loaded when the store is opened. */
export interface StoreScheme {
  /** An example of its URLs, for messages. */
  readonly example: string
  /** Whether the location is the path of a file. */
  readonly isFile?: boolean
  readonly open: (options: {
    /** The URL without the scheme and its colon. */
    readonly location: string
    /** Fail instead of creating a store if none exists. */
    readonly mustExist: boolean
  }) => Layer.Layer<TaskStore, CommandFailed | TaskStoreError, FileSystem.FileSystem | Path.Path>
  /** Checks a store without opening it, if this kind of store supports that. */
  readonly diagnose?: (location: string) => Effect.Effect<ReadonlyArray<Diagnosis>>
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
  example: "config (the layer in baton.config.ts)",
  open: () => Project.part("store", TaskStore)
}

/** A store in a file, from the module that `load` returns. */
const inFile = (
  scheme: string,
  example: string,
  load: Effect.Effect<{
    readonly layer: (options: { readonly filename: string }) => Layer.Layer<TaskStore, TaskStoreError>
    readonly diagnose: (options: { readonly filename: string }) => Effect.Effect<ReadonlyArray<Diagnosis>>
  }>
): StoreScheme => ({
  example: `${scheme}:PATH`,
  isFile: true,
  open: ({ location, mustExist }) =>
    Layer.unwrap(
      Effect.gen(function* () {
        if (location.trim() === "") {
          return yield* new CommandFailed({
            message: `--store ${scheme}: has no path. Add one, as in --store ${example}.`
          })
        }
        const fs = yield* FileSystem.FileSystem
        if (mustExist && !(yield* Effect.orElseSucceed(fs.exists(location), () => true))) {
          return yield* new CommandFailed({
            message:
              `There is no store at ${location}. Change to the directory of the store, choose another one with --store, ` +
              "or create one with `baton run FILE`, `baton import FILE` or `baton add TEXT`."
          })
        }
        return (yield* load).layer({ filename: location })
      })
    ),
  diagnose: (location) => Effect.flatMap(load, ({ diagnose }) => diagnose({ filename: location }))
})

const sqlite = inFile(
  "sqlite",
  settings.store.default,
  Effect.map(
    Effect.promise(() => import("@baton/adapters/sqlite")),
    ({ SqliteTaskStore }) => SqliteTaskStore
  )
)

const json = inFile(
  "json",
  "json:tasks.json",
  Effect.map(
    Effect.promise(() => import("@baton/adapters/json")),
    ({ JsonTaskStore }) => JsonTaskStore
  )
)

/** A store on a server, from the module that `load` returns. */
const onServer = (
  scheme: string,
  address: string,
  load: Effect.Effect<{
    readonly layer: (options: {
      readonly url: Redacted.Redacted
      readonly mustExist: boolean
    }) => Layer.Layer<TaskStore, TaskStoreError>
    readonly diagnose: (options: { readonly url: Redacted.Redacted }) => Effect.Effect<ReadonlyArray<Diagnosis>>
  }>
): StoreScheme => {
  const urlOf = (location: string) => Redacted.make(`${scheme}:${location}`)
  return {
    example: `${scheme}://${address}`,
    open: ({ location, mustExist }) =>
      Layer.unwrap(Effect.map(load, ({ layer }) => layer({ url: urlOf(location), mustExist }))),
    diagnose: (location) => Effect.flatMap(load, ({ diagnose }) => diagnose({ url: urlOf(location) }))
  }
}

const postgres = (scheme: "postgres" | "postgresql") =>
  onServer(
    scheme,
    "USER:PASSWORD@HOST:PORT/DATABASE",
    Effect.map(
      Effect.promise(() => import("@baton/adapters/postgres")),
      ({ PostgresTaskStore }) => PostgresTaskStore
    )
  )

const redis = (scheme: "redis" | "rediss") =>
  onServer(
    scheme,
    "HOST:PORT",
    Effect.map(
      Effect.promise(() => import("@baton/adapters/redis")),
      ({ RedisTaskStore }) => RedisTaskStore
    )
  )

/** The known schemes. */
export const StoreSchemes = Context.Reference<ReadonlyMap<string, StoreScheme>>("@baton/cli/run/StoreSchemes", {
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
