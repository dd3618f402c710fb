/**
 * Opens the store that `--store` names.
 *
 * @since 0.1.0
 */
import type { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { fromConfig } from "../settings/Project.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { StoreUrl } from "../settings/storeUrl.ts"
import { StoreSchemes } from "./StoreSchemes.ts"

type Store<R = never> = Layer.Layer<TaskStore, CommandFailed | TaskStoreError, FileSystem.FileSystem | Path.Path | R>

/**
 * The store that a URL names.
 *
 * @category layers
 * @since 0.1.0
 */
export const storeFromUrl = (url: string, options?: { readonly mustExist?: boolean | undefined }): Store =>
  Layer.unwrap(
    Effect.gen(function* () {
      const schemes = yield* StoreSchemes
      const colon = url.indexOf(":")
      const scheme = schemes.get(url === fromConfig ? url : url.slice(0, Math.max(0, colon)))
      if (scheme === undefined) {
        const examples = [...schemes.values()].map(({ example }) => example).join(", ")
        return yield* new CommandFailed({ message: `--store does not know "${url}": it takes ${examples}.` })
      }
      return scheme.open({ location: url.slice(colon + 1), mustExist: options?.mustExist ?? false })
    })
  )

/**
 * The store of this command line; it is made when there is none yet. For commands that bring tasks.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Store<GlobalFlag.Setting.Identifier<"store">> = Layer.unwrap(
  Effect.map(StoreUrl, (url) => storeFromUrl(url))
)

/**
 * The store of this command line, which has to be there. For commands that look at tasks or change them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerExisting: Store<GlobalFlag.Setting.Identifier<"store">> = Layer.unwrap(
  Effect.map(StoreUrl, (url) => storeFromUrl(url, { mustExist: true }))
)
