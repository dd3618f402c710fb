/**
 * Events as JSON lines: `{"event":"TaskCompleted","at":"2026-11-21T08:30:12.345Z","taskId":...}`.
 *
 * @since 0.1.0
 */
import type { Event } from "@baton/core/Event"
import * as DateTime from "effect/DateTime"

/**
 * One event as a line, without its line break.
 *
 * Written by hand for speed: apart from its time an event is made of JSON values already. It is what the schema of events
 * encodes to, with the tag under `event`.
 *
 * @category converting
 * @since 0.1.0
 */
export const eventJson = ({ _tag, at, ...fields }: Event): string =>
  JSON.stringify({ event: _tag, at: DateTime.formatIso(at), ...fields })
