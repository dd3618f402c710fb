import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { baton, folder, list, start } from "./baton.ts"

const Status = Schema.fromJsonString(
  Schema.Struct({
    counts: Schema.Struct({ in_progress: Schema.Int }),
    pauses: Schema.Array(Schema.Struct({ queue: Schema.String, cause: Schema.String }))
  })
)

describe("a usage limit", () => {
  it.live("is waited out by the next run when the first one is killed while it waits, and uses up no attempt", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "one\ntwo\nthree\nfour\nfive\nsix\n")
      // Refuses the first requests, and names a time that is soon over: the shortest pause is ten seconds.
      const program =
        "cat > /dev/null; echo x >> calls; if [ ! -e open ]; then echo 'retry after 1' >&2; exit 75; fi; echo done"
      const args = ["run", "tasks.txt", "--shell", program, "--no-verify", "-j", "4", "--max-attempts", "1"]
      const first = yield* start(dir.path, [...args, "--output", "ndjson"])
      yield* first.event("QueuePaused")
      const status = Effect.flatMap(baton(dir.path, ["status", "--json"]), ({ stdout }) =>
        Schema.decodeUnknownEffect(Status)(stdout)
      )
      const waiting = yield* Effect.repeat(status, { until: ({ counts }) => counts.in_progress === 0 })
      yield* first.kill("SIGKILL")
      yield* first.ended
      dir.write("open", "")
      assert.deepStrictEqual(waiting.pauses, [{ queue: "tasks", cause: "usage-limit" }])
      const callsBefore = dir.lines("calls").length
      const second = yield* start(dir.path, [...args, "--output", "ndjson"])
      yield* second.event("QueuePaused")
      yield* second.event("QueueResumed")
      assert.strictEqual((yield* second.ended).code, 0)
      const stored = yield* list(dir.path)
      assert.deepStrictEqual(
        stored.map(({ attempts, status }) => [status, attempts]),
        Array.from({ length: 6 }, () => ["completed", 1])
      )
      assert.strictEqual(dir.lines("calls").length, callsBefore + 6)
    })
  )
})
