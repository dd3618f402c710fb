import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Execution from "../../Execution.ts"
import * as Task from "../../Task.ts"
import * as Verification from "../../Verification.ts"
import {
  type Case,
  claim,
  claimedIds,
  claimOne,
  complete,
  find,
  id,
  it,
  leaseOf,
  release,
  retry,
  settle,
  task,
  type Fixture
} from "./fixture.ts"

/** Texts that a store may be tempted to change. */
export const texts: ReadonlyArray<readonly [what: string, text: string]> = [
  ["nothing at all", ""],
  ["a NUL in the middle", "before\0after"],
  ["emoji and combining marks", "👩‍👩‍👧 e\u0301 नमस्ते שלום"],
  ["all kinds of white space", " \t\r\n\u00a0\u2028 "],
  ["quotes and backslashes", `'; DROP TABLE tasks; -- "\\" \\u0000 $1 ? :name %s {{x}}`],
  ["the highest code points", "\uffff\u{10ffff}"]
]

/** A text that has no UTF-8. */
export const brokenText = "a\ud800b"

/** Sends a text through every place where a store keeps one, and expects it back as it was. */
const roundTrip = Effect.fnUntraced(function* (fixture: Fixture, text: string) {
  const metadata = { [`key ${text}`]: text, list: [text, { nested: text }] }
  yield* fixture.store.add([Task.makeNew({ id: "a", description: text, metadata })])
  assert.equal((yield* find(fixture, "a")).description, text)
  assert.deepEqual((yield* find(fixture, "a")).metadata, metadata)
  const output = Execution.make({ output: text, metadata })
  const first = yield* claimOne(fixture, { owner: `worker ${text}` })
  assert.equal(first.task.description, text)
  assert.deepEqual(first.task.metadata, metadata)
  yield* fixture.store.checkpoint([{ ...leaseOf(first), execution: output }])
  yield* settle(fixture, release(first, text))
  const second = yield* claimOne(fixture)
  assert.deepEqual(second.checkpoint, output)
  const verification = Verification.reject(text, { issues: [text, text] })
  yield* settle(fixture, { ...retry(second, { feedback: text }), execution: output, verification })
  const third = yield* claimOne(fixture)
  assert.equal(third.task.feedback, text)
  assert.equal(third.previousOutput, text === "" ? undefined : text)
  yield* settle(fixture, { ...complete(third), execution: output })
  assert.equal((yield* find(fixture, "a")).result, text)
  const [released, retried] = yield* fixture.store.attempts(id("a"))
  assert.equal(released?.owner, `worker ${text}`)
  assert.equal(released.error, text)
  assert.deepEqual(retried?.execution, output)
  assert.deepEqual(retried.verification, verification)
  assert.equal(retried.error, text)
})

export const text: ReadonlyArray<Case> = [
  ...texts.map(([what, text]) => it(`text with ${what} comes back as it was`, (fixture) => roundTrip(fixture, text))),
  it("text with half of a surrogate pair is returned unchanged", (fixture) => roundTrip(fixture, brokenText)),
  it(
    "odd or similar ids are distinct",
    Effect.fnUntraced(function* (fixture) {
      const odd = [
        "a",
        "A",
        "a ",
        "a\nb",
        "1 a",
        "\u0001",
        "\u00010000",
        "ä",
        "a\u0308",
        "*",
        "%",
        "_",
        "{a}:1",
        "a/b",
        "'",
        '"',
        "__proto__",
        "constructor",
        "0",
        "00",
        "é".repeat(200)
      ]
      yield* fixture.store.add(odd.map((name) => task(name)))
      const claims = yield* claim(fixture)
      assert.deepEqual(claimedIds(claims), odd)
      yield* settle(fixture, ...claims.map((claimed) => complete(claimed, `result of ${claimed.task.id}`)))
      for (const name of odd) assert.equal((yield* find(fixture, name)).result, `result of ${name}`)
    })
  ),
  it(
    "a description and an output of a megabyte are returned unchanged",
    Effect.fnUntraced(function* (fixture) {
      const long = "0123456789abcdé".repeat(70_000)
      yield* fixture.store.add([Task.makeNew({ id: "a", description: long })])
      const claimed = yield* claimOne(fixture)
      assert.ok(claimed.task.description === long, "the description is the same")
      yield* settle(fixture, complete(claimed, long))
      assert.ok((yield* find(fixture, "a")).result === long, "the result is the same")
    })
  ),
  it(
    "metadata is returned unchanged: nested, with every kind of value and unusual keys",
    Effect.fnUntraced(function* (fixture) {
      const json = `{
        "": "empty key", "__proto__": { "polluted": true }, "constructor": 1, "toString": null, "a.b": 2, "10": "ten",
        "numbers": [0, -1, 1.5, 1e21, 5e-324, 9007199254740991], "booleans": [true, false, null],
        "empty": [{}, [], ""], "deep": ${"[".repeat(50)}${"]".repeat(50)}
      }`
      const metadata = parseMetadata(json)
      yield* fixture.store.add([task("a", { metadata })])
      const back = (yield* find(fixture, "a")).metadata
      assert.deepEqual(Object.keys(back).toSorted(), Object.keys(metadata).toSorted())
      for (const key of Object.keys(metadata)) assert.deepEqual(back[key], metadata[key], `the value of "${key}"`)
      assert.ok(Object.hasOwn(back, "__proto__"), "a key is data and changes no prototype")
    })
  )
]

const parseMetadata = Schema.decodeSync(Schema.fromJsonString(Task.Metadata))
