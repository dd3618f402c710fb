import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { defaultQueue, type NewTask, TaskId, type TaskStatus } from "../../Task.ts"
import * as TaskRecord from "../../TaskRecord.ts"
import * as TaskState from "../../TaskState.ts"
import type {
  AddResult,
  Claim,
  ClaimOptions,
  FencedReply,
  Lease,
  LostLease,
  PruneOptions,
  QueueOptions,
  ReviseOptions,
  Revision,
  Selection,
  Settlement,
  SweepOptions,
  SweptTask,
  TaskStore
} from "../../TaskStore.ts"
import type {
  AddReply,
  ChangeReply,
  ClaimRow,
  LeaseRow,
  LostLeaseRow,
  SelectionRow,
  TaskStoreDriver
} from "../../TaskStoreDriver.ts"
import { type Refusal, TasksRefused, TaskStoreError } from "../../TaskStoreError.ts"
import * as Admission from "./admission.ts"
import * as Batches from "./batches.ts"
import * as Budgets from "./budgets.ts"
import * as Codec from "./codec.ts"
import * as Concurrency from "./concurrency.ts"
import { charactersOf, charactersOfRevision, leaseRow, noCharacters, parts, settlementRow } from "./leases.ts"
import * as Listing from "./listing.ts"
import * as Pauses from "./pauses.ts"
import * as Progress from "./progress.ts"
import * as RateShares from "./rateShares.ts"
import * as Reviews from "./reviews.ts"
import * as Text from "./text.ts"
import * as Settled from "./settled.ts"
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

const cancelReason = "The task was cancelled while it ran."

/** A store, and a way to wake the fibers that wait for it when it changes by itself. */
export interface Made {
  readonly store: TaskStore["Service"]
  readonly wake: Waiting.Waiting["wake"]
}

export const make = Effect.fnUntraced(function* (driver: TaskStoreDriver): Effect.fn.Return<Made, never, Scope.Scope> {
  const maxRows = driver.limits?.rows ?? defaultRows
  const settled = yield* Settled.make(driver, maxRows)
  const listing = Listing.make(driver, maxRows)
  const waiting = yield* Waiting.make(driver, settled.changedElsewhere)
  const maxSelected = driver.limits?.selected ?? defaultSelected
  const maxCharacters = driver.limits?.characters ?? defaultCharacters
  const maxIdBytes = driver.limits?.idBytes ?? Infinity

  const decoded = <A>(read: () => A): Effect.Effect<A, TaskStoreError> =>
    Effect.fromResult(Codec.decode(driver.place, read))

  const unusable = (message: string) => new TaskStoreError({ reason: "Unusable", message })

  // --------------------------------------------------------------------------------------------- adding

  const refuseLongIds = (ids: ReadonlyArray<TaskId>): Effect.Effect<void, TaskStoreError> => {
    if (maxIdBytes === Infinity) return Effect.void
    const long = ids.find((id) => byteLength(Text.encode(id)) > maxIdBytes)
    return long === undefined
      ? Effect.void
      : Effect.fail(
          unusable(
            `The id that begins with ${JSON.stringify(long.slice(0, 40))} is too long: ${driver.place} holds ids of up to ${maxIdBytes} bytes.`
          )
        )
  }

  const add = Effect.fnUntraced(function* (
    tasks: ReadonlyArray<NewTask>
  ): Effect.fn.Return<AddResult, TaskStoreError | TasksRefused> {
    if (tasks.length === 0) return { added: [], existing: 0, different: [] }
    yield* refuseLongIds(tasks.map(({ id }) => id))
    yield* refuseInvalid(tasks)
    const distinct = Admission.distinct(tasks)
    const cycles = Admission.cycles(distinct.tasks)
    const rows = distinct.tasks.map(Codec.newTaskRow)
    if (distinct.refusals.length > 0 || cycles.length > 0) {
      // Checks the store too, so that the refusal names every problem. Existing tasks depend on nothing in this call.
      const reply = yield* driver.add(rows, { checkOnly: true })
      const existing = new Set(reply.existing.map(Text.decode))
      const refusals = [
        ...distinct.refusals,
        ...refusalsOf(reply),
        ...Admission.cycles(distinct.tasks.filter(({ id }) => !existing.has(id))).flatMap(Admission.cycleRefusals)
      ]
      if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
    }
    const reply = yield* driver.add(rows, { checkOnly: false })
    const refusals = refusalsOf(reply)
    if (isReadonlyArrayNonEmpty(refusals)) return yield* new TasksRefused({ refusals })
    if (reply.existing.length < rows.length) waiting.announce("work")
    const existing = new Set(reply.existing.map(Text.decode))
    const added = distinct.tasks.map(({ id }) => id)
    return {
      added: existing.size === 0 ? added : added.filter((id) => !existing.has(id)),
      existing: existing.size,
      different: differentIds(distinct.different, reply)
    }
  })

  /** Refuses tasks with a field that no task can have, and keys where the driver does not support them. */
  const refuseInvalid = (
    tasks: Parameters<typeof Admission.invalid>[0]
  ): Effect.Effect<void, TaskStoreError | TasksRefused> => {
    const keyed =
      driver.concurrencyKeys === true ? undefined : tasks.find(({ concurrencyKey = null }) => concurrencyKey !== null)
    if (keyed !== undefined) {
      return Effect.fail(
        unusable(
          `Task ${JSON.stringify(keyed.id)} has a concurrency key. ${driver.place} does not support concurrency keys: leave the key out, or use another store.`
        )
      )
    }
    const refusals = Admission.invalid(tasks)
    return isReadonlyArrayNonEmpty(refusals) ? Effect.fail(new TasksRefused({ refusals })) : Effect.void
  }

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
      if (task.concurrencyKey !== null) keyed.add(`${token} ${task.id}`)
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
      yield* driver.settle([settlementRow({ _tag: "Fail", ...lease, feedback: message, ...nothingDone })])
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
    for (const part of parts(rows, charactersOf, maxRows, maxCharacters)) {
      for (const each of yield* write(part.rows)) {
        const index = part.indexes === undefined ? each.index : (part.indexes[each.index] ?? -1)
        const lease = leases[index]
        const row = rows[index]
        if (lease === undefined || row === undefined || isWritten(row, each)) continue
        const { taskId, token } = lease
        keyed.delete(`${token} ${taskId}`)
        const status = yield* decoded(() => Codec.statusOrNull(each.status))
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
      return Effect.fail(unusable(`${driver.place} cannot hold tasks for review.`))
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
          settled.changed(() => settlements.map(({ taskId }) => Text.encode(taskId)))
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
        if (rows.length > 0) waiting.announce("work")
        settled.changed(() => swept.map(({ taskId }) => Text.encode(taskId)))
        if (rows.length < maxSelected) break
        yield* Effect.yieldNow
      }
    }
    return swept
  })

  // ------------------------------------------------------------------------------------------- selecting

  /** Changes the selected tasks, a part at a time: other processes write in between. */
  const change = Effect.fnUntraced(function* (
    selection: Selection,
    act: (selection: SelectionRow) => Effect.Effect<ChangeReply, TaskStoreError>
  ): Effect.fn.Return<{ readonly ids: ReadonlyArray<TaskId>; readonly interrupted: number }, TaskStoreError> {
    const ids: Array<TaskId> = []
    let interrupted = 0
    const note = (reply: ChangeReply) => {
      for (const id of reply.ids) ids.push(Codec.taskId(id))
      interrupted += reply.interrupted
      return reply.last
    }
    if ("ids" in selection) {
      const selected = Array.from(new Set(selection.ids), Text.encode)
      for (let from = 0; from < selected.length; from += maxSelected) {
        note(yield* act({ ids: selected.slice(from, from + maxSelected) }))
      }
      return { ids, interrupted }
    }
    let after: number | null = 0
    while (after !== null) {
      after = note(yield* act({ status: selection.status, queue: selection.queue ?? null, after, limit: maxSelected }))
      if (after !== null) yield* Effect.yieldNow
    }
    return { ids, interrupted }
  })

  const requeue = Effect.fnUntraced(function* (selection: Selection) {
    const from = TaskState.statusesBefore("Requeued")
    if ("status" in selection && !from.includes(selection.status)) return []
    const { ids } = yield* change(selection, (part) => driver.requeue(part, { from }))
    if (ids.length > 0) waiting.announce("work")
    return ids
  })

  const revise = Effect.fnUntraced(function* (
    revisions: ReadonlyArray<Revision>,
    options?: ReviseOptions
  ): Effect.fn.Return<ReadonlyArray<TaskId>, TaskStoreError> {
    const legal = TaskState.statusesBefore("Revised")
    const from = options?.from?.filter((status) => legal.includes(status)) ?? legal
    if (driver.revise === undefined) {
      return yield* unusable(
        `${driver.place} does not support changing stored tasks: cancel and prune them, and add them again.`
      )
    }
    if (revisions.length === 0 || from.length === 0) return []
    const [invalid] = Admission.invalid(revisions.map(({ taskId: id, work }) => ({ id, ...work })))
    if (invalid !== undefined) return yield* unusable(invalid.message)
    const ids: Array<TaskId> = []
    for (const { rows } of parts(revisions.map(Codec.revisionRow), charactersOfRevision, maxRows, maxCharacters)) {
      for (const id of yield* driver.revise(rows, { from })) ids.push(Codec.taskId(id))
    }
    if (ids.length > 0) waiting.announce("work")
    return ids
  })

  const failWaiting = Effect.fnUntraced(function* (
    selected: ReadonlyArray<string>,
    reason: string
  ): Effect.fn.Return<ReadonlyArray<TaskId>, TaskStoreError> {
    const { failWaiting: write } = driver
    if (write === undefined) {
      return yield* unusable(
        `${driver.place} does not support failing the dependents of failed tasks: let them wait, or cancel them.`
      )
    }
    const from = TaskState.statusesBefore("DependencyFailed")
    const encoded = Array.from(new Set(selected), Text.encode)
    const ids: Array<TaskId> = []
    for (let at = 0; at < encoded.length; at += maxSelected) {
      const part = yield* write(encoded.slice(at, at + maxSelected), { from, feedback: Text.encode(reason) })
      for (const id of part) ids.push(Codec.taskId(id))
    }
    if (ids.length === 0) return ids
    settled.changed(() => ids.map(Text.encode))
    waiting.announce("settled")
    waiting.announce("work")
    return ids
  })

  const cancel = Effect.fnUntraced(function* (selection: Selection) {
    const from = TaskState.statusesBefore("Cancelled")
    if ("status" in selection && !from.includes(selection.status)) return []
    const { ids, interrupted } = yield* change(selection, (part) => driver.cancel(part, { from, reason: cancelReason }))
    if (interrupted > 0) waiting.announce("control")
    if (ids.length > 0) waiting.announce("work")
    settled.changed(() => ids.map(Text.encode))
    return ids
  })

  const prune = Effect.fnUntraced(function* ({ ids, olderThan, queue, statuses }: PruneOptions) {
    const unchangedMillis = olderThan === undefined ? null : Codec.toMillis(olderThan)
    const selections: ReadonlyArray<Selection> =
      ids === undefined ? statuses.map((status) => ({ status, queue })) : [{ ids }]
    let count = 0
    for (const selection of selections) {
      const from: ReadonlyArray<TaskStatus> = "status" in selection ? [selection.status] : statuses
      const pruned = yield* change(selection, (part) => driver.prune(part, { from, unchangedMillis }))
      count += pruned.ids.length
      settled.changed(() => pruned.ids.map(Text.encode))
    }
    if (count > 0) waiting.announce("settled")
    return count
  })

  // --------------------------------------------------------------------------------------------- reading

  const queues = Effect.flatMap(driver.counts, (rows) =>
    decoded(() => rows.map(Codec.counts).sort((left, right) => (left.queue < right.queue ? -1 : 1)))
  )

  const restore = Effect.fnUntraced(function* (
    records: ReadonlyArray<TaskRecord.TaskRecord>
  ): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
    yield* Effect.fromResult(TaskRecord.validate(records, () => false))
    yield* refuseLongIds(records.map(({ task }) => task.id))
    yield* refuseInvalid(records.map(({ task }) => task))
    if (records.length === 0) return
    const inReview = driver.decide === undefined ? records.find(({ task }) => task.status === "in_review") : undefined
    if (inReview !== undefined) {
      return yield* unusable(
        `Task ${JSON.stringify(inReview.task.id)} is in review. ${driver.place} cannot hold tasks for review: decide about it first, or use another store.`
      )
    }
    const present = new Set((yield* driver.restore(records.map(Codec.restoreRow))).map(Text.decode))
    yield* Effect.fromResult(TaskRecord.validate(records, (id) => present.has(id)))
    waiting.announce("work")
  })

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
          settled.changed(() => ids.map(Text.encode))
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
    add,
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
    awaitSettled: (id) => Effect.andThen(waiting.subscribed, settled.await(Text.encode(id))),
    list: listing.list,
    attempts: (id) =>
      Effect.flatMap(driver.attempts(Text.encode(id)), (rows) =>
        decoded(() => rows.map((row) => Codec.attempt(TaskId.make(id), row)))
      ),
    counts: Effect.map(queues, Codec.total),
    queues,
    requeue,
    revise,
    failWaiting,
    cancel,
    prune,
    awaitWork: waiting.awaitWork,
    control: waiting.control,
    request: (request) =>
      Effect.tap(Effect.flatMap(driver.request(request), waiting.readControl), () =>
        Effect.sync(() => waiting.announce("control"))
      ),
    awaitControl: waiting.awaitControl,
    awaitChange: waiting.awaitChange,
    dump: listing.dump,
    restore,
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

/** The result of an attempt that never began. */
const nothingDone = { execution: null, verification: null, checkpoint: null, attemptUsage: null, usage: null }

const noneLost: FencedReply = { lost: [] }

const noneStarted = Effect.succeed(noneLost)

const onlyDefaultQueue = [defaultQueue]

const queuesOf = ({ queues }: QueueOptions): ReadonlyArray<string> =>
  queues === undefined ? onlyDefaultQueue : queues.length < 2 ? queues : Array.from(new Set(queues))

/** Bytes in UTF-8 of text that is valid Unicode. */
const byteLength = (text: string): number => {
  let bytes = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return bytes
}

const differentIds = (inCall: ReadonlySet<TaskId>, { different }: AddReply): ReadonlyArray<TaskId> =>
  inCall.size === 0 ? different.map(Codec.taskId) : Array.from(new Set([...inCall, ...different.map(Codec.taskId)]))

const refusalsOf = ({ conflicts, unknown }: AddReply): ReadonlyArray<Refusal> => {
  if (conflicts.length === 0 && unknown.length === 0) return []
  const byTask = new Map<TaskId, Array<TaskId>>()
  for (const { dependency, id } of unknown) {
    const task = Codec.taskId(id)
    const dependencies = byTask.get(task)
    if (dependencies === undefined) byTask.set(task, [Codec.taskId(dependency)])
    else dependencies.push(Codec.taskId(dependency))
  }
  return [
    ...conflicts.map((id) => Admission.idInUse(Codec.taskId(id))),
    ...Array.from(byTask, ([id, dependencies]) => Admission.unknownDependency(id, dependencies))
  ]
}
