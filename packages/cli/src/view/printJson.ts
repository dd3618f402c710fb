/**
 * Prints the result of a command as JSON.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type * as Stdio from "effect/Stdio"
import { writeLine } from "./stdout.ts"

/**
 * One object on one line, in the encoding of its schema.
 *
 * @category running
 * @since 0.1.0
 */
export const printJson = <A, I>(
  schema: Schema.Codec<A, I>,
  value: A
): Effect.Effect<void, PlatformError, Stdio.Stdio> =>
  Schema.encodeEffect(Schema.fromJsonString(schema))(value).pipe(
    // A command builds its result itself: one that does not fit its schema is a bug.
    Effect.orDie,
    Effect.flatMap(writeLine)
  )
