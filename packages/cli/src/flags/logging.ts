/**
 * The flags that say what is logged, and how.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as LogLevel from "effect/LogLevel"

const levels = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error",
  none: "None"
} as const satisfies Record<string, LogLevel.LogLevel>

const names = ["trace", "debug", "info", "warn", "error", "none"] as const

/**
 * The least important messages that are logged.
 *
 * @category flags
 * @since 0.1.0
 */
export const LogLevelFlag = GlobalFlag.Setting("log-level")({
  flag: Flag.Literals("log-level", names).pipe(
    Flag.withDescription("The least important messages to log (default info; or BATON_LOG_LEVEL)"),
    Flag.withFallbackConfig(Config.Literals(names, "BATON_LOG_LEVEL")),
    Flag.withDefault("info"),
    Flag.map((name): LogLevel.LogLevel => levels[name])
  )
})

/**
 * How messages are logged, always on standard error.
 *
 * @category flags
 * @since 0.1.0
 */
export const LogFormatFlag = GlobalFlag.Setting("log-format")({
  flag: Flag.Literals("log-format", ["human", "json"]).pipe(
    Flag.withDescription("How messages are logged, on standard error (default human; or BATON_LOG_FORMAT)"),
    Flag.withFallbackConfig(Config.Literals(["human", "json"], "BATON_LOG_FORMAT")),
    Flag.withDefault("human")
  )
})
