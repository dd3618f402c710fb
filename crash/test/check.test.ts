import { Attempt, Execution, Task, type TaskRecord, Verification } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime } from "effect"
import { check, type Evidence } from "../src/check.ts"
import type { Line } from "../src/history.ts"

const time = (millis: number) => DateTime.makeUnsafe(millis)

const execution = (output: string) => Execution.make({ output })

const row = (
  token: number,
  outcome: Attempt.AttemptOutcome,
  more: Partial<Omit<Attempt.Attempt, "execution">> & { readonly output?: string } = {}
): Attempt.Attempt => {
  const { output, ...fields } = more
  return {
    taskId: Task.TaskId.make("t"),
    number: token,
    token: Attempt.LeaseToken.make(token),
    owner: `w${token}-x`,
    startedAt: time(token * 1000),
    endedAt: time(token * 1000 + 500),
    ...(output === undefined ? undefined : { execution: execution(output) }),
    outcome,
    ...fields
  }
}

const record = (attempts: ReadonlyArray<Attempt.Attempt>, more: Partial<Task.Task> = {}): TaskRecord.TaskRecord => ({
  task: {
    id: Task.TaskId.make("t"),
    queue: Task.defaultQueue,
    description: "t",
    overrides: {},
    status: "completed",
    result: attempts.at(-1)?.execution?.output,
    attempts: attempts.length,
    metadata: {},
    priority: 0,
    availableAt: time(0),
    dependsOn: [],
    verified: true,
    requeues: 0,
    createdAt: time(0),
    updatedAt: time(0),
    ...more
  },
  token: attempts.at(-1)?.token ?? 0,
  waitsFor: [],
  attempts
})

const at = (token: number, more = 0) => ({ at: token * 1000 + more, worker: `w${token}`, task: "t", token })
const executed = (token: number, output: string): Line => ({ _tag: "Executed", ...at(token), attempt: token, output })
const claimed = (token: number, worker: string): Line => ({
  _tag: "Claimed",
  ...at(token),
  worker,
  attempt: token,
  saved: null
})
const saved = (token: number, output: string): Line => ({ _tag: "Saved", ...at(token), output })
const settled = (token: number, as: Extract<Line, { _tag: "Settled" }>["as"]): Line => ({
  _tag: "Settled",
  ...at(token),
  as
})
const published = (event: string): Line => ({ _tag: "Published", at: 0, worker: "w1", task: "t", event, attempt: 1 })
const rejected = { verification: Verification.reject("no") }

const found = (
  history: ReadonlyArray<Line>,
  records: ReadonlyArray<TaskRecord.TaskRecord>,
  more: Partial<Evidence> = {}
) =>
  check({
    added: ["t"],
    history,
    records,
    injected: { kills: [], freezes: [], outages: [] },
    sharesLock: false,
    maxAttempts: 3,
    leaseMillis: 2000,
    marginMillis: 1500,
    ...more
  })

const messages = (...evidence: Parameters<typeof found>) => found(...evidence).violations.map(({ message }) => message)

const completed = record([row(1, "completed", { output: "a" })])
const ordinary = [executed(1, "a"), saved(1, "a"), settled(1, "Complete"), published("TaskCompleted")]

describe("accepts", () => {
  it("a task that was executed, saved and completed", () => {
    const findings = found(ordinary, [completed])
    assert.deepStrictEqual(findings.violations, [])
    assert.deepInclude(findings, { completed: 1, failed: 0, executions: 1, repeated: 0, fenced: 0, lost: 0 })
  })

  it("a second worker that verifies the output which a killed one saved", () => {
    const attempts = [row(1, "lease_expired", { output: "a" }), row(2, "completed", { output: "a" })]
    assert.deepStrictEqual(messages([executed(1, "a"), saved(1, "a"), settled(2, "Complete")], [record(attempts)]), [])
  })

  it("a second execution when a killed worker saved no output", () => {
    const attempts = [row(1, "lease_expired"), row(2, "completed", { output: "b" })]
    const findings = found([executed(1, "a"), executed(2, "b"), settled(2, "Complete")], [record(attempts)])
    assert.deepStrictEqual(findings.violations, [])
    assert.strictEqual(findings.repeated, 1)
  })

  it("a second execution after a rejection", () => {
    const attempts = [row(1, "retried", { output: "a", ...rejected }), row(2, "completed", { output: "b" })]
    const history = [executed(1, "a"), saved(1, "a"), settled(1, "Retry"), executed(2, "b"), settled(2, "Complete")]
    const findings = found(history, [record(attempts)])
    assert.deepStrictEqual(findings.violations, [])
    assert.strictEqual(findings.repeated, 0)
  })

  it("a released attempt that does not count", () => {
    const attempts = [row(1, "released"), row(2, "completed", { number: 1, output: "b" })]
    assert.deepStrictEqual(messages([executed(2, "b")], [record(attempts, { attempts: 1 })]), [])
  })

  it("a refusal of a repeated settlement whose first reply was lost", () => {
    const fenced: Line = { _tag: "Fenced", ...at(1), what: "settle", as: "Complete", output: "a" }
    assert.deepStrictEqual(messages([executed(1, "a"), saved(1, "a"), fenced], [completed]), [])
  })

  it("a task that failed without a settlement because its workers kept dying", () => {
    const attempts = [row(1, "lease_expired"), row(2, "lease_expired"), row(3, "lease_expired")]
    assert.deepStrictEqual(messages([], [record(attempts, { status: "failed" })]), [])
  })
})

describe("finds", () => {
  const cases: ReadonlyArray<readonly [string, Parameters<typeof found>, RegExp]> = [
    ["a missing task", [ordinary, []], /no longer in the store/],
    [
      "an execution before its start was in the store",
      [
        [executed(1, "a"), executed(2, "b"), settled(2, "Complete")],
        [
          record(
            [
              row(1, "released", { error: "Worker w1-x stopped answering before it started." }),
              row(2, "completed", { number: 1, output: "b" })
            ],
            { attempts: 1 }
          )
        ]
      ],
      /which the store did not have as started/
    ],
    ["a task that was not added", [ordinary, [completed], { added: [] }], /never added/],
    [
      "a task that did not end",
      [[], [record([row(1, "retried")], { status: "pending" })]],
      /did not end: its status is pending/
    ],
    [
      "two final rows in the ledger",
      [[executed(2, "b")], [record([row(1, "completed", { output: "a" }), row(2, "completed", { output: "b" })])]],
      /more than one final settlement/
    ],
    [
      "two final acknowledgements",
      [[...ordinary, settled(2, "Fail")], [record([row(1, "retried"), row(2, "failed")], { status: "failed" })]],
      /more than one final settlement/
    ],
    ["two final events", [[...ordinary, published("TaskFailed")], [completed]], /more than one final settlement/],
    [
      "the result of a worker that had lost its lease",
      [[executed(1, "a")], [record([row(1, "lease_expired"), row(2, "completed", { output: "a" })])]],
      /result of a worker that had lost its lease/
    ],
    ["a result that no execution produced", [[], [completed]], /no execution produced/],
    [
      "a result that differs from the ledger",
      [ordinary, [record(completed.attempts, { result: "b" })]],
      /a different result than the attempt/
    ],
    [
      "an acknowledged settlement that is missing",
      [[settled(1, "Retry"), ...ordinary], [completed]],
      /settled as Retry under lease 1, but its outcome is completed/
    ],
    [
      "an acknowledged output that is missing",
      [
        [executed(1, "a"), saved(1, "a"), executed(2, "b")],
        [record([row(1, "lease_expired"), row(2, "completed", { output: "b" })])]
      ],
      /lost the output that was saved under lease 1/
    ],
    [
      "an execution after its output was saved",
      [
        [executed(1, "a"), saved(1, "a"), executed(2, "b")],
        [record([row(1, "lease_expired", { output: "a" }), row(2, "completed", { output: "b" })])]
      ],
      /executed under lease 2, although its output was saved under lease 1/
    ],
    [
      "an execution after a verifier gave no verdict",
      [
        [executed(1, "a"), saved(1, "a"), executed(2, "b")],
        [record([row(1, "retried", { output: "a" }), row(2, "completed", { output: "b" })])]
      ],
      /executed under lease 2, although/
    ],
    [
      "two executions under one lease",
      [[executed(1, "b"), ...ordinary], [completed]],
      /executed 2 times under lease 1/
    ],
    [
      "an execution by another worker",
      [[{ ...executed(1, "a"), worker: "w9" }], [completed]],
      /executed by w9 under lease 1, which belongs to w1-x/
    ],
    [
      "a lease that was claimed twice",
      [[...ordinary, claimed(1, "w1"), claimed(1, "w2")], [completed]],
      /claimed twice under lease 1/
    ],
    [
      "a count that does not add up",
      [ordinary, [record(completed.attempts, { attempts: 2 })]],
      /counts 2 attempts, but its ledger has 1/
    ],
    [
      "a claim that is not in the ledger",
      [ordinary, [{ ...completed, token: 2 }]],
      /claimed 2 times, but its ledger has 1 rows/
    ]
  ]
  for (const [name, evidence, message] of cases) {
    it(name, () => assert.match(messages(...evidence).join("\n"), message))
  }
})

describe("takeover", () => {
  const attempts = [
    row(1, "lease_expired", { endedAt: time(4000) }),
    row(2, "completed", { output: "b", startedAt: time(5000), endedAt: time(5100) })
  ]
  const history = [executed(2, "b")]
  const kills = [{ worker: "w1", at: 1000 }]

  it("that takes too long is a violation", () => {
    assert.deepStrictEqual(messages(history, [record(attempts)], { injected: { kills, freezes: [], outages: [] } }), [
      "was taken over only 4000 ms after w1 was killed"
    ])
  })

  it("in time is measured", () => {
    const injected = { kills: [{ worker: "w1", at: 2500 }], freezes: [], outages: [] }
    const findings = found(history, [record(attempts)], { injected })
    assert.deepStrictEqual(findings.violations, [])
    assert.deepStrictEqual(findings.takeovers, [2500])
  })

  it("during an outage is counted and not judged", () => {
    const injected = { kills, freezes: [], outages: [{ from: 4900, to: 6000 }] }
    const findings = found(history, [record(attempts)], { injected })
    assert.deepStrictEqual(findings.violations, [])
    assert.deepInclude(findings, { takeovers: [], disturbedTakeovers: 1 })
  })

  it("while a frozen worker holds a lock that all writers share is not judged", () => {
    const injected = { kills, freezes: [{ worker: "w3", from: 1500, to: 4500 }], outages: [] }
    const violationsWith = (sharesLock: boolean, lines: ReadonlyArray<Line>) =>
      messages(lines, [record(attempts)], { injected, sharesLock }).length
    assert.strictEqual(violationsWith(true, history), 0)
    assert.strictEqual(violationsWith(false, history), 1)
    const meanwhile: Line = { _tag: "Reclaimed", at: 3000, worker: "w2", task: "t", token: 1 }
    assert.strictEqual(violationsWith(true, [...history, meanwhile]), 1)
  })
})
