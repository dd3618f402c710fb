/** Prints messages for people to standard error. */
import * as Console from "effect/Console"
import type * as Effect from "effect/Effect"
import type { SafeText } from "./safeText.ts"
import type { Style } from "./style.ts"

/** Prints a message. */
export const printMessage = (text: SafeText): Effect.Effect<void> => Console.error(text)

/** Prints a warning. */
export const printWarning = (text: SafeText, style: Style): Effect.Effect<void> =>
  Console.error(`${style.yellow("warning:")} ${text}`)
