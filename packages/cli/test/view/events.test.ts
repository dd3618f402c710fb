import { Event } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { eventJson } from "../../src/view/events.ts"

const encode = Schema.encodeEffect(Event.Event)

describe("eventJson", () => {
  it.effect.prop("is the encoded event with the tag in the field `event`", [Event.Event], ([event]) =>
    Effect.gen(function* () {
      const { _tag, ...fields } = yield* encode(event)
      // Compared through JSON, which has no undefined and no negative zero.
      assert.deepStrictEqual(JSON.parse(eventJson(event)), JSON.parse(JSON.stringify({ event: _tag, ...fields })))
      assert.notInclude(eventJson(event), "\n")
    })
  )
})
