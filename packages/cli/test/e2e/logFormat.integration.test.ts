import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { built as baton, folder } from "./baton.ts"

const Line = Schema.fromJsonString(
  Schema.Struct({
    level: Schema.String,
    message: Schema.String,
    annotations: Schema.Record(Schema.String, Schema.Json)
  })
)
const decode = Schema.decodeUnknownSync(Line)

describe("--log-format json", () => {
  it.live("writes a record for every line on standard error, without task data", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.jsonl", `{"id":"a","description":"a SECRET"}\n{"id":"b","description":"b SECRET"}\n`)
      const args = ["run", "tasks.jsonl", "--exec", "grep a", "--verify", "grep SECRET", "--max-attempts", "1"]
      const { code, stderr, stdout } = yield* baton(dir.path, [...args, "--log-format", "json", "--json"])
      assert.strictEqual(code, 2)
      const lines = stderr
        .trimEnd()
        .split("\n")
        .map((line) => decode(line))
      assert.deepStrictEqual(
        lines.map(({ level, message }) => `${level} ${message}`),
        ["INFO A source was imported", "INFO The run has started", "WARN A task failed", "INFO The run has ended"]
      )
      assert.deepInclude(lines[2]?.annotations, { taskId: "b", attempt: 1 })
      assert.deepInclude(lines[3]?.annotations, { exitCode: 2, reason: "Drained", completed: 1, failed: 1 })
      assert.notInclude(stderr, "SECRET")
      // The result is still on standard output.
      assert.include(stdout, '"exitCode"')
    })
  )
})
