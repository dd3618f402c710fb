/** Prints messages for people to standard error. */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import type { SafeText } from "./safeText.ts"

/** Prints a message. */
export const printMessage = (text: SafeText): Effect.Effect<void> => Console.error(text)
