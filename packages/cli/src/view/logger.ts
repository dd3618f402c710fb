/** Logs to standard error, for people or for machines. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Console from "effect/Console"
import { safeText, type SafeText } from "./safeText.ts"

/** Receives log lines instead of standard error, for example a screen that redraws itself. */
export const LogLines = Context.Reference<((line: SafeText) => void) | undefined>("@baton/cli/system/LogLines", {
  defaultValue: () => undefined
})

/** Logs messages of at least `level` in a format. */
export const layer = (options: {
  readonly level: LogLevel.LogLevel
  readonly format: "human" | "json"
}): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([toStderr(options.format === "json" ? Logger.formatJson : human), Logger.tracerLogger]),
    Layer.succeed(References.MinimumLogLevel, options.level)
  )

/** `10:32:07 WARN  message key=value` */
const human = Logger.make(({ cause, date, fiber, logLevel, message }) => {
  const messages = Array.isArray(message) ? message : [message]
  const annotations = Object.entries(fiber.getRef(References.CurrentLogAnnotations))
  return [
    date.toTimeString().slice(0, 8),
    logLevel.toUpperCase().padEnd(5),
    ...messages.map(text),
    ...annotations.map(([key, value]) => `${key}=${text(value)}`),
    ...(cause.reasons.length === 0 ? [] : [`\n${Cause.pretty(cause)}`])
  ].join(" ")
})

const text = (value: unknown): string => (typeof value === "string" ? value : Formatter.format(value))

const toStderr = (logger: Logger.Logger<unknown, string>): Logger.Logger<unknown, void> =>
  Logger.make((options) => {
    const write = options.fiber.getRef(LogLines) ?? options.fiber.getRef(Console.Console).error
    write(safeText(logger.log(options)))
  })
