import { Event } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { eventJson } from "../../src/view/eventJson.ts"

const encode = Schema.encodeEffect(Event.Event)

describe("eventJson", () => {
  it.effect.prop("is what the schema of events encodes to, with the tag under `event`", [Event.Event], ([event]) =>
    Effect.gen(function* () {
      const { _tag, ...fields } = yield* encode(event)
      // Through JSON, because it has no undefined and no negative zero.
      assert.deepStrictEqual(JSON.parse(eventJson(event)), JSON.parse(JSON.stringify({ event: _tag, ...fields })))
      assert.notInclude(eventJson(event), "\n")
    })
  )
})
