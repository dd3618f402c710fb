import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { TaskStore } from "../../TaskStore.ts"

type Store = TaskStore["Service"]

interface Connection {
  readonly store: Store
  readonly scope: Scope.Closeable
}

/** How a case uses its place. */
export interface Use {
  /** How many connections are open at the same time; operations take turns. */
  readonly connections: number
  /**
   * Closes and opens connections after this many writes, and then after four writes more each time, so that a case of many
   * writes does not consist of reopening; 0 for never. An odd number begins with all connections, an even one with one of
   * them; then both take turns.
   */
  readonly reopenAfterWrites: number
  /** Whether the connections may be closed while tasks are in progress: leases last longer than a connection. */
  readonly keepsLeases: boolean
}

/** Opens a store, for as long as the scope lasts. */
export const open = (layer: Layer.Layer<TaskStore, unknown>): Effect.Effect<Store, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), Context.get(TaskStore))

/**
 * A store that is closed and opened again between operations, and whose operations go through several connections in
 * turn, as if several processes made them. A store that keeps its promises behaves as with one connection.
 */
export const make = Effect.fnUntraced(function* (
  layer: Layer.Layer<TaskStore, unknown>,
  use: Use
): Effect.fn.Return<Store, unknown, Scope.Scope> {
  const scope = yield* Effect.scope
  const opening = Semaphore.makeUnsafe(1)
  let connections: ReadonlyArray<Connection> = []
  let inFlight = 0
  let operations = 0
  let writes = 0
  let reopenings = 0

  const connect = Effect.gen(function* () {
    const own = yield* Scope.fork(scope)
    const store = yield* Effect.provideService(open(layer), Scope.Scope, own)
    return { store, scope: own }
  })

  const connectAll = Effect.map(
    Effect.forEach(
      Array.from({ length: use.connections }, (_, index) => index),
      () => connect
    ),
    (opened) => {
      connections = opened
    }
  )

  const reopen = Effect.gen(function* () {
    const isAll = (use.reopenAfterWrites + reopenings) % 2 === 1
    const one = isAll ? undefined : connections[reopenings % connections.length]
    for (const each of one === undefined ? connections : [one]) yield* Scope.close(each.scope, Exit.void)
    writes = 0
    reopenings++
    if (one === undefined) return yield* connectAll
    const opened = yield* connect
    connections = connections.map((each) => (each === one ? opened : each))
  })

  const isDue = Effect.suspend(() => {
    const [first] = connections
    if (first === undefined || use.reopenAfterWrites === 0 || inFlight > 0) return Effect.succeed(false)
    if (writes < use.reopenAfterWrites + 4 * reopenings) return Effect.succeed(false)
    return use.keepsLeases
      ? Effect.succeed(true)
      : Effect.map(first.store.counts, ({ in_progress }) => in_progress === 0)
  })

  const connection = opening.withPermits(1)(
    Effect.gen(function* () {
      if (yield* isDue) yield* reopen
      const next = connections[operations++ % connections.length]
      inFlight++
      return next ?? (yield* Effect.die(new Error("The store is closed.")))
    })
  )

  const run = <A, E>(operation: (store: Store) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.orDie(connection),
      ({ store }) => operation(store),
      () =>
        Effect.sync(() => {
          inFlight--
        })
    )

  const write = <A, E>(operation: (store: Store) => Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.tap(run(operation), () =>
      Effect.sync(() => {
        writes++
      })
    )

  yield* connectAll
  const hasReviews = connections.every(({ store }) => store.reviews !== undefined)
  const hasPauses = connections.every(({ store }) => store.pauses !== undefined)
  const hasProgress = connections.every(({ store }) => store.progress !== undefined)
  const hasConcurrency = connections.every(({ store }) => store.concurrency !== undefined)
  const hasRateShares = connections.every(({ store }) => store.rateShares !== undefined)
  const hasBatches = connections.every(({ store }) => store.batches !== undefined)
  const hasBudgets = connections.every(({ store }) => store.budgets !== undefined)
  return {
    add: (tasks) => write((store) => store.add(tasks)),
    claim: (options) => write((store) => store.claim(options)),
    checkpoint: (checkpoints) => write((store) => store.checkpoint(checkpoints)),
    start: (leases) => write((store) => store.start(leases)),
    settle: (settlements) => write((store) => store.settle(settlements)),
    extend: (leases, lease) => write((store) => store.extend(leases, lease)),
    sweep: (options) => write((store) => store.sweep(options)),
    get: (id) => run((store) => store.get(id)),
    awaitSettled: (id) => run((store) => store.awaitSettled(id)),
    list: (query) => run((store) => store.list(query)),
    attempts: (id) => run((store) => store.attempts(id)),
    counts: run((store) => store.counts),
    queues: run((store) => store.queues),
    workers: run((store) => store.workers),
    requeue: (selection) => write((store) => store.requeue(selection)),
    failWaiting: (ids, reason) => write((store) => store.failWaiting(ids, reason)),
    revise: (revisions, options) => write((store) => store.revise(revisions, options)),
    cancel: (selection) => write((store) => store.cancel(selection)),
    prune: (options) => write((store) => store.prune(options)),
    awaitWork: (options) => run((store) => store.awaitWork(options)),
    control: run((store) => store.control),
    request: (request) => write((store) => store.request(request)),
    awaitControl: (revision) => run((store) => store.awaitControl(revision)),
    awaitChange: (seen) => run((store) => store.awaitChange(seen)),
    dump: (query) => run((store) => store.dump(query)),
    restore: (records) => write((store) => store.restore(records)),
    rateShares: hasRateShares
      ? {
          report: (account, member) =>
            write((store) => Effect.flatMap(rateSharesOf(store), ({ report }) => report(account, member))),
          leave: (account, id) =>
            write((store) => Effect.flatMap(rateSharesOf(store), ({ leave }) => leave(account, id)))
        }
      : undefined,
    budgets: hasBudgets
      ? {
          reserve: (spending) => write((store) => Effect.flatMap(budgetsOf(store), ({ reserve }) => reserve(spending))),
          list: run((store) => Effect.flatMap(budgetsOf(store), ({ list }) => list)),
          set: (queue, change) => write((store) => Effect.flatMap(budgetsOf(store), ({ set }) => set(queue, change)))
        }
      : undefined,
    reviews: hasReviews
      ? {
          audit: (finding) => write((store) => Effect.flatMap(reviewsOf(store), ({ audit }) => audit(finding))),
          decide: (decisions) => write((store) => Effect.flatMap(reviewsOf(store), ({ decide }) => decide(decisions)))
        }
      : undefined,
    progress: hasProgress
      ? {
          save: (reports) => write((store) => Effect.flatMap(progressOf(store), ({ save }) => save(reports))),
          of: (id) => run((store) => Effect.flatMap(progressOf(store), (progress) => progress.of(id)))
        }
      : undefined,
    concurrency: hasConcurrency
      ? {
          list: run((store) => Effect.flatMap(concurrencyOf(store), ({ list }) => list)),
          set: (setting) => write((store) => Effect.flatMap(concurrencyOf(store), ({ set }) => set(setting)))
        }
      : undefined,
    pauses: hasPauses
      ? {
          list: run((store) => Effect.flatMap(pausesOf(store), ({ list }) => list)),
          pause: (queue, options) =>
            write((store) => Effect.flatMap(pausesOf(store), ({ pause }) => pause(queue, options))),
          resume: (queue, options) =>
            write((store) => Effect.flatMap(pausesOf(store), ({ resume }) => resume(queue, options)))
        }
      : undefined,
    batches: hasBatches
      ? {
          begin: (batch, requests) =>
            write((store) => Effect.flatMap(batchesOf(store), ({ begin }) => begin(batch, requests))),
          created: (run, id) => write((store) => Effect.flatMap(batchesOf(store), ({ created }) => created(run, id))),
          find: (keys) => run((store) => Effect.flatMap(batchesOf(store), ({ find }) => find(keys))),
          take: (requests) => write((store) => Effect.flatMap(batchesOf(store), ({ take }) => take(requests))),
          unanswered: (batch) =>
            run((store) => Effect.flatMap(batchesOf(store), ({ unanswered }) => unanswered(batch))),
          record: (batch, answers) =>
            write((store) => Effect.flatMap(batchesOf(store), ({ record }) => record(batch, answers))),
          drop: (batch) => write((store) => Effect.flatMap(batchesOf(store), ({ drop }) => drop(batch))),
          end: (batch) => write((store) => Effect.flatMap(batchesOf(store), ({ end }) => end(batch))),
          list: run((store) => Effect.flatMap(batchesOf(store), ({ list }) => list)),
          prune: (age) => write((store) => Effect.flatMap(batchesOf(store), ({ prune }) => prune(age)))
        }
      : undefined
  }
})

const rateSharesOf = ({ rateShares }: Store) => Effect.orDie(Effect.fromNullishOr(rateShares))

const batchesOf = ({ batches }: Store) => Effect.orDie(Effect.fromNullishOr(batches))

const reviewsOf = ({ reviews }: Store) => Effect.orDie(Effect.fromNullishOr(reviews))

const budgetsOf = ({ budgets }: Store) => Effect.orDie(Effect.fromNullishOr(budgets))

const pausesOf = ({ pauses }: Store) => Effect.orDie(Effect.fromNullishOr(pauses))

const concurrencyOf = ({ concurrency }: Store) => Effect.orDie(Effect.fromNullishOr(concurrency))

const progressOf = ({ progress }: Store) => Effect.orDie(Effect.fromNullishOr(progress))
