/** Tasks as runs would leave them. */
import { Task } from "@baton/core"
import { previousOutput, TaskRecord } from "@baton/core/TaskRecord"
import type { Usage } from "@baton/core/Usage"
import * as Schema from "effect/Schema"

type Encoded = typeof TaskRecord.Encoded
type Attempt = Encoded["attempts"][number]
type EncodedTask = Encoded["task"]

const now = Date.now()
const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString()

const decode = Schema.decodeUnknownSync(TaskRecord)

export const usageOf = (costUsd: number): Usage => ({
  inputTokens: Math.round(costUsd * 90_000),
  outputTokens: Math.round(costUsd * 21_000),
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costUsd
})

type Fields = Partial<EncodedTask> & { readonly id: string }

/** A record of a task with these attempts. */
export const recordOf = (fields: Fields, history: ReadonlyArray<Omit<Attempt, "taskId">> = []): TaskRecord => {
  const { id, status = "pending" } = fields
  const attempts = history.map((attempt) => ({ ...attempt, taskId: id }))
  const last = attempts.at(-1)
  const record = decode({
    task: {
      queue: id.split("/")[0] ?? "default",
      status,
      description: "Summarise the review in one sentence.",
      ...(status === "completed" && last?.execution ? { result: last.execution.output } : undefined),
      attempts: last?.number ?? 0,
      metadata: { row: 7, source: "reviews.csv" },
      verified: status === "completed",
      priority: 0,
      dependsOn: [],
      requeues: 0,
      availableAt: before(4000),
      createdAt: before(4000),
      updatedAt: before(60),
      ...fields
    },
    token: last?.token ?? 0,
    leaseUntil: status === "in_progress" ? before(-600) : null,
    waitsFor: fields.dependsOn ?? [],
    checkpoint: null,
    previousOutput: null,
    attempts
  })
  return { ...record, previousOutput: previousOutput(record.task.status, record.attempts) }
}

export const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`

export const attemptOf = (
  token: number,
  outcome: Attempt["outcome"],
  fields: Partial<Attempt> & { readonly output?: string } = {}
): Omit<Attempt, "taskId"> => {
  const { output, ...rest } = fields
  return {
    token,
    number: token,
    owner: "build-7:4312",
    startedAt: before(600 - token * 100),
    endedAt: outcome === "running" ? null : before(540 - token * 100),
    execution:
      output === undefined ? null : { output, confidence: 1, usage: usageOf(0.0103), metadata: { traceparent } },
    verification: null,
    outcome,
    error: null,
    usage: usageOf(0.0123),
    ...rest
  }
}

const verdict = (passed: boolean, feedback: string, issues: ReadonlyArray<string> = []) => ({
  passed,
  confidence: 0.9,
  feedback,
  issues,
  usage: usageOf(0.002),
  models: ["claude-haiku-4-5"]
})

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

/** Outputs that wait for a person; the first one is a second attempt. */
export const inReview: ReadonlyArray<TaskRecord> = Array.from({ length: 50 }, (_, index) => {
  const verification: Attempt["verification"] = {
    passed: true,
    confidence: 0.6,
    feedback: "The notes are complete.",
    issues: [],
    models: ["claude-haiku-4-5"],
    review: "The verifier is only 60% sure."
  }
  const id = `notes/${index + 1}`
  return index === 0
    ? recordOf(
        { id, status: "in_review", feedback: "Name the file formats.", description: "Write the release notes." },
        [
          attemptOf(1, "retried", { output: first, error: "Name the file formats." }),
          attemptOf(2, "in_review", { output: second, verification })
        ]
      )
    : recordOf({ id, status: "in_review", description: `Write the release notes of version ${index}.` }, [
        attemptOf(1, "in_review", { output: `Notes ${index + 1}`, verification })
      ])
})

export const compared = recordOf(
  {
    id: "release-notes/12",
    status: "completed",
    usage: usageOf(0.0412),
    description:
      "Write release notes for version 2.4 from the merged pull requests below. Name each change in one sentence that says what the user can do now. Do not mention internal refactorings."
  },
  [
    attemptOf(1, "retried", {
      output: first,
      verification: verdict(false, "Parquet exports are missing, and the section about the upgrade.", [
        "Exports: pull request 418 adds Parquet.",
        "The notes do not say whether the configuration changes."
      ])
    }),
    attemptOf(2, "lease_expired", { error: "The worker build-7:4312 stopped answering.", usage: null }),
    attemptOf(3, "completed", {
      output: second,
      verification: verdict(true, "The notes are complete and accurate."),
      owner: "build-9:977"
    })
  ]
)

const causes: ReadonlyArray<readonly [number, (index: number) => string]> = [
  [40, (index) => `The command exited with code 3: connect ECONNREFUSED 10.0.0.${index}:5432`],
  [7, (index) => `Claude answered 529: overloaded [req_011CSHo${index}eqs5C35K${index}]`],
  [1, () => "The output is not JSON: unexpected end of input"]
]

const failed = causes.flatMap(([count, feedbackOf], group) =>
  Array.from({ length: count }, (_, index) => {
    const feedback = feedbackOf(index + 1)
    const fields = { id: `reviews/f${group}-${index + 1}`, status: "failed", feedback, usage: usageOf(0.0071) } as const
    return recordOf(fields, [attemptOf(1, "failed", { error: feedback })])
  })
)

const prompts = [
  "Summarise the review of the espresso machine in one sentence.",
  "Which of the five arguments does the customer repeat?",
  "Classify the sentiment: positive, negative or mixed.",
  "Extract the product, the price and the date as JSON.",
  "Translate the reply into Finnish and keep the tone."
]

const many = (
  queue: string,
  status: "pending" | "in_progress" | "completed" | "cancelled",
  count: number,
  from: number
): ReadonlyArray<TaskRecord> =>
  Array.from({ length: count }, (_, index) =>
    recordOf(
      {
        id: `${queue}/${from + index}`,
        status,
        description: prompts[index % prompts.length] ?? "",
        usage: status === "completed" ? usageOf(0.004 + (index % 17) / 1000) : null,
        updatedAt: before(status === "in_progress" ? 3 : 20 + index * 7)
      },
      status === "completed"
        ? [attemptOf(1, "completed", { output: "The customer likes it." })]
        : status === "in_progress"
          ? [attemptOf(1, "running", { usage: null, owner: index === 0 ? "build-9:977" : "build-7:4312" })]
          : []
    )
  )

export const examples: ReadonlyArray<TaskRecord> = [
  ...many("reviews", "in_progress", 4, 1),
  ...many("reviews", "completed", 812, 5),
  ...failed,
  ...many("reviews", "pending", 336, 900),
  compared,
  ...many("release-notes", "completed", 23, 13),
  ...many("migration", "pending", 18, 1),
  recordOf({ id: "migration/waiting", dependsOn: ["migration/1"] }),
  ...many("migration", "cancelled", 3, 100)
]

const replies = [
  "Thank you for telling us. The hinge of your lamp is covered by the warranty, and a new one leaves our warehouse today.",
  "I am sorry for the delay. The parcel is in Tampere since Monday; the carrier delivers it tomorrow before noon.",
  "Your order can still be changed: reply with the new address today, and we update it at no cost.",
  "The mill takes beans of any roast. For espresso, begin with the setting 4 and go finer by half a step."
]

/** Verdicts of a judge, of which people have audited most. */
export const audited: ReadonlyArray<TaskRecord> = Array.from({ length: 48 }, (_, index) =>
  recordOf(
    {
      id: `replies/${index + 1}`,
      status: "completed",
      description:
        "Answer the customer in at most three sentences. Name a date, and promise nothing that the order does not say.",
      usage: usageOf(0.0063)
    },
    [
      attemptOf(1, "completed", {
        output: replies[index % replies.length] ?? "",
        verification: {
          passed: true,
          confidence: 0.93,
          feedback: "The answer is polite, short and names what happens next.",
          issues: [],
          usage: usageOf(0.001),
          models: ["claude-haiku-4-5"],
          criteria: "Polite, at most three sentences, no promise that the order does not contain.",
          ...(index < 5
            ? undefined
            : { audit: { agrees: index % 17 !== 9, by: "ann", at: before(900 - index), comment: "" } })
        }
      })
    ]
  )
)

const publication = "6098519acdcea1088687457b839502c7"
const announcement = "b1f2c7e09d3a4c58a6e7f8091a2b3c4d"
const step = (queue: string, name: string, status: EncodedTask["status"], history: Parameters<typeof recordOf>[1]) =>
  recordOf(
    {
      id: `${queue}/Publish/1/${publication}/${name}`,
      queue,
      status,
      description: "The report of 2026-11-30, from 50 summaries",
      metadata: { workflow: "Publish/1", execution: publication, step: name }
    },
    history
  )

/** An execution of a workflow whose last step waits for a person. */
export const workflows: ReadonlyArray<TaskRecord> = [
  recordOf(
    {
      id: `@workflow/Publish/1/${publication}`,
      queue: "@workflow/Publish/1",
      status: "in_progress",
      description: 'Publish/1 {"date":"2026-11-30"}',
      payload: { date: "2026-11-30" },
      metadata: {}
    },
    [attemptOf(1, "running", { usage: null })]
  ),
  ...["fetch", "summarise"].map((name) =>
    step("pages", name, "completed", [attemptOf(1, "completed", { output: "The customer likes it." })])
  ),
  step("reports", "report", "in_review", [attemptOf(1, "in_review", { output: first })]),
  recordOf(
    {
      id: `@workflow/Announce/1/${announcement}`,
      queue: "@workflow/Announce/1",
      status: "in_progress",
      description: 'Announce/1 {"to":"all"}',
      payload: { to: "all" },
      metadata: { workflow: "Publish/1", execution: publication, step: "Announce/1" }
    },
    [attemptOf(1, "running", { usage: null })]
  ),
  recordOf({
    id: `mails/Announce/1/${announcement}/mail`,
    queue: "mails",
    description: "Write to all readers",
    metadata: { workflow: "Announce/1", execution: announcement, step: "mail" }
  })
]

/** An output that tries to be more than text. */
const hostileOutput = [
  `<img src=x onerror="document.title='run'"><script>document.title = "run"</script>`,
  "\u001B[31mred\u001B[0m and \u001B]0;a title\u0007 and \u001B[2J",
  "left \u202Eright to left\u202C and \u0000 and \u0007",
  "</pre></div><style>body { display: none }</style>",
  `<a href="javascript:document.title='run'">link</a> {{constructor.constructor("document.title='run'")()}}`
].join("\n")

export const hostile = recordOf(
  {
    id: "../<b>bold</b>?x=1#y/%2F",
    queue: "<i>hostile</i>",
    status: "failed",
    description: hostileOutput,
    feedback: hostileOutput
  },
  [
    attemptOf(1, "retried", { output: hostileOutput, verification: verdict(false, hostileOutput, [hostileOutput]) }),
    attemptOf(2, "failed", { output: `${hostileOutput}\n\u001B[1mmore`, error: hostileOutput })
  ]
)

export const long = recordOf({ id: "long", queue: "many", status: "completed" }, [
  attemptOf(1, "retried", { output: `${`${"a line of the first output, ".repeat(20)}\n`.repeat(9_000)}the end` }),
  attemptOf(2, "completed", { output: `${`${"a line of the second output, ".repeat(20)}\n`.repeat(9_000)}the end` })
])

/** Copies of one record, because decoding takes longer than all else. */
export const manyPending = (count: number): ReadonlyArray<TaskRecord> => {
  const record = recordOf({ id: "many/0", description: prompts[0] ?? "" })
  return Array.from({ length: count }, (_, index) => {
    const task = Object.assign({}, record.task, { id: Task.TaskId.make(`many/${index}`) })
    return Object.assign({}, record, { task })
  })
}
