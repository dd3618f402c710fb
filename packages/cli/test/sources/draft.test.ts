import { Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Result, type Schema } from "effect"
import * as Draft from "../../src/sources/draft.ts"
import * as Template from "../../src/sources/template.ts"

const draft = (fields: Schema.JsonObject) => Result.getOrThrow(Draft.fromFields({ description: "x", ...fields }))

const refuses = (fields: Schema.JsonObject, message: string) =>
  assert.deepStrictEqual(
    Result.map(Draft.fromFields({ description: "x", ...fields }, undefined), () => "read"),
    Result.fail(message)
  )

describe("a record with messages", () => {
  const user = <Content extends Schema.Json>(content: Content) => ({ role: "user" as const, content })
  const read = (messages: Schema.Json, more: Schema.JsonObject = {}) =>
    Draft.fromFields({ messages, ...more }, { fileProblem: (path) => (path === "a.png" ? undefined : `no ${path}`) })
  const overridesOf = (draft: ReturnType<typeof read>) => Result.getOrThrow(draft).task.overrides

  it("is a conversation whose last text describes the task", () => {
    const draft = Result.getOrThrow(read([{ role: "system", content: "Be brief." }, user("Hello"), user("Why?")]))
    assert.strictEqual(draft.task.description, "Why?")
    assert.deepStrictEqual(draft.task.overrides, { system: "Be brief.", messages: [user("Hello"), user("Why?")] })
    assert.isUndefined(draft.task.metadata)
  })

  it("can be JSON in a cell, next to a description and a model", () => {
    const draft = Result.getOrThrow(read(JSON.stringify([user("Why?")]), { description: "Ask", model: "m" }))
    assert.strictEqual(draft.task.description, "Ask")
    assert.deepStrictEqual(draft.task.overrides, { model: "m", messages: [user("Why?")] })
  })

  it("can name images", () => {
    const blocks = [{ type: "image", path: "a.png" }]
    assert.deepStrictEqual(overridesOf(read([user(blocks)])), { messages: [user(blocks)] })
    assert.deepStrictEqual(read([user([{ type: "image", path: "b.png" }])]), Result.fail("no b.png"))
  })

  it("is data when it is not a list of messages", () => {
    const draft = Result.getOrThrow(read(5, { description: "Count" }))
    assert.deepStrictEqual(draft.task.metadata, { messages: 5 })
    assert.isUndefined(draft.task.overrides)
  })

  for (const [what, messages, problem] of [
    ["an unknown role", [{ role: "tool", content: "x" }], /must be system, user or assistant, but is "tool"/],
    ["no content", [{ role: "user" }], /must be text or a list of blocks/],
    ["an answer at the end", [user("Hi"), { role: "assistant", content: "Hi." }], /must have the role "user"/]
  ] as const) {
    it(`is refused with ${what}`, () => {
      const draft = read(messages)
      assert.isTrue(Result.isFailure(draft))
      if (Result.isFailure(draft)) assert.match(draft.failure, problem)
    })
  }
})

describe("draft", () => {
  it("reads the fields of a task and adds the others to its metadata", () => {
    const { id, finished, task } = draft({
      id: "a",
      metadata: { team: "docs", url: "mine" },
      url: "theirs",
      nested: { a: [1] },
      priority: 5,
      availableAt: "2026-03-01T09:00:00+02:00",
      dependsOn: ["b", 3, "b"],
      concurrencyKey: "website"
    })
    assert.strictEqual(id, "a")
    assert.strictEqual(finished, undefined)
    assert.deepEqual<unknown>(task, {
      description: "x",
      metadata: { url: "mine", nested: { a: [1] }, team: "docs" },
      priority: 5,
      availableAt: DateTime.makeUnsafe("2026-03-01T07:00:00Z"),
      dependsOn: ["b", "3"],
      concurrencyKey: "website"
    })
  })

  it("reads a concurrency key from text or a number", () => {
    assert.strictEqual(draft({ concurrencyKey: 17 }).task.concurrencyKey, "17")
    assert.strictEqual(draft({ concurrencyKey: "" }).task.concurrencyKey, undefined)
    const expected = '"concurrencyKey" must be text of 1 to 200 characters, without control characters, but is '
    refuses({ concurrencyKey: ["a"] }, `${expected}a list`)
    refuses({ concurrencyKey: true }, `${expected}true`)
    assert.isTrue(Result.isFailure(Draft.fromFields({ description: "x", concurrencyKey: "x".repeat(201) })))
  })

  it("ignores null and empty values", () => {
    const nothing = { id: null, metadata: "", priority: null, availableAt: " ", dependsOn: "" }
    assert.deepStrictEqual(draft(nothing), { id: undefined, finished: undefined, task: { description: "x" } })
  })

  it("uses the prompt as the description unless there is a description", () => {
    const fromPrompt = Result.getOrThrow(Draft.fromFields({ prompt: "p" }))
    assert.deepStrictEqual(fromPrompt.task, { description: "p" })
    assert.deepStrictEqual(draft({ prompt: "p" }).task, { description: "x", metadata: { prompt: "p" } })
  })

  it("accepts whole numbers as ids", () => {
    assert.strictEqual(draft({ id: 17 }).id, "17")
    refuses({ id: 1.5 }, '"id" must be text, but is 1.5; put it in double quotes')
    refuses({ id: 2 ** 60 }, '"id" must be text, but is 1152921504606847000; put it in double quotes')
    refuses({ id: ["a"] }, '"id" must be text, but is a list; put it in double quotes')
  })

  it("reads dependencies from a list or from text", () => {
    assert.deepEqual<unknown>(draft({ dependsOn: "a; b,c ," }).task.dependsOn, ["a", "b", "c"])
    for (const dependsOn of [[""], [null], ["a", {}], 5, { a: 1 }]) {
      assert.isTrue(Result.isFailure(Draft.fromFields({ description: "x", dependsOn })))
    }
    refuses(
      { dependsOn: ["a", true] },
      '"dependsOn" must be a list of ids, such as ["a", "b"] or "a, b", but is a list'
    )
  })

  it("describes the error in a field", () => {
    refuses({ priority: "high" }, '"priority" must be a whole number (higher runs first), but is "high"')
    refuses({ priority: 1.5 }, '"priority" must be a whole number (higher runs first), but is 1.5')
    refuses({ metadata: ["a"] }, '"metadata" must be an object, such as {"team": "docs"}, but is a list')
    refuses({ metadata: "text" }, '"metadata" must be an object, such as {"team": "docs"}, but is "text"')
    refuses({ description: 5 }, '"description" must be text, but is 5; put it in double quotes')
    refuses({ description: " \n" }, "the description is empty; write what the task is to do")
    const quoted = `"${"y".repeat(38)}…`
    refuses({ priority: "y".repeat(60) }, `"priority" must be a whole number (higher runs first), but is ${quoted}`)
  })

  it("accepts only times that mean the same on every machine", () => {
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
        `"availableAt" must be a time such as 2026-03-01T09:00:00Z, but is ${JSON.stringify(time)}`
      )
    }
  })

  it("lists the fields of a record without a description", () => {
    const read = Draft.fromFields({ id: 1, title: "t" })
    assert.deepStrictEqual(
      Result.map(read, () => "read"),
      Result.fail(
        "the field \"description\" is missing; the fields are id, title; add it, or build it from others with --template '… {{title}} …'"
      )
    )
  })

  it("refuses fields that are nested too deep", () => {
    const nest = (depth: number): Schema.Json => (depth === 0 ? 1 : [nest(depth - 1)])
    assert.deepStrictEqual(draft({ a: nest(99) }).task.metadata, { a: nest(99) })
    refuses({ a: nest(100) }, "the fields are nested deeper than 100 levels")
  })

  it("treats __proto__ as an ordinary field", () => {
    const { metadata } = Result.getOrThrow(
      Draft.fromFields(JSON.parse('{"prompt": "x", "__proto__": {"p": 1}}'), undefined)
    ).task
    assert.strictEqual(JSON.stringify(metadata), '{"__proto__":{"p":1}}')
    assert.strictEqual(Object.getPrototypeOf(metadata), Object.prototype)
  })

  it("drops the progress of a saved task and marks finished tasks", () => {
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
        createdAt: "…",
        updatedAt: "…",
        kept: 1
      })
    assert.deepStrictEqual(
      ["pending", "in_progress", "completed", "failed", "cancelled"].map((status) => saved(status).finished),
      [undefined, undefined, "completed", undefined, "cancelled"]
    )
    assert.deepStrictEqual(saved("failed").task, {
      description: "x",
      metadata: { kept: 1 },
      overrides: { maxAttempts: 3 }
    })
  })

  it("reads the overrides of a task, as text and as numbers", () => {
    const fields = { max_attempts: "5", timeout: "1m30s", model: " claude-opus-5-5 ", system: "Be brief.\n" }
    const overrides = {
      maxAttempts: 5,
      executionTimeoutMillis: 90_000,
      model: "claude-opus-5-5",
      system: "Be brief.\n"
    }
    assert.deepStrictEqual(draft(fields).task, { description: "x", overrides })
    assert.deepStrictEqual(draft({ max_attempts: 1, timeout: "", model: null }).task, {
      description: "x",
      overrides: { maxAttempts: 1 }
    })
    refuses({ max_attempts: 0 }, '"max_attempts" must be a whole number of at least 1, but is 0')
    refuses({ max_attempts: "many" }, '"max_attempts" must be a whole number of at least 1, but is "many"')
    refuses({ timeout: 30 }, '"timeout" must be a duration such as 500ms, 30s, 10m or 8h, of at least 1ms, but is 30')
    refuses({ model: ["m"] }, '"model" must be the name of a model, but is a list')
  })

  it("keeps a field that the template uses as data", () => {
    const template = Result.getOrThrow(Template.parse("Describe the {{model}} of {{system.name}}"))
    const fields = { model: "Golf", system: { name: "VW" }, max_attempts: 2 }
    assert.deepStrictEqual(Result.getOrThrow(Draft.fromFields(fields, { template })).task, {
      description: "Describe the Golf of VW",
      metadata: { model: "Golf", system: { name: "VW" } },
      overrides: { maxAttempts: 2 }
    })
  })

  it("reads a task from the file of a JSON store as it was added", () => {
    const saved = (status: string, baton: Schema.JsonObject) =>
      draft({ id: "a", status, attempts: 1, result: null, metadata: { kept: 1 }, baton })
    const history = [{ number: 1, token: 1, outcome: "failed" }]
    assert.deepStrictEqual(saved("failed", { priority: 2, dependsOn: ["b"], token: 1, history }), {
      id: "a",
      task: { description: "x", metadata: { kept: 1 }, priority: 2, dependsOn: [Task.TaskId.make("b")] },
      finished: undefined
    })
    assert.strictEqual(saved("failed", { cancelled: true }).finished, "cancelled")
    assert.strictEqual(saved("pending", { cancelled: true }).finished, undefined)
    assert.deepStrictEqual(draft({ baton: { priority: 2 } }).task.metadata, { baton: { priority: 2 } })
  })
})
