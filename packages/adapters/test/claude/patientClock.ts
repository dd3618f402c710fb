import { Duration } from "effect"
import { TestClock } from "effect/testing"

/**
 * Lets time pass only when everything that was to happen before has happened. The usual `TestClock` goes on after a second, which
 * is less than a thousand tasks take on a busy machine.
 */
export const patientClock = TestClock.layer({ warningDelay: Duration.infinity })
