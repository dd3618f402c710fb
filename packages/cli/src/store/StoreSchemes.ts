/**
 * The kinds of store that `--store` can name, by the scheme of its URL.
 *
 * @since 0.1.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type { CommandFailed } from "../errors/CommandFailed.ts"

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

/**
 * The schemes that exist.
 *
 * @category services
 * @since 0.1.0
 */
export const StoreSchemes = Context.Reference<ReadonlyMap<string, StoreScheme>>("@baton/cli/store/StoreSchemes", {
  defaultValue: () => new Map([["memory", memory]])
})
