/** Tasks as a run would leave them. */
import type { Usage } from "@baton/core/Usage"
import type { Attempt, TaskItem } from "../src/api/schema.ts"
import type { FakeTask } from "./fakeServer.ts"

const now = Date.now()
const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString()

export const usageOf = (costUsd: number): Usage => ({
  inputTokens: Math.round(costUsd * 90_000),
  outputTokens: Math.round(costUsd * 21_000),
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costUsd
})

export const taskOf = (fields: Partial<FakeTask> & { readonly id: string }): FakeTask => ({
  queue: fields.id.split("/")[0] ?? "default",
  status: "pending",
  attempts: 0,
  description: "Summarise the review in one sentence.",
  feedback: null,
  verified: false,
  priority: 0,
  dependsOn: [],
  requeues: 0,
  usage: null,
  availableAt: before(4000),
  createdAt: before(4000),
  updatedAt: before(60),
  history: [],
  ...fields
})

type FakeAttempt = FakeTask["history"][number]

export const attemptOf = (fields: Partial<FakeAttempt> & { readonly token: number }): FakeAttempt => ({
  number: fields.token,
  owner: "build-7:4312",
  startedAt: before(600 - fields.token * 100),
  endedAt: before(540 - fields.token * 100),
  outcome: "retried",
  output: "An output.",
  confidence: 1,
  verification: null,
  error: null,
  usage: usageOf(0.0123),
  ...fields
})

export const rejected = (feedback: string, issues: ReadonlyArray<string> = []): Attempt["verification"] => ({
  passed: false,
  confidence: 0.9,
  feedback: { text: feedback, length: feedback.length, cut: false },
  issues,
  usage: usageOf(0.002),
  models: ["claude-haiku-4-5"]
})

export const accepted: Attempt["verification"] = {
  passed: true,
  confidence: 0.97,
  feedback: { text: "The summary is accurate and short.", length: 34, cut: false },
  issues: [],
  usage: usageOf(0.002),
  models: ["claude-haiku-4-5"]
}

const first = `Release notes, version 2.4

Faster search
The search index is now rebuilt in the background.
Results appear while the index is rebuilt.

Exports
Reports can be exported as CSV and JSON.

Fixes
The login page no longer reloads twice.
Dates are shown in the time zone of the reader.
A crash on empty projects was fixed.`

const second = `Release notes, version 2.4

Faster search
The search index is rebuilt in the background, so search stays available.
Results appear while the index is rebuilt.

Exports
Reports can be exported as CSV, JSON and Parquet.

Fixes
The login page no longer reloads twice.
Dates are shown in the time zone of the reader.
An empty project no longer crashes the editor.

Upgrade
No changes to the configuration are needed.`

export const compared = taskOf({
  id: "release-notes/12",
  queue: "release-notes",
  status: "completed",
  attempts: 3,
  verified: true,
  usage: usageOf(0.0412),
  description:
    "Write release notes for version 2.4 from the merged pull requests below. Name each change in one sentence that says what the user can do now. Do not mention internal refactorings.",
  history: [
    attemptOf({
      token: 1,
      output: first,
      verification: rejected("Parquet exports are missing, and the section about the upgrade.", [
        "Exports: pull request 418 adds Parquet.",
        "The notes do not say whether the configuration changes."
      ])
    }),
    attemptOf({
      token: 2,
      output: null,
      outcome: "lease_expired",
      error: { text: "The worker build-7:4312 stopped answering.", length: 42, cut: false },
      usage: null
    }),
    attemptOf({ token: 3, output: second, outcome: "completed", verification: accepted, owner: "build-9:977" })
  ]
})

const failures: ReadonlyArray<readonly [number, (index: number) => string]> = [
  [40, (index) => `The command exited with code 3: connect ECONNREFUSED 10.0.0.${index}:5432`],
  [7, (index) => `Claude answered 529: overloaded [req_011CSHo${index}eqs5C35K${index}]`],
  [1, () => "The output is not JSON: Unexpected end of input after 2 of 3 attempts"]
]

const failed = failures.flatMap(([count, feedback], group) =>
  Array.from({ length: count }, (_, index) =>
    taskOf({
      id: `reviews/f${group}-${index + 1}`,
      status: "failed",
      attempts: 3,
      feedback: feedback(index + 1),
      usage: usageOf(0.0071),
      history: [
        attemptOf({
          token: 1,
          output: null,
          error: { text: feedback(index + 1), length: 80, cut: false },
          outcome: "failed"
        })
      ]
    })
  )
)

const prompts = [
  "Summarise the review of the espresso machine in one sentence.",
  "Which of the five arguments does the customer repeat?",
  "Classify the sentiment: positive, negative or mixed.",
  "Extract the product, the price and the date as JSON.",
  "Translate the reply into Finnish and keep the tone."
]

const many = (queue: string, status: TaskItem["status"], count: number, from: number): ReadonlyArray<FakeTask> =>
  Array.from({ length: count }, (_, index) =>
    taskOf({
      id: `${queue}/${from + index}`,
      queue,
      status,
      attempts: status === "pending" ? 0 : 1 + (index % 3 === 0 ? 1 : 0),
      description: prompts[index % prompts.length] ?? "",
      verified: status === "completed",
      usage: status === "pending" ? null : usageOf(0.004 + (index % 17) / 1000),
      updatedAt: before(status === "in_progress" ? 3 : 20 + index * 7)
    })
  )

export const examples: ReadonlyArray<FakeTask> = [
  ...many("reviews", "in_progress", 4, 1),
  ...many("reviews", "completed", 812, 5),
  ...failed,
  ...many("reviews", "pending", 336, 900),
  compared,
  ...many("release-notes", "completed", 23, 13),
  ...many("migration", "pending", 18, 1),
  taskOf({ id: "migration/waiting", dependsOn: ["migration/1"] }),
  ...many("migration", "cancelled", 3, 100)
]

/** An output that tries to be more than text. */
export const hostileOutput = [
  `<img src=x onerror="document.title='run'"><script>document.title = "run"</script>`,
  "\u001B[31mred\u001B[0m and \u001B]0;a title\u0007 and \u001B[2J",
  "left \u202Eright to left\u202C and \u0000 and \u0007",
  "</pre></div><style>body { display: none }</style>",
  `<a href="javascript:document.title='run'">link</a> {{constructor.constructor("document.title='run'")()}}`
].join("\n")

export const hostile = taskOf({
  id: "../<b>bold</b>?x=1#y/%2F",
  queue: "<i>hostile</i>",
  status: "failed",
  attempts: 2,
  description: hostileOutput,
  feedback: hostileOutput,
  history: [
    attemptOf({ token: 1, output: hostileOutput, verification: rejected(hostileOutput, [hostileOutput]) }),
    attemptOf({ token: 2, output: `${hostileOutput}\n\u001B[1mmore`, outcome: "failed" })
  ]
})
