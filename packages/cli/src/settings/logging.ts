/**
 * The flags that say what is logged, and how.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as LogLevel from "effect/LogLevel"
import { value } from "./envFlag.ts"
import * as Kind from "./Kind.ts"

const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  none: "None"
} as const satisfies Record<string, LogLevel.LogLevel>

/**
 * The least important messages that are logged.
 *
 * @category flags
 * @since 0.1.0
 */
export const LogLevelFlag = GlobalFlag.Setting("log-level")({
  flag: value("log-level", Kind.names(levels), {
    description: "The least important messages to log",
    default: "info"
  }).pipe(Flag.map((name): LogLevel.LogLevel => levels[name ?? "info"]))
})

/**
 * How messages are logged, always on standard error.
 *
 * @category flags
 * @since 0.1.0
 */
export const LogFormatFlag = GlobalFlag.Setting("log-format")({
  flag: value("log-format", Kind.oneOf("human", "json"), {
    description: "How messages are logged, on standard error",
    default: "human"
  }).pipe(Flag.map((format) => format ?? "human"))
})
