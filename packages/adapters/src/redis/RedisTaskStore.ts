/**
 * A task store in Redis 7, for any number of workers on any number of machines.
 *
 * Every transition is one script that the server runs as one step, for a whole batch of tasks. Leases and delays go by the
 * server's clock. All keys of a store carry one hash tag, so that a cluster keeps them on one node, and none of them
 * expires.
 *
 * **What the server has to be set to**
 *
 * A store promises that what it has taken is durable, and Redis keeps that promise only if it is told to:
 *
 * - `appendonly yes`. Without it, a crash of Redis loses everything since its last snapshot; the store warns of that.
 * - `appendfsync everysec` (its default) survives a crash of Redis, and loses the last second when the machine crashes:
 *   tasks added in it are gone, attempts that ended in it are made again, and a token given out in it can be given out
 *   once more. `appendfsync always` loses nothing, at the price of a flush of the disk per write.
 * - `maxmemory-policy noeviction` (its default). A server that drops keys (`allkeys-*`) is refused.
 * - A failover to a replica loses what had not reached it: `min-replicas-to-write 1` with a small `min-replicas-max-lag`
 *   bounds that.
 *
 * **What is sent again**
 *
 * When a connection breaks, nobody knows whether the command under way was carried out, so nothing is sent again behind the
 * caller's back: the call fails as `Unavailable`. Running the same `settle` effect again is safe: the ledger has a mark of
 * the call, so that what it did the first time is not reported as a lost lease. What a `claim` has taken whose reply got lost
 * is what the next claim of this owner brings, without another attempt being counted.
 *
 * It uses `@redis/client`, the core of the npm package `redis`. The `NodeRedis` of `@effect/platform-node` is a layer over
 * the same client, but it logs every broken connection with its stack trace, beside the sentence that the store fails with;
 * it keeps commands back while it reconnects; and it waits for the last reply when it closes, which over a connection that
 * is half open never comes.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import type { Diagnosis } from "@baton/core/Diagnosis"
import type { TaskId } from "@baton/core/Task"
import * as TaskRecord from "@baton/core/TaskRecord"
import {
  type Control,
  type FencedReply,
  type PruneOptions,
  type Selection,
  type Settlement,
  type SweepOptions,
  type SweptTask,
  TaskStore,
  type WorkSignal
} from "@baton/core/TaskStore"
import type { TasksRefused, TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../internal/diagnosing.ts"
import * as Address from "./internal/address.ts"
import * as Admission from "./internal/admission.ts"
import * as Batches from "./internal/batches.ts"
import * as Changes from "./internal/changes.ts"
import * as Claiming from "./internal/claiming.ts"
import * as Connection from "./internal/connection.ts"
import * as Diagnose from "./internal/diagnose.ts"
import * as Errors from "./internal/errors.ts"
import type { Look } from "./internal/hints.ts"
import * as Keys from "./internal/keys.ts"
import * as Replies from "./internal/replies.ts"
import * as Rows from "./internal/rows.ts"
import * as Scripts from "./internal/scripts.ts"
import { settlementParameters } from "./internal/settlements.ts"
import * as Texts from "./internal/texts.ts"

/**
 * @category configuration
 * @since 0.1.0
 */
export interface Options {
  /**
   * Where the store is: `redis://USER:PASSWORD@HOST:6379/0`, with `rediss:` for TLS. The number of the database and
   * `?prefix=NAME` can follow. No message ever shows the password.
   */
  readonly url: string | Redacted.Redacted
  /** What the names of all keys begin with, between braces. Default: that of the URL, or `baton`. */
  readonly prefix?: string | undefined
  /** Fail if there is no store yet. It is there once tasks were added. Default: false. */
  readonly mustExist?: boolean | undefined
  /** How long a connection may take to come about. Default: 5 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** How long the server may take to answer. Default: 10 seconds; it should be shorter than a lease. */
  readonly commandTimeout?: Duration.Input | undefined
}

/**
 * The defaults.
 *
 * @category configuration
 * @since 0.1.0
 */
export const defaults = {
  prefix: "baton",
  mustExist: false,
  connectTimeout: Duration.seconds(5),
  commandTimeout: Duration.seconds(10)
} as const satisfies Omit<Options, "url">

/**
 * A store in Redis, connected for as long as the layer lives. Fails with a `TaskStoreError` of one sentence, which has no
 * password in it, when the server cannot be reached, refuses the user, would drop keys, or has something else where the store should be.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.effect(TaskStore, make(options))

/** How often whoever waits looks without having been told to. Two wait in a worker: for tasks, and for requests. */
const poll = { listening: Duration.toMillis("3 seconds"), deaf: Duration.toMillis("2 seconds") }

/** A ledger is read token by token; a record that pretends to have lost so many attempts would keep the server busy. */
const mostLostAttempts = 10_000

/** What the options come to. */
const resolve = (options: Options): Result.Result<Omit<Connection.Options, "sender">, TaskStoreError> =>
  Result.flatMap(
    Address.parse(Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url),
    (address) => {
      const prefix = options.prefix ?? address.prefix ?? defaults.prefix
      return /^[^{}]{1,200}$/.test(prefix)
        ? Result.succeed({
            address,
            prefix,
            keys: Keys.make(prefix),
            connectTimeoutMillis: Duration.toMillis(options.connectTimeout ?? defaults.connectTimeout),
            commandTimeoutMillis: Duration.toMillis(options.commandTimeout ?? defaults.commandTimeout)
          })
        : Result.fail(Errors.unusable("The prefix of a Redis store is a name of 1 to 200 characters without braces."))
    }
  )

/**
 * The store without its layer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<TaskStore["Service"], TaskStoreError, Scope.Scope> {
  const connecting = yield* Effect.fromResult(resolve(options))
  const { address, keys, prefix } = connecting
  // Not from `Random`: it can be seeded, and two stores must not take each other's changes for their own.
  const sender = randomUUID().slice(0, 8)
  const connection = yield* Connection.make({ ...connecting, sender })
  const { run } = connection
  const exists = yield* run(Scripts.open, [], (reply) => reply === 1)
  if (options.mustExist === true && !exists) {
    return yield* Errors.unusable(Errors.missing(prefix, Address.show(address)))
  }
  const changes = yield* Changes.make(connection, keys.channel, sender)
  const untilPoll = () => (changes.isListening() ? poll.listening : poll.deaf)

  /** Scripts that write answer first in how many milliseconds there may be work. */
  const write: Claiming.Write = (script, parameters, read) =>
    run(script, parameters, (reply) => {
      const [wake, ...rest] = Replies.array(reply)
      const inMillis = Replies.number(wake)
      if (inMillis >= 0) changes.work.hint(inMillis)
      return read(rest)
    })

  let calls = 0
  const nextMark = () => `${sender}.${(calls++).toString(36)}`

  const claim = Claiming.make(write, nextMark)

  const settle = (settlements: ReadonlyArray<Settlement>): Effect.Effect<FencedReply, TaskStoreError> => {
    const mark = nextMark()
    let inDoubt = false
    return Effect.suspend(() =>
      Batches.fenced(settlements, (chunk) =>
        write(Scripts.settle, [mark, inDoubt ? "1" : "0", ...chunk.flatMap(settlementParameters)], identity)
      )
    ).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          inDoubt = true
        })
      )
    )
  }

  const sweep = Effect.fnUntraced(function* ({
    maxAttempts,
    onCrash
  }: SweepOptions): Effect.fn.Return<ReadonlyArray<SweptTask>, TaskStoreError> {
    const limit = onCrash === "dead-letter" ? 0 : maxAttempts
    const swept: Array<SweptTask> = []
    while (true) {
      const some = yield* write(Scripts.sweep, [String(limit), String(Batches.chunkSize)], (replies) =>
        Replies.grouped(replies, 5).map(Rows.sweptTask)
      )
      for (const task of some) swept.push(task)
      if (some.length < Batches.chunkSize) return swept
    }
  })

  /** The ids of the selected tasks that a script changed. */
  const change = (script: Scripts.Script, selection: Selection): Effect.Effect<ReadonlyArray<TaskId>, TaskStoreError> =>
    Batches.selected(selection, (parameters) =>
      write(script, parameters, ([next, ...changed]) => ({
        next: Replies.text(next),
        done: changed.map((key) => Texts.id(Replies.text(key)))
      }))
    )

  const prune = ({ ids, olderThan, statuses }: PruneOptions): Effect.Effect<number, TaskStoreError> => {
    const limits = [` ${statuses.join(" ")} `, olderThan === undefined ? "-1e16" : Texts.duration(olderThan)]
    const selections: ReadonlyArray<Selection> = ids === undefined ? statuses.map((status) => ({ status })) : [{ ids }]
    return Effect.map(
      Effect.forEach(selections, (selection) =>
        Batches.selected(selection, (parameters) =>
          write(Scripts.prune, [...limits, ...parameters], ([next, deleted]) => ({
            next: Replies.text(next),
            done: [Replies.number(deleted)]
          }))
        )
      ),
      (deleted) => deleted.flat().reduce((total, count) => total + count, 0)
    )
  }

  const outlook = (untilDrained: boolean): Effect.Effect<Look<WorkSignal>, TaskStoreError> =>
    run(Scripts.outlook, [untilDrained ? "1" : "0"], (reply) => {
      const found = Replies.number(reply)
      if (found === -2) return { seen: "drained" }
      if (found === 0) return { seen: "claimable" }
      return { again: found < 0 ? Infinity : found }
    })

  const control = run(Scripts.control, [], (reply) => Rows.control(Replies.array(reply)))

  const restore = Effect.fnUntraced(function* (
    records: ReadonlyArray<TaskRecord.TaskRecord>
  ): Effect.fn.Return<void, TaskStoreError | TasksRefused> {
    yield* Effect.fromResult(TaskRecord.validate(records, () => false))
    const odd = records.find(({ attempts, token }) => token - attempts.length > mostLostAttempts)
    if (odd !== undefined) {
      const id = JSON.stringify(odd.task.id)
      return yield* Errors.unusable(
        `The record of task ${id} cannot be restored, because most of its attempts are missing.`
      )
    }
    const existing = yield* write(Scripts.restore, records.flatMap(Rows.recordParameters), ([existing]) =>
      Replies.array(existing).map((index) => records[Replies.number(index)]?.task.id)
    )
    yield* Effect.fromResult(TaskRecord.validate(records, (id) => existing.includes(id)))
  })

  return {
    add: (tasks) =>
      Admission.add(tasks, (mode, parameters) =>
        write(Scripts.add, [mode, ...parameters], ([existing, refusals]) => Admission.readAnswer(existing, refusals))
      ),

    claim,

    checkpoint: (checkpoints) =>
      Batches.fenced(checkpoints, (chunk) =>
        write(
          Scripts.checkpoint,
          chunk.flatMap(({ execution, taskId, token, usage }) => [
            Texts.key(taskId),
            String(token),
            Texts.json(execution),
            Texts.json(usage)
          ]),
          identity
        )
      ),

    settle,

    extend: (leases, lease) =>
      Batches.fenced(leases, (chunk) =>
        write(
          Scripts.extend,
          [Texts.duration(lease), ...chunk.flatMap(({ taskId, token }) => [Texts.key(taskId), String(token)])],
          identity
        )
      ),

    sweep,

    get: (id) =>
      run(Scripts.get, [Texts.key(id)], (reply) =>
        Option.map(Option.fromNullishOr(reply), (found) => Rows.task(found).task)
      ),

    list: (query = {}) =>
      Effect.map(
        Batches.page(query, (after, limit) =>
          run(Scripts.list, [query.status ?? "", after, limit], (reply) => Replies.array(reply).map(Rows.task))
        ),
        ({ items, next }) => ({ tasks: items.map(({ task }) => task), next })
      ),

    attempts: (id) =>
      run(Scripts.attempts, [Texts.key(id)], (reply) => (reply === null ? [] : Rows.attempts(id, reply))),

    counts: run(Scripts.counts, [], Rows.counts),

    requeue: (selection) => change(Scripts.requeue, selection),

    cancel: (selection) =>
      Effect.tap(change(Scripts.cancel, selection), (cancelled) =>
        Effect.sync(() => {
          if (cancelled.length > 0) changes.control.hint(0)
        })
      ),

    prune,

    awaitWork: ({ untilDrained }) =>
      Effect.andThen(changes.listen, changes.work.watch(outlook(untilDrained), untilPoll)),

    control,

    request: (asked) =>
      Effect.tap(
        write(Scripts.request, [asked], Rows.control),
        Effect.sync(() => changes.control.hint(0))
      ),

    awaitControl: (revision) => {
      const look = Effect.map(control, (found): Look<Control> =>
        found.revision === revision ? { again: Infinity } : { seen: found }
      )
      return Effect.andThen(changes.listen, changes.control.watch(look, untilPoll))
    },

    dump: (query = {}) =>
      Effect.map(
        Batches.page(query, (after, limit) =>
          run(Scripts.dump, [after, limit], (reply) => Replies.array(reply).map(Rows.record))
        ),
        ({ items, next }) => ({ records: items.map(({ record }) => record), next })
      ),

    restore
  }
})

/**
 * Looks at the server, at what it is set to, and at the store on it, and says what would be in the way of a run, or of what
 * the store promises. Writes nothing.
 *
 * @category diagnosing
 * @since 0.1.0
 */
export const diagnose = (options: Options): Effect.Effect<ReadonlyArray<Diagnosis>> =>
  Result.match(resolve(options), {
    onFailure: (error) => Effect.succeed([Diagnosing.fromError("address", error)]),
    onSuccess: Diagnose.diagnose
  })
