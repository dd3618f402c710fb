/**
 * Reads a file that a flag names.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { CommandFailed } from "../system/CommandFailed.ts"
import type { Given } from "../settings/envFlag.ts"

/**
 * The text of the file. Fails with one sentence that names the flag.
 *
 * @category constructors
 * @since 0.1.0
 */
export const readText = ({ by, value }: Given<string>): Effect.Effect<string, CommandFailed, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.mapError(fs.readFileString(value), ({ reason }) => {
      const why = reason._tag === "NotFound" ? "there is no such file" : `it cannot be read (${reason._tag})`
      return new CommandFailed({ message: `${by} names ${value}, and ${why}.` })
    })
  )
