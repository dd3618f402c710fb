import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { make, tasks } from "../harness.ts"

describe("logLevel", () => {
  it.effect("holds for what is logged about hooks as well", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(message))
    return Effect.gen(function* () {
      const { orchestrator, store } = yield* make({ config: { logLevel: "None" }, hooks: [() => Effect.fail("no")] })
      yield* store.add(tasks("a"))
      yield* orchestrator.run
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})
