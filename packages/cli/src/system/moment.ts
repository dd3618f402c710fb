import * as DateTime from "effect/DateTime"

/** A time in UTC, to the second: `2026-11-21 08:30:12Z`. */
export const moment = (at: DateTime.Utc): string => `${DateTime.formatIso(at).slice(0, 19).replace("T", " ")}Z`
