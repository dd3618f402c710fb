import { Duration } from "effect"
import { TestClock } from "effect/testing"

/**
 * A test clock that does not advance before the fibers that it woke are suspended again. The default `TestClock` advances after
 * one second, and a thousand tasks take longer on a busy machine.
 */
export const clockThatWaits = TestClock.layer({ warningDelay: Duration.infinity })
