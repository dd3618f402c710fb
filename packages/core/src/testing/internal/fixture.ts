import * as assert from "node:assert/strict"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Attempt from "../../Attempt.ts"
import * as Execution from "../../Execution.ts"
import * as Task from "../../Task.ts"
import type { Claim, Lease, Settlement, TaskStore } from "../../TaskStore.ts"
import type { Usage } from "../../Usage.ts"
import * as Verification from "../../Verification.ts"

/** What a case works with: a store at an empty place, and its time. */
export interface Fixture {
  /** Closed and opened again between operations, unless the case runs in one session. */
  readonly store: TaskStore["Service"]
  /** One more store, at another empty place. */
  readonly another: Effect.Effect<TaskStore["Service"], unknown, Scope.Scope>
  /** Lets seconds of the suite pass. */
  readonly advance: (seconds: number) => Effect.Effect<void>
  /** Seconds of the suite; shorter than real seconds for a store with its own clock. */
  readonly seconds: (seconds: number) => Duration.Duration
}

/** One promise of the contract. */
export interface Case {
  readonly name: string
  readonly run: (fixture: Fixture) => Effect.Effect<void, unknown, Scope.Scope>
  /** Depends on what an exclusive store forgets when it is closed. */
  readonly inOneSession: boolean
}

export const it = (name: string, run: Case["run"], options?: { readonly inOneSession: boolean }): Case => ({
  name,
  run,
  inOneSession: options?.inOneSession ?? false
})

export const id = (name: string): Task.TaskId => Task.TaskId.make(name)

export const ids = (...names: ReadonlyArray<string>): ReadonlyArray<Task.TaskId> => names.map(id)

export const task = (
  name: string,
  options?: Omit<Parameters<typeof Task.makeNew>[0], "id" | "description">
): Task.NewTask => Task.makeNew({ id: name, description: `Do ${name}.`, ...options })

export const numbered = (count: number): ReadonlyArray<Task.NewTask> =>
  Array.from({ length: count }, (_, index) => task(`task-${index}`))

export const usage = (outputTokens: number, costUsd: number | null = outputTokens / 1000): Usage => ({
  inputTokens: 10,
  outputTokens,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costUsd
})

/** Long enough for no lease of it to end in a case. */
export const longLease = Duration.hours(10)

export const claim = (
  { store }: Fixture,
  options?: {
    readonly limit?: number
    readonly owner?: string
    readonly lease?: Duration.Duration
    readonly started?: number
  }
): Effect.Effect<ReadonlyArray<Claim>, unknown> =>
  store.claim({
    limit: options?.limit ?? 100,
    owner: options?.owner ?? "worker",
    lease: options?.lease ?? longLease,
    started: options?.started
  })

export const claimOne = Effect.fnUntraced(function* (
  fixture: Fixture,
  options?: { readonly owner?: string; readonly lease?: Duration.Duration }
) {
  const [claimed] = yield* claim(fixture, { ...options, limit: 1 })
  assert.ok(claimed, "there is a task to claim")
  return claimed
})

/** Adds one task and claims it. */
export const claimNew = Effect.fnUntraced(function* (fixture: Fixture, name: string, lease?: Duration.Duration) {
  yield* fixture.store.add([task(name)])
  const claimed = yield* claimOne(fixture, lease === undefined ? {} : { lease })
  assert.equal(claimed.task.id, name)
  return claimed
})

export const claimedIds = (claims: ReadonlyArray<Claim>): ReadonlyArray<string> => claims.map(({ task }) => task.id)

export const leaseOf = ({ task, token }: Claim): Lease => ({ taskId: task.id, token })

export const execution = (output: string): Execution.Execution =>
  Execution.make({ output, confidence: 0.5, usage: usage(7), metadata: { model: "test" } })

/** One kind of settlement, open to changes with a spread. */
type Ending<Tag extends Settlement["_tag"]> = Extract<Settlement, { readonly _tag: Tag }>

export const complete = (claimed: Claim, output = "done"): Ending<"Complete"> => ({
  _tag: "Complete",
  ...leaseOf(claimed),
  execution: execution(output),
  verification: Verification.pass(),
  verified: true
})

export const sendToReview = (claimed: Claim, output = "a draft"): Ending<"Review"> => ({
  _tag: "Review",
  ...leaseOf(claimed),
  execution: execution(output),
  verification: Verification.review("The judge was unsure.", Verification.pass({ confidence: 0.4, models: ["judge"] }))
})

interface Failure {
  readonly feedback?: string
  readonly output?: string | null
  readonly checkpoint?: Execution.Execution | undefined
  readonly delay?: Duration.Duration
}

const failure = (claimed: Claim, options?: Failure) => ({
  ...leaseOf(claimed),
  feedback: options?.feedback ?? "not good enough",
  execution: typeof options?.output === "string" ? execution(options.output) : undefined,
  verification: undefined,
  checkpoint: options?.checkpoint
})

export const retry = (claimed: Claim, options?: Failure): Ending<"Retry"> => ({
  _tag: "Retry",
  ...failure(claimed, options),
  delay: options?.delay ?? Duration.zero
})

export const fail = (claimed: Claim, options?: Failure): Ending<"Fail"> => ({
  _tag: "Fail",
  ...failure(claimed, options)
})

export const release = (
  claimed: Claim,
  reason = "shutting down",
  used: Pick<Ending<"Release">, "attemptUsage" | "usage"> = {}
): Ending<"Release"> => ({
  _tag: "Release",
  ...leaseOf(claimed),
  ...used,
  reason
})

/** Settles, and insists that every lease was current. */
export const settle = Effect.fnUntraced(function* ({ store }: Fixture, ...settlements: ReadonlyArray<Settlement>) {
  assert.deepEqual((yield* store.settle(settlements)).lost, [])
})

/** The task, which has to be there. */
export const find = Effect.fnUntraced(function* ({ store }: Fixture, name: string) {
  const found = yield* store.get(id(name))
  return Option.getOrThrowWith(found, () => new assert.AssertionError({ message: `task ${name} is there` }))
})

export const statusOf = (fixture: Fixture, name: string): Effect.Effect<Task.TaskStatus, unknown> =>
  Effect.map(find(fixture, name), ({ status }) => status)

export const outcomes = ({ store }: Fixture, name: string): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.map(store.attempts(id(name)), (attempts) => attempts.map(({ outcome }) => outcome))

/** Plain data to compare by value; it also holds what a store returns against the schema. */
export const plainTask = Schema.encodeSync(Task.Task)

/** See `plainTask`. */
export const plainAttempt = Schema.encodeSync(Attempt.Attempt)

/** A policy under which no lease that ends uses up its task's attempts. */
export const patient = { maxAttempts: 1_000, onCrash: "retry" } as const

/** The newest row of a task's ledger. */
export const lastAttempt = Effect.fnUntraced(function* ({ store }: Fixture, name: string) {
  const last = (yield* store.attempts(id(name))).at(-1)
  assert.ok(last, "there is an attempt")
  return last
})

/** The ways to end an attempt without success. */
export const failures: ReadonlyArray<
  readonly [outcome: string, end: (claimed: Claim, options?: Failure) => Ending<"Retry"> | Ending<"Fail">]
> = [
  ["retried", retry],
  ["failed", fail]
]
