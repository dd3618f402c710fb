import { Effect, Logger, References } from "effect"
import { isOfTestClock } from "../../../core/test/testClockWarnings.ts"

/** Log entries as `message key=value`. */
export const recorded = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ fiber, message }) => {
    if (isOfTestClock(message)) return
    const annotations = Object.entries(fiber.getRef(References.CurrentLogAnnotations))
    lines.push([message, ...annotations.map(([key, value]) => `${key}=${String(value)}`)].flat().join(" "))
  })
  return { lines, layer: Logger.layer([logger]) }
}

/** Runs an effect and records its log entries. */
export const withLogs = <A, E, R>(test: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const { layer, lines } = recorded()
    return Effect.provide(test(lines), layer)
  })
