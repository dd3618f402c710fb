import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result, type Schema } from "effect"
import * as Draft from "../../src/sources/draft.ts"

const draft = (fields: Schema.JsonObject) =>
  Result.getOrThrow(Draft.fromFields({ description: "x", ...fields }, undefined))

const refuses = (fields: Schema.JsonObject, message: string) =>
  assert.deepStrictEqual(
    Result.map(Draft.fromFields({ description: "x", ...fields }, undefined), () => "read"),
    Result.fail(message)
  )

describe("draft", () => {
  it("reads a task's own fields, and adds the others to its metadata", () => {
    const { id, over, task } = draft({
      id: "a",
      metadata: { team: "docs", url: "mine" },
      url: "theirs",
      nested: { a: [1] },
      priority: 5,
      availableAt: "2026-03-01T09:00:00+02:00",
      dependsOn: ["b", 3, "b"]
    })
    assert.strictEqual(id, "a")
    assert.strictEqual(over, undefined)
    assert.deepEqual<unknown>(task, {
      description: "x",
      metadata: { url: "mine", nested: { a: [1] }, team: "docs" },
      priority: 5,
      availableAt: DateTime.makeUnsafe("2026-03-01T07:00:00Z"),
      dependsOn: ["b", "3"]
    })
  })

  it("takes what is null or empty as not given", () => {
    const nothing = { id: null, metadata: "", priority: null, availableAt: " ", dependsOn: "" }
    assert.deepStrictEqual(draft(nothing), { id: undefined, over: undefined, task: { description: "x" } })
  })

  it("takes a prompt for the description, unless there is one", () => {
    const fromPrompt = Result.getOrThrow(Draft.fromFields({ prompt: "p" }, undefined))
    assert.deepStrictEqual(fromPrompt.task, { description: "p" })
    assert.deepStrictEqual(draft({ prompt: "p" }).task, { description: "x", metadata: { prompt: "p" } })
  })

  it("takes whole numbers as ids", () => {
    assert.strictEqual(draft({ id: 17 }).id, "17")
    refuses({ id: 1.5 }, '"id" must be text, got 1.5; put it in double quotes')
    refuses({ id: 2 ** 60 }, '"id" must be text, got 1152921504606847000; put it in double quotes')
    refuses({ id: ["a"] }, '"id" must be text, got a list; put it in double quotes')
  })

  it("reads dependencies from a list or from text", () => {
    assert.deepEqual<unknown>(draft({ dependsOn: "a; b,c ," }).task.dependsOn, ["a", "b", "c"])
    for (const dependsOn of [[""], [null], ["a", {}], 5, { a: 1 }]) {
      assert.isTrue(Result.isFailure(Draft.fromFields({ description: "x", dependsOn }, undefined)))
    }
    refuses({ dependsOn: ["a", true] }, '"dependsOn" must be a list of ids, such as ["a", "b"] or "a, b"; got a list')
  })

  it("says what is wrong with a field", () => {
    refuses({ priority: "high" }, '"priority" must be a whole number (higher runs first), got "high"')
    refuses({ priority: 1.5 }, '"priority" must be a whole number (higher runs first), got 1.5')
    refuses({ metadata: ["a"] }, '"metadata" must be an object, such as {"team": "docs"}; got a list')
    refuses({ metadata: "text" }, '"metadata" must be an object, such as {"team": "docs"}; got "text"')
    refuses({ description: 5 }, '"description" must be text, got 5; put it in double quotes')
    refuses({ description: " \n" }, "the description is empty; say what is to be done")
    const quoted = `"${"y".repeat(38)}…`
    refuses({ priority: "y".repeat(60) }, `"priority" must be a whole number (higher runs first), got ${quoted}`)
  })

  it("takes only times that mean the same everywhere", () => {
    for (const [time, iso] of [
      ["2026-03-01", "2026-03-01T00:00:00.000Z"],
      ["2026-03-01T09:30Z", "2026-03-01T09:30:00.000Z"],
      ["2026-03-01 09:30:15.5-01:00", "2026-03-01T10:30:15.500Z"]
    ] as const) {
      const { availableAt } = draft({ availableAt: time }).task
      assert.strictEqual(availableAt === undefined ? "" : DateTime.formatIso(availableAt), iso)
    }
    for (const time of ["tomorrow", "2026-03-01T09:30", "2026-13-01", "1", 1_700_000_000]) {
      refuses(
        { availableAt: time },
        `"availableAt" must be a time such as 2026-03-01T09:00:00Z, got ${JSON.stringify(time)}`
      )
    }
  })

  it("names the fields of a record without a description", () => {
    const read = Draft.fromFields({ id: 1, title: "t" }, undefined)
    assert.deepStrictEqual(
      Result.map(read, () => "read"),
      Result.fail(
        "there is no \"description\" among the fields id, title; add one, or build it from others with --template '… {{title}} …'"
      )
    )
  })

  it("refuses fields that are nested too deep to be worked with", () => {
    const nest = (depth: number): Schema.Json => (depth === 0 ? 1 : [nest(depth - 1)])
    assert.deepStrictEqual(draft({ a: nest(99) }).task.metadata, { a: nest(99) })
    refuses({ a: nest(100) }, "its fields are nested deeper than 100 levels")
  })

  it("keeps a field that is called __proto__ a field", () => {
    const { metadata } = Result.getOrThrow(
      Draft.fromFields(JSON.parse('{"prompt": "x", "__proto__": {"p": 1}}'), undefined)
    ).task
    assert.strictEqual(JSON.stringify(metadata), '{"__proto__":{"p":1}}')
    assert.strictEqual(Object.getPrototypeOf(metadata), Object.prototype)
  })

  it("leaves out where a saved task stood, and says when it is over", () => {
    const saved = (status: string) =>
      draft({
        id: "a",
        status,
        attempts: "2",
        result: "r",
        max_attempts: 3,
        feedback: null,
        verified: true,
        requeues: 0,
        usage: null,
        createdAt: "…",
        updatedAt: "…",
        kept: 1
      })
    assert.deepStrictEqual(
      ["pending", "in_progress", "completed", "failed", "cancelled"].map((status) => saved(status).over),
      [undefined, undefined, "completed", undefined, "cancelled"]
    )
    assert.deepStrictEqual(saved("failed").task, { description: "x", metadata: { kept: 1 } })
  })

  it("reads a task out of the file of a JSON store as it was added", () => {
    const saved = (status: string, baton: Schema.JsonObject) =>
      draft({ id: "a", status, attempts: 1, result: null, metadata: { kept: 1 }, baton })
    const history = [{ number: 1, token: 1, outcome: "failed" }]
    assert.deepStrictEqual(saved("failed", { priority: 2, dependsOn: ["b"], token: 1, history }), {
      id: "a",
      task: { description: "x", metadata: { kept: 1 }, priority: 2, dependsOn: [Task.TaskId.make("b")] },
      over: undefined
    })
    assert.strictEqual(saved("failed", { cancelled: true }).over, "cancelled")
    assert.strictEqual(saved("pending", { cancelled: true }).over, undefined)
    assert.deepStrictEqual(draft({ baton: { priority: 2 } }).task.metadata, { baton: { priority: 2 } })
  })
})
