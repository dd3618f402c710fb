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
    execution: output === undefined ? null : execution(output),
    verification: null,
    outcome,
    error: null,
    usage: null,
    ...fields
  }
}

const record = (attempts: ReadonlyArray<Attempt.Attempt>, more: Partial<Task.Task> = {}): TaskRecord.TaskRecord => ({
  task: {
    id: Task.TaskId.make("t"),
    description: "t",
    status: "completed",
    result: attempts.at(-1)?.execution?.output ?? null,
    attempts: attempts.length,
    metadata: {},
    priority: 0,
    availableAt: time(0),
    dependsOn: [],
    feedback: null,
    verified: true,
    requeues: 0,
    usage: null,
    createdAt: time(0),
    updatedAt: time(0),
    ...more
  },
  token: attempts.at(-1)?.token ?? 0,
  leaseUntil: null,
  waitsFor: [],
  checkpoint: null,
  previousOutput: null,
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
const told = (event: string): Line => ({ _tag: "Told", at: 0, worker: "w1", task: "t", event, attempt: 1 })
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
const ordinary = [executed(1, "a"), saved(1, "a"), settled(1, "Complete"), told("TaskCompleted")]

describe("what is allowed", () => {
  it("a task that was executed, saved and completed", () => {
    const findings = found(ordinary, [completed])
    assert.deepStrictEqual(findings.violations, [])
    assert.deepInclude(findings, { completed: 1, failed: 0, executions: 1, repeated: 0, fenced: 0, lost: 0 })
  })

  it("another worker verifies what a killed one had saved", () => {
    const attempts = [row(1, "lease_expired", { output: "a" }), row(2, "completed", { output: "a" })]
    assert.deepStrictEqual(messages([executed(1, "a"), saved(1, "a"), settled(2, "Complete")], [record(attempts)]), [])
  })

  it("what a killed one had not saved is executed again", () => {
    const attempts = [row(1, "lease_expired"), row(2, "completed", { output: "b" })]
    const findings = found([executed(1, "a"), executed(2, "b"), settled(2, "Complete")], [record(attempts)])
    assert.deepStrictEqual(findings.violations, [])
    assert.strictEqual(findings.repeated, 1)
  })

  it("a rejected output is followed by another execution", () => {
    const attempts = [row(1, "retried", { output: "a", ...rejected }), row(2, "completed", { output: "b" })]
    const history = [executed(1, "a"), saved(1, "a"), settled(1, "Retry"), executed(2, "b"), settled(2, "Complete")]
    const findings = found(history, [record(attempts)])
    assert.deepStrictEqual(findings.violations, [])
    assert.strictEqual(findings.repeated, 0)
  })

  it("a released attempt does not count", () => {
    const attempts = [row(1, "released"), row(2, "completed", { number: 1, output: "b" })]
    assert.deepStrictEqual(messages([executed(2, "b")], [record(attempts, { attempts: 1 })]), [])
  })

  it("a settle whose answer got lost is refused when it is sent again", () => {
    const fenced: Line = { _tag: "Fenced", ...at(1), what: "settle", as: "Complete", output: "a" }
    assert.deepStrictEqual(messages([executed(1, "a"), saved(1, "a"), fenced], [completed]), [])
  })

  it("a task whose workers keep dying ends as failed without being settled", () => {
    const attempts = [row(1, "lease_expired"), row(2, "lease_expired"), row(3, "lease_expired")]
    assert.deepStrictEqual(messages([], [record(attempts, { status: "failed" })]), [])
  })
})

describe("what is found", () => {
  const cases: ReadonlyArray<readonly [string, Parameters<typeof found>, RegExp]> = [
    ["a task that is gone", [ordinary, []], /not in the store any more/],
    ["a task that nobody added", [ordinary, [completed], { added: [] }], /never added/],
    [
      "a task that did not end",
      [[], [record([row(1, "retried")], { status: "pending" })]],
      /did not end: it is pending/
    ],
    [
      "two final rows in the ledger",
      [[executed(2, "b")], [record([row(1, "completed", { output: "a" }), row(2, "completed", { output: "b" })])]],
      /settled for good more than once/
    ],
    [
      "two final acknowledgements",
      [[...ordinary, settled(2, "Fail")], [record([row(1, "retried"), row(2, "failed")], { status: "failed" })]],
      /settled for good more than once/
    ],
    ["two announcements", [[...ordinary, told("TaskFailed")], [completed]], /settled for good more than once/],
    [
      "the result of a worker that had lost its lease",
      [[executed(1, "a")], [record([row(1, "lease_expired"), row(2, "completed", { output: "a" })])]],
      /result of a worker that had lost its lease/
    ],
    ["a result that nobody brought out", [[], [completed]], /nobody brought out/],
    [
      "a result that is not the one of the ledger",
      [ordinary, [record(completed.attempts, { result: "b" })]],
      /another result than the attempt/
    ],
    [
      "an acknowledged end that is not there",
      [[settled(1, "Retry"), ...ordinary], [completed]],
      /settled as Retry under lease 1, and that is completed/
    ],
    [
      "an acknowledged output that is not there",
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
      "an execution after a verifier that came to no verdict",
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
      "an execution by somebody else",
      [[{ ...executed(1, "a"), worker: "w9" }], [completed]],
      /executed by w9 under w1-x's lease 1/
    ],
    [
      "a lease that was given out twice",
      [[...ordinary, claimed(1, "w1"), claimed(1, "w2")], [completed]],
      /handed out twice under lease 1/
    ],
    [
      "a count that does not add up",
      [ordinary, [record(completed.attempts, { attempts: 2 })]],
      /says 2 attempts, and its ledger has 1/
    ],
    [
      "a claim of which the ledger does not know",
      [ordinary, [{ ...completed, token: 2 }]],
      /claimed 2 times, and its ledger has 1 rows/
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

  it("one that takes too long is found", () => {
    assert.deepStrictEqual(messages(history, [record(attempts)], { injected: { kills, freezes: [], outages: [] } }), [
      "was taken over 4000 ms after w1 was killed"
    ])
  })

  it("one in time is measured", () => {
    const injected = { kills: [{ worker: "w1", at: 2500 }], freezes: [], outages: [] }
    const findings = found(history, [record(attempts)], { injected })
    assert.deepStrictEqual(findings.violations, [])
    assert.deepStrictEqual(findings.takeovers, [2500])
  })

  it("one during an outage is counted and not judged", () => {
    const injected = { kills, freezes: [], outages: [{ from: 4900, to: 6000 }] }
    const findings = found(history, [record(attempts)], { injected })
    assert.deepStrictEqual(findings.violations, [])
    assert.deepInclude(findings, { takeovers: [], disturbedTakeovers: 1 })
  })

  it("where writers share a lock, a frozen one that keeps all others from writing is an outage", () => {
    const injected = { kills, freezes: [{ worker: "w3", from: 1500, to: 4500 }], outages: [] }
    const judged = (sharesLock: boolean, lines: ReadonlyArray<Line>) =>
      messages(lines, [record(attempts)], { injected, sharesLock }).length
    assert.strictEqual(judged(true, history), 0)
    assert.strictEqual(judged(false, history), 1)
    const meanwhile: Line = { _tag: "Reclaimed", at: 3000, worker: "w2", task: "t", token: 1 }
    assert.strictEqual(judged(true, [...history, meanwhile]), 1)
  })
})
