import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type {
  ChangeReply,
  ClaimRequest,
  ClaimRow,
  LostLeaseRow,
  Notification,
  SelectionRow,
  TaskStoreDriver
} from "@baton/core/TaskStoreDriver"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Address from "./address.ts"
import type { Connection, Options } from "./connection.ts"
import * as Encoding from "./encoding.ts"
import { makeBatches } from "./batches.ts"
import * as Adding from "./lua/adding.ts"
import * as Administration from "./lua/administration.ts"
import * as Budgets from "./lua/budgets.ts"
import * as Claiming from "./lua/claiming.ts"
import * as Leases from "./lua/leases.ts"
import * as Pauses from "./lua/pauses.ts"
import * as Progress from "./lua/progress.ts"
import * as Reading from "./lua/reading.ts"
import * as Reviews from "./lua/reviews.ts"
import * as Settling from "./lua/settling.ts"
import * as Sweeping from "./lua/sweeping.ts"

/** Each transition is one script; they are in `lua`, by subject. */
export const make = (connection: Connection, { address, keys, prefix, sender }: Options): TaskStoreDriver => {
  const { run } = connection

  /** Fails claimed tasks that cannot be read, so that they do not hold up the others or the end of a run. */
  const setAside = (queue: string, ids: ReadonlyArray<string>) =>
    Effect.andThen(
      run(Claiming.fail, [queue, ...ids], () => undefined),
      Effect.logWarning("Tasks cannot be read. They are in the dead-letter queue.").pipe(
        Effect.annotateLogs({ store: prefix, tasks: ids.join(", ") })
      )
    )

  /** Claims again at once when more tasks have become due than one call moves. */
  const claim = (request: ClaimRequest): Effect.Effect<ReadonlyArray<ClaimRow>, TaskStoreError> => {
    const { call, leaseMillis, limit, maxPerKey, owner, queue, started, unanswered } = request
    const numbers = [String(leaseMillis), callText(call), String(started), String(maxPerKey)]
    const words = [queue, String(limit), owner, ...numbers, ...unanswered.map(callText)]
    return Effect.flatMap(
      run(Claiming.claim, words, (reply) => (reply === "again" ? undefined : Encoding.claimRows(reply))),
      (claims) => {
        if (claims === undefined) return claim(request)
        const { damaged, rows } = claims
        return damaged.length === 0 ? Effect.succeed(rows) : Effect.as(setAside(queue, damaged), rows)
      }
    )
  }

  return {
    place: `The store "${prefix}" on ${Address.show(address)}`,

    concurrencyKeys: true,

    // A script holds up every client of the server, and adds about 20,000 tasks a second.
    limits: { added: 1000 },

    add: (tasks, { checkOnly }) =>
      run(Adding.add, [checkOnly ? "check" : "add", ...Encoding.addArguments(tasks)], (reply) => {
        const [existing, conflicts, different, unknown] = Encoding.array(reply)
        return {
          existing: Encoding.texts(existing),
          conflicts: Encoding.texts(conflicts),
          different: Encoding.texts(different),
          unknown: Encoding.groups(unknown, 2, ([id, dependency]) => ({
            id: Encoding.text(id),
            dependency: Encoding.text(dependency)
          }))
        }
      }),

    claim,

    checkpoint: (checkpoints) =>
      run(
        Leases.checkpoint,
        checkpoints.flatMap(({ execution, executionUsage, id, token, usage }) => [
          id,
          String(token),
          Encoding.savedExecution(execution, executionUsage),
          usage ?? ""
        ]),
        lostLeases
      ),

    settle: (settlements) => run(Settling.settle, Encoding.settleArguments(settlements), lostLeases),

    extend: (leases, leaseMillis) =>
      run(Leases.extend, [String(leaseMillis), ...leases.flatMap(({ id, token }) => [id, String(token)])], lostLeases),

    start: (leases) =>
      run(
        Leases.start,
        leases.flatMap(({ id, token }) => [id, String(token)]),
        lostLeases
      ),

    sweep: ({ failFromAttempts, limit, message, notStarted, queue }) =>
      run(
        Sweeping.sweep,
        [
          queue,
          String(failFromAttempts),
          String(limit),
          message.beforeOwner,
          message.afterOwner,
          String(notStarted.attemptsReturned),
          notStarted.message.beforeOwner,
          notStarted.message.afterOwner
        ],
        (reply) =>
          Encoding.groups(reply, 6, ([id, token, status, owner, attempts, started]) => ({
            id,
            token,
            status,
            owner,
            attempts,
            started
          }))
      ),

    // Sent together, because the client pipelines requests of the same time.
    get: (ids) =>
      Effect.map(
        Effect.forEach(
          ids,
          (id) => run(Reading.get, [id], (reply) => (reply === null ? [] : [Encoding.taskRow(reply)])),
          { concurrency: 100 }
        ),
        (rows) => rows.flat()
      ),

    list: ({ after, limit, queue, results, status }) =>
      run(Reading.list, [status ?? "", queue ?? "", String(after), String(limit), results ? "1" : "0"], (reply) =>
        Encoding.array(reply).map(Encoding.taskRow)
      ),

    attempts: (id) =>
      run(Reading.attempts, [id], (reply) => {
        if (reply === null) return []
        const [line, ledger] = Encoding.array(reply)
        return Encoding.attemptRows(line, ledger)
      }),

    counts: run(Reading.counts, [], (reply) =>
      Encoding.array(reply).map((row) => {
        const [queue, pending, in_progress, in_review, completed, failed, cancelled, waiting, usage] =
          Encoding.array(row)
        const counts = { queue, pending, in_progress, in_review, completed, failed, cancelled, waiting }
        return Object.assign(counts, Encoding.usageSum(usage))
      })
    ),

    workers: run(Reading.workers, [], (reply) =>
      Encoding.array(reply).map((row) => {
        const [queue, owner, running, claimed, startedAt, leaseEndsInMillis] = Encoding.array(row)
        return { queue, owner, running, claimed, startedAt, leaseEndsInMillis }
      })
    ),

    requeue: (selection, { from }) => run(Administration.requeue, selectionArguments(selection, from), changeReply),

    revise: (revisions, { from }) =>
      run(
        Administration.revise,
        [` ${from.join(" ")} `, ...revisions.flatMap(Encoding.revisionArguments)],
        Encoding.texts
      ),

    failWaiting: (ids, { feedback, from }) =>
      run(Administration.failWaiting, [feedback, ...selectionArguments({ ids }, from)], Encoding.texts),

    cancel: (selection, { from, reason }) =>
      run(Administration.cancel, [reason, ...selectionArguments(selection, from)], changeReply),

    prune: (selection, { from, unchangedMillis }) =>
      run(
        Administration.prune,
        [String(unchangedMillis ?? -1e16), ...selectionArguments(selection, from)],
        changeReply
      ),

    outlook: (queue, maxPerKey) =>
      run(Reading.outlook, [queue, String(maxPerKey)], (reply) => {
        const [dueInMillis, drained, ...control] = Encoding.array(reply)
        return { dueInMillis, drained, ...controlRow(control) }
      }),

    control: run(Reading.control, [], (reply) => controlRow(Encoding.array(reply))),

    request: (request) => run(Administration.request, [request], (reply) => controlRow(Encoding.array(reply))),

    dump: ({ after, limit, queue }) =>
      run(Reading.dump, [String(after), String(limit), queue ?? ""], (reply) =>
        Encoding.array(reply).map(Encoding.recordRow)
      ),

    restore: (records) => run(Adding.restore, records.flatMap(Encoding.restoreArguments), Encoding.texts),

    decide: (decisions) => run(Reviews.decide, decisions.flatMap(Encoding.decisionArguments), lostLeases),

    amend: ({ before, id, token, verification }) =>
      run(Reviews.amend, [id, String(token), before, verification], (reply) => reply === 1),

    pauses: {
      list: run(Pauses.listPauses, [], (reply) => Encoding.array(reply).map(Encoding.pauseRow)),
      set: ({ cause, queue, reason, until }) =>
        run(Pauses.setPause, [queue, cause, until === null ? "-" : String(until), reason], Encoding.pauseRow),
      remove: (queue, revision) =>
        run(Pauses.removePause, [queue, revision === null ? "" : String(revision)], (reply) => reply === 1)
    },

    progress: {
      save: (rows) =>
        run(
          Progress.saveProgress,
          rows.flatMap(({ id, text, token }) => [id, String(token), text]),
          () => undefined
        ),
      read: (id) => run(Progress.readProgress, [id], (reply) => reply)
    },

    texts: {
      read: (name) => run(Administration.readText, [name], (reply) => reply),
      write: ({ before, isControl, name, text }) =>
        run(Administration.writeText, [name, text, before ?? "", isControl ? "1" : "0"], (reply) => reply === 1)
    },

    budgets: {
      reserve: (spending) =>
        run(Budgets.reserve, spending.flatMap(Encoding.spendingArguments), (reply) => {
          const [lost = null, refused = null, budgets = null] = Encoding.array(reply)
          return {
            lost: lostLeases(lost),
            refused: Encoding.array(refused).map(Encoding.number),
            budgets: Encoding.array(budgets).map(Encoding.budgetRow)
          }
        }),
      list: run(Budgets.listBudgets, [], (reply) => Encoding.array(reply).map(Encoding.budgetRow)),
      set: (queue, { committed, limitNanoUsd, limitTokens }) => {
        const limit = (value: number | null | undefined) => (value === undefined ? "" : String(value ?? "-"))
        const amounts = committed === undefined ? ["", ""] : [String(committed.nanoUsd), String(committed.tokens)]
        return run(Budgets.setBudget, [queue, limit(limitNanoUsd), limit(limitTokens), ...amounts], Encoding.budgetRow)
      }
    },

    batches: makeBatches(connection),

    notifications: {
      changes: changes(connection, keys.channel, sender),
      // The scripts make everything else known.
      publish: (kinds) => (kinds.includes("settled") ? run(Settling.publishSettled, [], () => undefined) : Effect.void),
      pollInterval: { listening: Duration.seconds(3), disconnected: Duration.seconds(2) },
      rest: Duration.millis(10)
    }
  }
}

/** A call is in the attempt of each task that it claims, so its text is short. */
const callText = (call: number): string => call.toString(36)

const lostLeases = (reply: Encoding.Reply): ReadonlyArray<LostLeaseRow> =>
  Encoding.groups(reply, 3, ([index, status, outcome]) => ({ index: Encoding.number(index), status, outcome }))

const selectionArguments = (selection: SelectionRow, from: ReadonlyArray<string>): ReadonlyArray<string> => [
  ` ${from.join(" ")} `,
  ...("ids" in selection
    ? ["ids", ...selection.ids]
    : ["status", selection.status, selection.queue ?? "", String(selection.after), String(selection.limit)])
]

const changeReply = (reply: Encoding.Reply): ChangeReply => {
  const [last, ids, interrupted = 0] = Encoding.array(reply)
  return {
    ids: Encoding.texts(ids),
    interrupted: Encoding.number(interrupted),
    last: last === null ? null : Encoding.number(last)
  }
}

/** A store without tasks has no control state yet. */
const controlRow = ([revision, paused, stops]: ReadonlyArray<Encoding.Reply>) => ({
  revision: revision ?? 0,
  paused: paused ?? 0,
  stops: stops ?? 0
})

/** How often the server is asked whether a connection on which nothing arrives still exists. */
const pingInterval = "10 seconds"

/**
 * The notifications of other processes, on a separate connection. Scripts publish them as `<sender> <kind> <delay>`; those
 * of this store are left out, because its own fibers are woken without the way through the server.
 */
const changes = (
  connection: Connection,
  channel: string,
  sender: string
): Stream.Stream<Notification, TaskStoreError> =>
  Stream.callback<Notification, TaskStoreError>(
    Effect.fnUntraced(function* (queue: Queue.Queue<Notification, TaskStoreError | Cause.Done>) {
      const client = yield* connection.another
      client.once("terminated", () => Queue.endUnsafe(queue))
      const onMessage = (message: string) => {
        const [from, kind, delay] = message.split(" ")
        if (from === sender || (kind !== "work" && kind !== "control" && kind !== "settled")) return
        Queue.offerUnsafe(queue, { kind, delayMillis: Number(delay) || 0 })
      }
      yield* connection.ask(client, () => client.subscribe(channel, onMessage))
      Queue.offerUnsafe(queue, { kind: "listening" })
      return yield* Effect.sleep(pingInterval).pipe(
        Effect.andThen(connection.ask(client, () => client.ping())),
        Effect.forever
      )
    })
  )
