import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { defaultQueue, TaskId } from "../../Task.ts"
import * as TaskState from "../../TaskState.ts"
import type {
  Claim,
  ClaimOptions,
  FencedReply,
  Lease,
  LostLease,
  QueueOptions,
  Settlement,
  SweepOptions,
  SweptTask,
  TaskStore
} from "../../TaskStore.ts"
import type { ClaimRow, LeaseRow, LostLeaseRow, TaskStoreDriver } from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"
import * as Adding from "./adding.ts"
import * as Administration from "./administration.ts"
import * as Batches from "./batches.ts"
import * as Budgets from "./budgets.ts"
import * as Codec from "./codec.ts"
import * as Concurrency from "./concurrency.ts"
import * as Listing from "./listing.ts"
import * as Pauses from "./pauses.ts"
import * as Progress from "./progress.ts"
import * as RateShares from "./rateShares.ts"
import * as Reviews from "./reviews.ts"
import { leaseRow, settlementRow } from "./settlementRows.ts"
import { charactersOf, noCharacters, newestLease, parts } from "./splitBatch.ts"
import * as TaskWaiters from "./taskWaiters.ts"
import * as Text from "./text.ts"
import * as Waiting from "./waiting.ts"

const defaultRows = 1_000
const defaultSelected = 1_000
const defaultCharacters = 16 * 1024 * 1024

/** In a long outage most claims never arrive, and what the first of them may have claimed has expired. */
const mostUnanswered = 100

const expiredMessage = { beforeOwner: "Worker ", afterOwner: " stopped answering." }

const notStarted = {
  message: { beforeOwner: "Worker ", afterOwner: " stopped answering before it started." },
  attemptsReturned: TaskState.returnedUnstarted()
}

/** A store, and a way to wake the fibers that wait for it when it changes by itself. */
export interface Made {
  readonly store: TaskStore["Service"]
  readonly wake: Waiting.Waiting["wake"]
}

export const make = Effect.fnUntraced(function* (driver: TaskStoreDriver): Effect.fn.Return<Made, never, Scope.Scope> {
  const maxRows = driver.limits?.rows ?? defaultRows
  const waiters = yield* TaskWaiters.make(driver, maxRows)
  const listing = Listing.make(driver, maxRows)
  const waiting = yield* Waiting.make(driver, waiters)
  const maxSelected = driver.limits?.selected ?? defaultSelected
  const maxCharacters = driver.limits?.characters ?? defaultCharacters

  const decoded = <A>(read: () => A): Effect.Effect<A, TaskStoreError> =>
    Effect.fromResult(Codec.decode(driver.place, read))

  const adding = Adding.make(driver, { announce: waiting.announce })
  const administration = Administration.make(driver, {
    announce: waiting.announce,
    changed: waiters.changed,
    maxCharacters,
    maxRows,
    maxSelected
  })

  // ------------------------------------------------------------------------------------------- claiming

  let calls = yield* Random.nextIntBetween(0, 2 ** 50)
  /** Claims that were sent and not answered: they may have claimed tasks. */
  let unanswered: ReadonlyArray<{ readonly owner: string; readonly queue: string; readonly call: number }> = []
  /** The leases of tasks with a concurrency key that this process has claimed, until it settles or loses them. */
  const keyed = new Set<string>()
  /** Counts claims from several queues, so that each begins with another queue. */
  let turn = 0

  const claimOnce = (
    limit: number,
    queue: string,
    { lease, maxPerKey = Waiting.defaultMaxPerKey, owner }: ClaimOptions,
    started: number
  ): Effect.Effect<ReadonlyArray<Claim>, TaskStoreError> =>
    Effect.suspend(() => {
      const call = calls++
      const lost = unanswered.flatMap((each) => (each.owner === owner && each.queue === queue ? each.call : []))
      const request = {
        queue,
        limit,
        owner: Text.encode(owner),
        leaseMillis: Codec.toMillis(lease),
        maxPerKey,
        call,
        unanswered: lost,
        started
      }
      return driver.claim(request).pipe(
        Effect.onError(() =>
          Effect.sync(() => {
            unanswered = [...unanswered, { owner, queue, call }].slice(-mostUnanswered)
          })
        ),
        Effect.flatMap((rows) => {
          // With as many as there is room for, there may be more of them.
          if (lost.length > 0 && rows.length < limit) {
            unanswered = unanswered.filter((each) => !lost.includes(each.call))
          }
          return Result.match(
            Codec.decode(driver.place, () => Codec.claims(rows)),
            { onSuccess: (claims) => Effect.succeed(noteKeys(claims)), onFailure: () => setAside(rows) }
          )
        })
      )
    })

  const noteKeys = (claims: ReadonlyArray<Claim>): ReadonlyArray<Claim> => {
    for (const { task, token } of claims) {
      if (task.concurrencyKey !== undefined) keyed.add(`${token} ${task.id}`)
    }
    return claims
  }

  /** The claims that can be read. Fails the other tasks, so that they do not hold up these or the end of a run. */
  const setAside = Effect.fnUntraced(function* (
    rows: ReadonlyArray<ClaimRow>
  ): Effect.fn.Return<ReadonlyArray<Claim>, TaskStoreError> {
    const claims: Array<Claim> = []
    for (const row of rows) {
      const read = Codec.decode(driver.place, () => Codec.claims([row]))
      if (Result.isSuccess(read)) {
        claims.push(...read.success)
        continue
      }
      const { message } = read.failure
      const lease = yield* decoded(() => Codec.lease(row))
      yield* driver.settle([settlementRow({ _tag: "Fail", ...lease, feedback: message })])
      yield* Effect.logWarning("A task cannot be read. It is in the dead-letter queue.").pipe(
        Effect.annotateLogs({ task: lease.taskId, problem: message })
      )
      waiting.announce("settled")
    }
    return noteKeys(claims)
  })

  const claim = Effect.fnUntraced(function* (
    options: ClaimOptions
  ): Effect.fn.Return<ReadonlyArray<Claim>, TaskStoreError> {
    const queues = inTurn(queuesOf(options))
    const { started = Infinity } = options
    let claims: Array<Claim> | undefined
    let first: ReadonlyArray<Claim> = []
    for (let index = 0; index < queues.length;) {
      const count = (claims ?? first).length
      const limit = Math.min(options.limit - count, maxRows)
      if (limit < 1) break
      const starting = Math.max(0, Math.min(limit, started - count))
      const claiming = claimOnce(limit, queues[index] ?? defaultQueue, options, starting)
      if (first.length === 0) {
        first = yield* claiming
        if (first.length < limit) index++
        continue
      }
      const more = yield* Effect.result(claiming)
      // The tasks of the earlier calls must not wait for their leases to expire.
      if (Result.isFailure(more)) break
      claims ??= Array.from(first)
      for (const each of more.success) claims.push(each)
      if (more.success.length < limit) index++
    }
    waiting.claimed(first.length)
    // A fiber that waits for work has to know when the new leases expire: the claimer may die.
    if (first.length > 0) waiting.wake("work")
    return claims ?? first
  })

  const inTurn = (queues: ReadonlyArray<string>): ReadonlyArray<string> => {
    if (queues.length < 2) return queues
    const begin = turn++ % queues.length
    return [...queues.slice(begin), ...queues.slice(0, begin)]
  }

  // -------------------------------------------------------------------------------- writing under leases

  /** Writes for all leases, within the limits of a call, and returns those that were lost, in the order of the batch. */
  const underLeases = Effect.fnUntraced(function* <A extends Lease, B extends LeaseRow>(
    leases: ReadonlyArray<A>,
    encode: (lease: A) => B,
    charactersOf: (row: B) => number,
    write: (rows: ReadonlyArray<B>) => Effect.Effect<ReadonlyArray<LostLeaseRow>, TaskStoreError>,
    isWritten: (row: B, lost: LostLeaseRow) => boolean = () => false
  ): Effect.fn.Return<FencedReply, TaskStoreError> {
    if (leases.length === 0) return noneLost
    const rows = leases.map(encode)
    const lost: Array<{ readonly index: number; readonly lease: LostLease }> = []
    for (const part of parts(rows, charactersOf, maxRows, maxCharacters, newestLease)) {
      for (const each of yield* write(part.rows)) {
        const index = part.indexes === undefined ? each.index : (part.indexes[each.index] ?? -1)
        const lease = leases[index]
        const row = rows[index]
        if (lease === undefined || row === undefined || isWritten(row, each)) continue
        const { taskId, token } = lease
        keyed.delete(`${token} ${taskId}`)
        const status = yield* decoded(() => Codec.optionalStatus(each.status))
        lost.push({ index, lease: { taskId, token, status } })
      }
    }
    if (lost.length === 0) return noneLost
    return { lost: lost.sort((left, right) => left.index - right.index).map(({ lease }) => lease) }
  })

  const start = (leases: ReadonlyArray<Lease>): Effect.Effect<FencedReply, TaskStoreError> =>
    driver.start === undefined ? noneStarted : underLeases(leases, leaseRow, noCharacters, driver.start)

  const settle = (settlements: ReadonlyArray<Settlement>): Effect.Effect<FencedReply, TaskStoreError> => {
    if (driver.decide === undefined && settlements.some(({ _tag }) => _tag === "Review")) {
      return Effect.fail(
        new TaskStoreError({ reason: "Unusable", message: `${driver.place} cannot hold tasks for review.` })
      )
    }
    /** Whether this call was made before and its answer lost: then it may have been carried out. */
    let repeated = false
    return Effect.suspend(() =>
      underLeases(
        settlements,
        settlementRow,
        charactersOf,
        driver.settle,
        // Only the owner of a lease settles it, so an attempt that ended as this settlement says was ended by it.
        (row, lost) => repeated && lost.outcome === row.outcome
      )
    ).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          repeated = true
        })
      ),
      Effect.tap(() =>
        Effect.sync(() => {
          waiters.changed(() => settlements.map(({ taskId }) => Text.encode(taskId)))
          if (settlements.some(({ _tag }) => _tag === "Complete" || _tag === "Fail" || _tag === "Review"))
            waiting.announce("settled")
          // Other processes have something to do when a task is pending again, or when nothing is left to claim: then
          // they wait for the last task to end, or for one that this batch freed.
          // So does the end of a task with a key: another task with the key may begin.
          const concerns =
            freesKey(settlements) ||
            waiting.foundNothing() ||
            settlements.some(({ _tag }) => _tag === "Retry" || _tag === "Release")
          if (concerns) waiting.announce("work")
          else waiting.wake("work")
        })
      )
    )
  }

  /** Whether these settlements end a task with a concurrency key. */
  const freesKey = (settlements: ReadonlyArray<Settlement>): boolean => {
    if (keyed.size === 0) return false
    let frees = false
    for (const { taskId, token } of settlements) frees = keyed.delete(`${token} ${taskId}`) || frees
    return frees
  }

  const sweep = Effect.fnUntraced(function* (
    policy: SweepOptions
  ): Effect.fn.Return<ReadonlyArray<SweptTask>, TaskStoreError> {
    const request = {
      failFromAttempts: TaskState.failsFrom(policy),
      limit: maxSelected,
      message: expiredMessage,
      notStarted
    }
    const swept: Array<SweptTask> = []
    for (const queue of queuesOf(policy)) {
      while (true) {
        const rows = yield* driver.sweep({ ...request, queue })
        for (const each of yield* decoded(() => rows.map(Codec.swept))) swept.push(each)
        if (rows.length > 0) {
          waiting.announce("settled")
          waiting.announce("work")
        }
        waiters.changed(() => swept.map(({ taskId }) => Text.encode(taskId)))
        if (rows.length < maxSelected) break
        yield* Effect.yieldNow
      }
    }
    return swept
  })

  // --------------------------------------------------------------------------------------------- reading

  const queues = Effect.flatMap(driver.counts, (rows) =>
    decoded(() => rows.map(Codec.counts).sort((left, right) => (left.queue < right.queue ? -1 : 1)))
  )

  const workers = Effect.flatMap(driver.workers, (rows) =>
    decoded(() =>
      rows
        .map(Codec.worker)
        .sort((left, right) =>
          (left.queue === right.queue ? left.name < right.name : left.queue < right.queue) ? -1 : 1
        )
    )
  )

  const budgets =
    driver.budgets &&
    Budgets.make(driver.budgets, {
      underLeases: (spending, encode, write) => underLeases(spending, encode, noCharacters, write),
      decoded,
      announce: Effect.sync(() => waiting.announce("control"))
    })

  const { amend, decide } = driver
  const reviews =
    decide &&
    amend &&
    Reviews.make(
      { amend, attempts: driver.attempts, get: driver.get, decide },
      {
        decoded,
        maxRows,
        changed: (ids) => {
          waiters.changed(() => ids.map(Text.encode))
          // A rejected task is pending again, and an approved one can free others.
          if (ids.length > 0) waiting.announce("work")
        }
      }
    )

  const pauses =
    driver.pauses &&
    Pauses.make(driver.pauses, {
      decoded,
      announce: Effect.sync(() => {
        waiting.announce("control")
        waiting.announce("work")
      })
    })

  const progress = driver.progress && Progress.make(driver.progress, driver.place)

  const concurrency =
    driver.texts &&
    Concurrency.make(driver.texts, {
      place: driver.place,
      control: waiting.control,
      announce: Effect.sync(() => waiting.announce("control"))
    })
  const rateShares = driver.texts && (yield* RateShares.make(driver.texts, driver.place))
  const batches = driver.batches && Batches.make(driver.batches, { decoded, maxCharacters, maxRows })

  const store: TaskStore["Service"] = {
    ...adding,
    addLimit: driver.limits?.added,
    claim,
    checkpoint: (checkpoints) =>
      underLeases(checkpoints, Codec.checkpointRow, ({ execution }) => execution.length, driver.checkpoint),
    settle,
    start,
    extend: (leases, lease) => {
      const leaseMillis = Codec.toMillis(lease)
      // A lease may also expire earlier than before.
      return Effect.tap(
        underLeases(leases, leaseRow, noCharacters, (rows) => driver.extend(rows, leaseMillis)),
        () => Effect.sync(() => waiting.wake("work"))
      )
    },
    sweep,
    get: (id) =>
      Effect.flatMap(driver.get([Text.encode(id)]), ([row]) =>
        row === undefined ? Effect.succeedNone : decoded(() => Option.some(Codec.task(row)))
      ),
    awaitSettled: (id) => Effect.andThen(waiting.subscribed, waiters.await(Text.encode(id))),
    list: listing.list,
    attempts: (id) =>
      Effect.flatMap(driver.attempts(Text.encode(id)), (rows) =>
        decoded(() => rows.map((row) => Codec.attempt(TaskId.make(id), row)))
      ),
    counts: Effect.map(queues, Codec.total),
    queues,
    workers,
    ...administration,
    awaitWork: waiting.awaitWork,
    control: waiting.control,
    request: (request) =>
      Effect.tap(Effect.flatMap(driver.request(request), waiting.readControl), () =>
        Effect.sync(() => waiting.announce("control"))
      ),
    awaitControl: waiting.awaitControl,
    awaitChange: waiting.awaitChange,
    dump: listing.dump,
    budgets,
    pauses,
    concurrency,
    rateShares,
    progress,
    batches,
    reviews
  }
  return { store, wake: waiting.wake }
})

const noneLost: FencedReply = { lost: [] }

const noneStarted = Effect.succeed(noneLost)

const onlyDefaultQueue = [defaultQueue]

const queuesOf = ({ queues }: QueueOptions): ReadonlyArray<string> =>
  queues === undefined ? onlyDefaultQueue : queues.length < 2 ? queues : Array.from(new Set(queues))
