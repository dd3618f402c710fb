import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { baton, everyKind, test, text } from "./harness.ts"

describe("baton cancel", () => {
  test(
    "reports which tasks were cancelled, running, already finished or not found",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["cancel", "plan", "ship", "parse", "notes", "note"]), {
        stdout: text("plan is cancelled.", "ship is cancelled. It was running; its worker is stopping it."),
        stderr: text(
          "parse is already completed; it was not changed.",
          "notes is already cancelled; it was not changed.",
          "error: The task note does not exist. Did you mean notes?"
        ),
        exitCode: 1
      })
    })
  )

  test(
    "prints the same information as JSON",
    Effect.gen(function* () {
      yield* everyKind
      const { exitCode, stdout } = yield* baton(["cancel", "plan", "ship", "plan", "parse", "--json"])
      assert.strictEqual(exitCode, 0)
      assert.strictEqual(
        stdout,
        text(
          '{"cancelled":[{"id":"plan","wasRunning":false},{"id":"ship","wasRunning":true}],' +
            '"unchanged":[{"id":"parse","status":"completed"}],"unknown":[]}'
        )
      )
    })
  )

  test(
    "lists all ids that do not exist",
    Effect.gen(function* () {
      yield* everyKind
      assert.deepStrictEqual(yield* baton(["cancel", "x1", "x2"]), {
        stdout: "",
        stderr: text("error: The tasks x1, x2 do not exist."),
        exitCode: 1
      })
    })
  )

  test(
    "requires an id",
    Effect.gen(function* () {
      assert.strictEqual((yield* baton(["cancel"])).exitCode, 1)
    })
  )
})
