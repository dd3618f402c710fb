import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { add, baton, complete, fail, test } from "./harness.ts"

describe("baton report", () => {
  test(
    "reports the results of all tasks in the requested format",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "one" }, { id: "b", description: "two" })
      yield* complete("fine")
      yield* fail("It refused.")
      const plain = yield* baton(["report"])
      assert.strictEqual(plain.exitCode, 0, plain.stderr)
      assert.include(plain.stdout, "1 of 2 tasks completed, 1 failed.")
      assert.include(plain.stdout, "1 failed  It refused.")
      assert.include(plain.stdout, "baton dlq requeue --all")
      assert.match((yield* baton(["report", "--format", "html"])).stdout, /^<!doctype html>/)
      assert.match((yield* baton(["report", "--format", "md"])).stdout, /^# 1 of 2 tasks completed, 1 failed\./)
      assert.include((yield* baton(["report", "--format", "pdf"])).stderr, "it takes text, md or html")
    })
  )
})
