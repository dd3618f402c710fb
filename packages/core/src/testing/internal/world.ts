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

/** What a store may be unable to do. Everything else in the suite is the contract. */
export interface Capabilities {
  /** Time passes for the store only when the test says so; off for a store with a clock of its own. */
  readonly virtualTime: boolean
  /** Half of a surrogate pair, which is no text in UTF-8, comes back as it was. */
  readonly loneSurrogates: boolean
}

/** What a case works with: a store with nothing in it, and its time. */
export interface World {
  readonly store: TaskStore["Service"]
  /** One more store with nothing in it. */
  readonly another: Effect.Effect<TaskStore["Service"], unknown, Scope.Scope>
  /** Lets so many of the suite's seconds pass. */
  readonly pass: (seconds: number) => Effect.Effect<void>
  /** So many of the suite's seconds; on a real clock they are shorter than others'. */
  readonly seconds: (seconds: number) => Duration.Duration
}

/** One promise of the contract. */
export interface Case {
  readonly name: string
  readonly run: (world: World) => Effect.Effect<void, unknown, Scope.Scope>
  readonly needs: keyof Capabilities | undefined
}

export const it = (name: string, run: Case["run"], needs?: keyof Capabilities): Case => ({ name, run, needs })

export const id = (name: string): Task.TaskId => Task.TaskId.make(name)

export const ids = (...names: ReadonlyArray<string>): ReadonlyArray<Task.TaskId> => names.map(id)

export const task = (
  name: string,
  options?: Omit<Parameters<typeof Task.make>[0], "id" | "description">
): Task.NewTask => Task.make({ id: name, description: `Do ${name}.`, ...options })

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
  { store }: World,
  options?: { readonly limit?: number; readonly owner?: string; readonly lease?: Duration.Duration }
): Effect.Effect<ReadonlyArray<Claim>, unknown> =>
  store.claim({
    limit: options?.limit ?? 100,
    owner: options?.owner ?? "worker",
    lease: options?.lease ?? longLease
  })

export const claimOne = Effect.fnUntraced(function* (
  world: World,
  options?: { readonly owner?: string; readonly lease?: Duration.Duration }
) {
  const [claimed] = yield* claim(world, { ...options, limit: 1 })
  assert.ok(claimed, "there is a task to claim")
  return claimed
})

/** Adds one task and claims it. */
export const claimNew = Effect.fnUntraced(function* (world: World, name: string, lease?: Duration.Duration) {
  yield* world.store.add([task(name)])
  const claimed = yield* claimOne(world, lease === undefined ? {} : { lease })
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
  verified: true,
  attemptUsage: null,
  usage: null
})

interface Failure {
  readonly feedback?: string
  readonly output?: string | null
  readonly checkpoint?: Execution.Execution | null
  readonly delay?: Duration.Duration
}

const failure = (claimed: Claim, options?: Failure) => ({
  ...leaseOf(claimed),
  feedback: options?.feedback ?? "not good enough",
  execution: typeof options?.output === "string" ? execution(options.output) : null,
  verification: null,
  checkpoint: options?.checkpoint ?? null,
  attemptUsage: null,
  usage: null
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
  used: Pick<Ending<"Release">, "attemptUsage" | "usage"> = { attemptUsage: null, usage: null }
): Ending<"Release"> => ({
  _tag: "Release",
  ...leaseOf(claimed),
  ...used,
  reason
})

/** Settles, and insists that every lease was current. */
export const settle = Effect.fnUntraced(function* ({ store }: World, ...settlements: ReadonlyArray<Settlement>) {
  assert.deepEqual((yield* store.settle(settlements)).lost, [])
})

/** The task, which has to be there. */
export const find = Effect.fnUntraced(function* ({ store }: World, name: string) {
  const found = yield* store.get(id(name))
  return Option.getOrThrowWith(found, () => new assert.AssertionError({ message: `task ${name} is there` }))
})

export const statusOf = (world: World, name: string): Effect.Effect<Task.TaskStatus, unknown> =>
  Effect.map(find(world, name), ({ status }) => status)

export const outcomes = ({ store }: World, name: string): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.map(store.attempts(id(name)), (attempts) => attempts.map(({ outcome }) => outcome))

/** Plain data to compare by value; it also holds what a store returns against the schema. */
export const plainTask = Schema.encodeSync(Task.Task)

/** See `plainTask`. */
export const plainAttempt = Schema.encodeSync(Attempt.Attempt)

/** A policy under which no lease that ends uses up its task's attempts. */
export const patient = { maxAttempts: 1_000, onCrash: "retry" } as const

/** The newest row of a task's ledger. */
export const lastAttempt = Effect.fnUntraced(function* ({ store }: World, name: string) {
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
