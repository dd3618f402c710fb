import * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { defaultQueue, idInQueue, localId, type NewTask, type Task, type TaskId } from "../../Task.ts"
import type { TaskRecord } from "../../TaskRecord.ts"
import type { Lease, PruneOptions, Selection, TaskStore } from "../../TaskStore.ts"
import { type Refusal, TasksRefused, TaskStoreError } from "../../TaskStoreError.ts"
import * as Codec from "./codec.ts"

type Store = TaskStore["Service"]

/** The names of the ids of one queue, inside and outside of it. */
interface Names {
  readonly inside: (id: string) => TaskId
  readonly outside: (id: string) => TaskId
}

const asId = Brand.nominal<TaskId>()

const unchanged: Names = { inside: asId, outside: asId }

const namesOf = (queue: string): Names =>
  queue === defaultQueue
    ? unchanged
    : {
        inside: (id) => asId(localId({ id, queue })),
        outside: (id) => idInQueue(queue, id)
      }

const each = <A, B>(values: ReadonlyArray<A>, change: (value: A) => B): ReadonlyArray<B> =>
  values.length === 0 ? [] : values.map(change)

export const make = (store: Store, queues: readonly [string, ...ReadonlyArray<string>]): Store => {
  const [queue, ...others] = queues
  const isOne = others.length === 0
  const names = isOne ? namesOf(queue) : unchanged
  const { inside, outside } = names

  const taskInside = (task: Task): Task =>
    names === unchanged ? task : { ...task, id: inside(task.id), dependsOn: each(task.dependsOn, inside) }

  const leaseOutside = <A extends { readonly taskId: TaskId }>(lease: A): A => ({
    ...lease,
    taskId: outside(lease.taskId)
  })
  const leaseInside = <A extends Lease>(lease: A): A => ({ ...lease, taskId: inside(lease.taskId) })

  const recordInside = (record: TaskRecord): TaskRecord =>
    names === unchanged
      ? record
      : {
          ...record,
          task: taskInside(record.task),
          waitsFor: each(record.waitsFor, inside),
          attempts: each(record.attempts, leaseInside)
        }

  const newTaskOutside = (task: NewTask): NewTask => ({
    ...task,
    queue: task.queue ?? queue,
    id: outside(task.id),
    ...(task.dependsOn === undefined ? undefined : { dependsOn: each(task.dependsOn, outside) })
  })

  const refusalInside = (refusal: Refusal): Refusal => ({ ...refusal, taskId: inside(refusal.taskId) })

  const refused = <A, E, R>(effect: Effect.Effect<A, E | TasksRefused, R>) =>
    Effect.mapError(effect, (error) => {
      if (!(error instanceof TasksRefused)) return error
      const [first, ...rest] = error.refusals
      return new TasksRefused({ refusals: [refusalInside(first), ...rest.map(refusalInside)] })
    })

  /** The part of these queues that is here; without a name, all that are here. */
  const queuesHere = (named: ReadonlyArray<string> | undefined) =>
    named === undefined ? queues : named.filter((name) => queues.includes(name))

  const selectedQueues = (named: string | undefined) => queuesHere(named === undefined ? undefined : [named])

  const otherQueue = (named: string) =>
    `The queue ${JSON.stringify(named)} is not among the queues that can be changed here: ${queues.map((name) => JSON.stringify(name)).join(", ")}.`

  const within = <A>(named: string, change: Effect.Effect<A, TaskStoreError>) =>
    queues.includes(named)
      ? change
      : Effect.fail(new TaskStoreError({ reason: "Unusable", message: otherQueue(named) }))

  const refusalsOf = (tasks: ReadonlyArray<NewTask>): ReadonlyArray<Refusal> =>
    tasks.flatMap(({ id, queue: named }) =>
      named === undefined || queues.includes(named)
        ? []
        : [
            {
              taskId: id,
              problem: "OtherQueue",
              message: `Task ${JSON.stringify(id)} names the queue ${JSON.stringify(named)}. ${otherQueue(named)}`
            }
          ]
    )

  const isHere = (task: Task) => queues.includes(task.queue)
  const taskHere = Option.flatMap((task: Task) => (isHere(task) ? Option.some(taskInside(task)) : Option.none()))

  /** The ids among these that belong to tasks of the queues, in their own words. */
  const idsHere = (ids: ReadonlyArray<string>) =>
    isOne
      ? Effect.succeed(ids.map(outside))
      : Effect.filter(ids, (id) => Effect.map(store.get(id), Option.exists(isHere)), { concurrency: 16 })

  const changeSelected = <E>(
    selection: Selection,
    change: (selection: Selection) => Effect.Effect<ReadonlyArray<TaskId>, E>
  ) =>
    "ids" in selection
      ? Effect.flatMap(idsHere(selection.ids), (ids) => Effect.map(change({ ids }), (changed) => each(changed, inside)))
      : Effect.map(
          Effect.forEach(selectedQueues(selection.queue), (queue) => change({ status: selection.status, queue })),
          (changed) => each(changed.flat(), inside)
        )

  const { batches, budgets, concurrency, pauses, progress, reviews } = store
  const queueCounts = Effect.map(store.queues, (all) => all.filter((counts) => queues.includes(counts.queue)))

  return {
    add: (tasks) => {
      const [first, ...rest] = refusalsOf(tasks)
      if (first !== undefined) return Effect.fail(new TasksRefused({ refusals: [first, ...rest] }))
      return refused(
        Effect.map(store.add(tasks.map(newTaskOutside)), (reply) => ({
          ...reply,
          added: each(reply.added, inside),
          different: each(reply.different, inside)
        }))
      )
    },
    addLimit: store.addLimit,
    claim: (options) =>
      Effect.map(store.claim({ ...options, queues: queuesHere(options.queues) }), (claims) =>
        names === unchanged ? claims : claims.map((claim) => ({ ...claim, task: taskInside(claim.task) }))
      ),
    checkpoint: (checkpoints) => Effect.map(store.checkpoint(checkpoints.map(leaseOutside)), lostInside),
    settle: (settlements) => Effect.map(store.settle(settlements.map(leaseOutside)), lostInside),
    start: (leases) => Effect.map(store.start(leases.map(leaseOutside)), lostInside),
    extend: (leases, lease) => Effect.map(store.extend(leases.map(leaseOutside), lease), lostInside),
    sweep: (options) =>
      Effect.map(store.sweep({ ...options, queues: queuesHere(options.queues) }), (swept) => each(swept, leaseInside)),
    get: (id) => Effect.map(store.get(outside(id)), taskHere),
    awaitSettled: (id) => Effect.map(store.awaitSettled(outside(id)), taskHere),
    list: (query) =>
      selectedQueues(query?.queue).length === 0
        ? Effect.succeed({ tasks: [] })
        : Effect.map(store.list({ ...query, ...(isOne ? { queue } : undefined) }), (page) => ({
            ...page,
            tasks: page.tasks.filter(isHere).map(taskInside)
          })),
    attempts: (id) =>
      Effect.map(store.attempts(outside(id)), (attempts) =>
        names === unchanged ? attempts : attempts.map(leaseInside)
      ),
    counts: Effect.map(queueCounts, Codec.total),
    queues: queueCounts,
    workers: Effect.map(store.workers, (all) => all.filter(({ queue }) => queues.includes(queue))),
    requeue: (selection) => changeSelected(selection, store.requeue),
    revise: (revisions, options) =>
      Effect.flatMap(idsHere(revisions.map(({ taskId }) => taskId)), (ids) => {
        const here = new Set(ids)
        const changes = revisions.map(leaseOutside).filter(({ taskId }) => here.has(taskId))
        return Effect.map(store.revise(changes, options), (changed) => each(changed, inside))
      }),
    failWaiting: (ids, reason) =>
      Effect.flatMap(idsHere(ids), (here) =>
        Effect.map(store.failWaiting(here, reason), (changed) => each(changed, inside))
      ),
    cancel: (selection) => changeSelected(selection, store.cancel),
    prune: (options: PruneOptions) =>
      options.ids === undefined
        ? Effect.map(
            Effect.forEach(selectedQueues(options.queue), (queue) => store.prune({ ...options, queue })),
            (counts) => counts.reduce((sum, count) => sum + count, 0)
          )
        : Effect.flatMap(idsHere(options.ids), (ids) => store.prune({ ...options, ids })),
    awaitWork: (options) => store.awaitWork({ ...options, queues: queuesHere(options.queues) }),
    control: store.control,
    request: store.request,
    awaitControl: store.awaitControl,
    awaitChange: store.awaitChange,
    dump: (query) =>
      selectedQueues(query?.queue).length === 0
        ? Effect.succeed({ records: [] })
        : Effect.map(store.dump({ ...query, ...(isOne ? { queue } : undefined) }), ({ next, records }) => ({
            next,
            records: records.filter(({ task }) => isHere(task)).map(recordInside)
          })),
    restore: (records) =>
      refused(
        store.restore(
          records.map((record) => ({
            ...record,
            task: {
              ...record.task,
              queue: isOne ? queue : record.task.queue,
              id: outside(record.task.id),
              dependsOn: each(record.task.dependsOn, outside)
            },
            waitsFor: each(record.waitsFor, outside),
            attempts: each(record.attempts, leaseOutside)
          }))
        )
      ),
    // Its requests have the ids of tasks as all queues have them.
    batches: batches && {
      ...batches,
      list: Effect.map(batches.list, (all) => all.filter(({ queue }) => queues.includes(queue)))
    },
    budgets: budgets && {
      reserve: (spending) =>
        Effect.map(budgets.reserve(spending.map(leaseOutside)), ({ budgets, lost, refused }) => ({
          budgets,
          lost: each(lost, leaseInside),
          refused: each(refused, leaseInside)
        })),
      list: Effect.map(budgets.list, (all) => all.filter(({ queue }) => queues.includes(queue))),
      set: (named, change) => within(named, budgets.set(named, change))
    },
    reviews: reviews && {
      audit: (finding) =>
        Effect.flatMap(idsHere([finding.taskId]), ({ length }) =>
          length === 0
            ? Effect.succeed({ kept: false })
            : reviews.audit({ ...finding, taskId: outside(finding.taskId) })
        ),
      decide: Effect.fnUntraced(function* (decisions) {
        const here = new Set(yield* idsHere(decisions.map(({ taskId }) => taskId)))
        const mine = decisions.map((decision) => ({ ...decision, taskId: outside(decision.taskId) }))
        const { decided, refused } = yield* reviews.decide(mine.filter(({ taskId }) => here.has(taskId)))
        const unknown = mine.flatMap(({ taskId }) => (here.has(taskId) ? [] : { taskId: inside(taskId) }))
        return {
          decided: each(decided, inside),
          refused: [...each(refused, (refusal) => ({ ...refusal, taskId: inside(refusal.taskId) })), ...unknown]
        }
      })
    },
    progress: progress && {
      save: (reports) => progress.save(reports.map(leaseOutside)),
      of: (id) => progress.of(outside(id))
    },
    concurrency: concurrency && {
      list: Effect.map(concurrency.list, (all) => all.filter(({ queue }) => queues.includes(queue))),
      set: (setting) => within(setting.queue, concurrency.set(setting))
    },
    rateShares: store.rateShares,
    pauses: pauses && {
      list: Effect.map(pauses.list, (all) => all.filter(({ queue }) => queues.includes(queue))),
      pause: (named, options) => within(named, pauses.pause(named, options)),
      resume: (named, options) => within(named, pauses.resume(named, options))
    }
  }

  function lostInside({
    lost
  }: {
    readonly lost: ReadonlyArray<Lease & { readonly status?: Task["status"] | undefined }>
  }) {
    return { lost: each(lost, leaseInside) }
  }
}
