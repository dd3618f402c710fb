import { assert, describe } from "@effect/vitest"
import { Execution, Task, TaskStore, Verification } from "@baton/core"
import { Duration, Effect, Schema } from "effect"
import { AuditReport } from "../../src/view/audit.ts"
import { add, baton, claim, test, text } from "./harness.ts"

/** Adds a task that a judge accepts on the second attempt. */
const judged = Effect.fnUntraced(function* (id: string) {
  yield* add({ id, description: `Write ${id}.` })
  const judge = { models: ["judge"], criteria: "Prices are in EUR." }
  const nothing = { execution: Execution.make({ output: "a draft" }) }
  const store = yield* TaskStore.TaskStore
  const first = yield* claim()
  yield* store.settle([
    {
      ...nothing,
      _tag: "Retry",
      taskId: first.task.id,
      token: first.token,
      verification: { ...Verification.reject("Too long."), ...judge },
      feedback: "Too long.",
      checkpoint: undefined,
      delay: Duration.zero
    }
  ])
  const { task, token } = yield* claim()
  const verification = { ...Verification.pass(), ...judge }
  yield* store.settle([{ ...nothing, _tag: "Complete", taskId: task.id, token, verification, verified: true }])
})

const findings = (id: string) =>
  TaskStore.TaskStore.use((store) =>
    Effect.map(store.attempts(Task.TaskId.make(id)), (attempts) =>
      attempts.map(({ verification }) => verification?.audit && [verification.audit.agrees, verification.audit.comment])
    )
  )

const decodeReport = Schema.decodeUnknownSync(Schema.fromJsonString(AuditReport))

describe("baton audit", () => {
  test(
    "shows accepted and rejected outputs, and reports per judge how often people disagree",
    Effect.gen(function* () {
      yield* judged("one")
      yield* judged("two")
      const keys = ["a", "d", ..."Has no price", "return", "a", "q"]
      const { stdout } = yield* baton(["audit", "--sample", "100%", "--by", "ann"], { columns: 100, keys })
      assert.deepStrictEqual(yield* findings("one"), [
        [true, ""],
        [false, "Has no price"]
      ])
      assert.deepStrictEqual(yield* findings("two"), [[true, ""], undefined])
      assert.include(
        stdout,
        "People agree with 2 of 3 verdicts: 66.7% (20.8% to 93.9%). 1 of 4 verdicts in the sample of 100% waits for an audit."
      )
      assert.match(stdout, /judge +1 of 1 \(20\.7% to 100%\) +0 of 2 \(0% to 65\.8%\) +Prices are in EUR\./)
    })
  )

  test(
    "takes findings from scripts, and tells the second person who was faster",
    Effect.gen(function* () {
      yield* judged("one")
      assert.deepStrictEqual(yield* baton(["audit", "disagree", "one", "--by", "ann", "--comment", "No price."]), {
        stdout: text("one: you disagree."),
        stderr: "",
        exitCode: 0
      })
      yield* baton(["audit", "agree", "one", "--by", "bob"])
      assert.deepStrictEqual(yield* findings("one"), [
        [true, ""],
        [false, "No price."]
      ])
      const late = yield* baton(["audit", "agree", "one", "--by", "bob"])
      assert.strictEqual(late.exitCode, 1)
      assert.strictEqual(late.stderr, text("ann has already audited one, and disagrees: No price."))
      const report = decodeReport((yield* baton(["audit", "--sample", "100%", "--json"])).stdout)
      assert.deepStrictEqual([report.all.sampled, report.all.audited, report.all.wrong], [2, 2, 1])
      assert.strictEqual(report.judges[0]?.criteria, "Prices are in EUR.")
    })
  )

  test(
    "says what to type when the sample is empty, or a limit has no sample",
    Effect.gen(function* () {
      yield* add({ id: "new", description: "Not run yet" })
      assert.include((yield* baton(["audit"])).stderr, "Audit a larger one with `baton audit --sample 100%`.")
      const { exitCode, stderr } = yield* baton([
        "run",
        "--executor",
        "fake",
        "--no-verify",
        "--max-false-accept",
        "10%"
      ])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, "--max-false-accept needs a sample of verdicts that people audit. Add --audit 5%")
      assert.include((yield* baton(["audit", "--sample", "5"])).stderr, "it takes a percentage such as 5%.")
    })
  )
})
