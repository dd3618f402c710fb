import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, type LogLevel } from "effect"
import { TestConsole } from "effect/testing"
import * as logger from "../../src/view/logger.ts"

const entry = Schema.fromJsonString(
  Schema.Struct({
    level: Schema.String,
    message: Schema.Unknown,
    annotations: Schema.Record(Schema.String, Schema.Unknown)
  })
)

const logged = (format: "human" | "json", level: LogLevel.LogLevel) =>
  Effect.gen(function* () {
    yield* Effect.logInfo("Hidden")
    yield* Effect.logWarning("A hook failed").pipe(Effect.annotateLogs({ module: "Hooks" }))
    return { errors: yield* TestConsole.errorLines, logs: yield* TestConsole.logLines }
  }).pipe(Effect.provide(Layer.provideMerge(logger.layer({ format, level }), TestConsole.layer), { local: true }))

describe("logger", () => {
  it.effect("writes lines for people to standard error", () =>
    Effect.gen(function* () {
      const { errors, logs } = yield* logged("human", "Warn")
      assert.deepStrictEqual(logs, [])
      assert.strictEqual(errors.length, 1)
      assert.match(String(errors[0]), /^\d\d:\d\d:\d\d WARN {2}A hook failed module=Hooks$/)
    })
  )

  it.effect("writes JSON lines to standard error", () =>
    Effect.gen(function* () {
      const { errors, logs } = yield* logged("json", "Info")
      assert.deepStrictEqual(logs, [])
      assert.strictEqual(errors.length, 2)
      assert.deepInclude(yield* Schema.decodeUnknownEffect(entry)(errors[1]), {
        level: "WARN",
        annotations: { module: "Hooks" }
      })
    })
  )

  it.effect("lines are written through the screen while it is active", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      yield* Effect.logWarning("over here").pipe(
        Effect.provideService(logger.LogLines, (line) => void lines.push(line)),
        Effect.provide(logger.layer({ format: "human", level: "Info" }))
      )
      assert.match(lines.join("\n"), /over here/)
    })
  )
})
