import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as QueuePause from "../../QueuePause.ts"
import type { ControlRequest } from "../../TaskStore.ts"
import {
  budgetRow,
  type ChangeReply,
  type LeaseRow,
  type LostLeaseRow,
  type NewTaskRow,
  type ProgressRow,
  type RecordRow,
  type SelectionRow,
  type TaskRow,
  type TaskStoreDriver
} from "../../TaskStoreDriver.ts"
import { attemptsOf, isLeased, type LeasedRow, type Row } from "./row.ts"
import * as Batches from "./batches.ts"
import * as Budgets from "./budgets.ts"
import * as Pauses from "./pauses.ts"
import * as Table from "./table.ts"
import * as Transitions from "./transitions.ts"
import * as Workers from "./workers.ts"

/** A driver over a table in memory. */
export interface MemoryDriver extends TaskStoreDriver {
  readonly isPaused: () => boolean
  /** Resets the pause after a failed write, with a new revision. */
  readonly resetPaused: (paused: boolean) => void
}

/** Each operation is one synchronous step, so it is atomic among fibers and costs no effect per task. */
export const make = Effect.fnUntraced(function* (
  table: Table.Table,
  options: { readonly paused: boolean } = { paused: false }
): Effect.fn.Return<MemoryDriver> {
  const clock = yield* Clock.Clock
  // Greater than those of pauses that were written before: a revision identifies a pause.
  const revision = Math.max(0, ...Array.from(table.pauses.values(), (pause) => pause.revision))
  let control = { revision, paused: options.paused, stops: 0 }

  /** Runs a write for each row whose lease is current, and returns the other leases. */
  const underLeases = <A extends LeaseRow>(
    leases: ReadonlyArray<A>,
    write: (row: LeasedRow, lease: A, index: number) => void
  ) => {
    const lost: Array<LostLeaseRow> = []
    for (let index = 0; index < leases.length; index++) {
      const lease = leases[index]
      if (lease === undefined) continue
      const row = Table.leased(table, lease)
      if (row === undefined) lost.push({ index, status: table.byId.get(lease.id)?.task.status ?? null, outcome: null })
      else write(row, lease, index)
    }
    return lost
  }

  /** The progress of attempts, by task. */
  const progress = new Map<string, ProgressRow>()
  /** For as long as this process. */
  const texts = new Map<string, string>()

  const change = (changed: Partial<typeof control>) => {
    control = { ...control, ...changed, revision: control.revision + 1 }
    return control
  }

  const requests: { readonly [Request in ControlRequest]: () => typeof control } = {
    pause: () => change({ paused: true }),
    resume: () => change({ paused: false }),
    stop: () => change({ stops: control.stops + 1 })
  }

  /** Acts on the selected rows whose status is one of `from`. */
  const changeSelected = (
    selection: SelectionRow,
    from: ReadonlyArray<string>,
    act: (rows: ReadonlyArray<Row>) => ReadonlyArray<Row>
  ): ChangeReply => {
    const { last, rows } = Table.select(table, selection)
    const chosen = rows.filter(({ task }) => from.includes(task.status))
    const interrupted = chosen.filter(isLeased).length
    return { ids: act(chosen).map(({ task }) => task.id), interrupted, last }
  }

  return {
    place: "The store in memory",
    limits: { rows: Infinity, selected: Infinity, characters: Infinity },
    concurrencyKeys: true,

    add: (tasks, { checkOnly }) =>
      Effect.sync(() => {
        const ids = new Set(tasks.some(({ dependencies }) => dependencies.length > 0) ? tasks.map(({ id }) => id) : [])
        const existing: Array<string> = []
        const conflicts: Array<string> = []
        const different: Array<string> = []
        const unknown: Array<{ readonly id: string; readonly dependency: string }> = []
        const fresh: Array<(typeof tasks)[number]> = []
        for (const added of tasks) {
          const row = table.byId.get(added.id)
          if (row === undefined) {
            fresh.push(added)
            for (const dependency of added.dependencies) {
              if (!table.byId.has(dependency) && !ids.has(dependency)) unknown.push({ id: added.id, dependency })
            }
          } else {
            existing.push(added.id)
            if (!isSameWork(row, added)) conflicts.push(added.id)
            else if (!hasSameDetails(row, added)) different.push(added.id)
          }
        }
        if (!checkOnly && conflicts.length === 0 && unknown.length === 0) {
          const now = clock.currentTimeMillisUnsafe()
          for (const added of fresh) Transitions.add(table, added, now)
        }
        return { existing, conflicts, different, unknown }
      }),

    claim: (request) => Effect.sync(() => Transitions.claim(table, request, clock.currentTimeMillisUnsafe())),

    checkpoint: (checkpoints) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return underLeases(checkpoints, (row, saved) => Transitions.checkpoint(table, row, saved, now))
      }),

    settle: (settlements) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return underLeases(settlements, (row, settlement) => Transitions.settle(table, row, settlement, now))
      }),

    start: (leases) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return underLeases(leases, (row) => Transitions.start(table, row, now))
      }),

    decide: (decisions) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return decisions.flatMap((decision, index) =>
          Transitions.decide(table, decision, now)
            ? []
            : { index, status: table.byId.get(decision.id)?.task.status ?? null, outcome: null }
        )
      }),

    amend: (amendment) => Effect.sync(() => Transitions.amend(table, amendment)),

    extend: (leases, leaseMillis) =>
      Effect.sync(() => {
        const end = clock.currentTimeMillisUnsafe() + leaseMillis
        return underLeases(leases, (row) => Table.extend(table, row, end))
      }),

    sweep: (request) => Effect.sync(() => Transitions.sweep(table, request, clock.currentTimeMillisUnsafe())),

    get: (ids) =>
      Effect.sync(() =>
        ids.flatMap((id) => {
          const row = table.byId.get(id)
          return row === undefined ? [] : taskRow(row)
        })
      ),

    list: (page) => Effect.sync(() => Table.page(table, page).map(taskRow)),

    attempts: (id) =>
      Effect.sync(() => {
        const row = table.byId.get(id)
        return row === undefined ? [] : attemptsOf(row)
      }),

    counts: Effect.sync(() =>
      Array.from(table.queues, ([queue, { counts, usage }]) => ({ queue, ...counts, ...usage })).filter(hasTasks)
    ),

    workers: Effect.sync(() => {
      const now = clock.currentTimeMillisUnsafe()
      return Array.from(table.queues, ([queue, { leases }]) => Workers.of(queue, leases.members, now)).flat()
    }),

    requeue: (selection, { from }) =>
      Effect.sync(() =>
        changeSelected(selection, from, (rows) => {
          const now = clock.currentTimeMillisUnsafe()
          for (const row of rows) Transitions.requeue(table, row, now)
          return rows
        })
      ),

    revise: (revisions, { from }) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return revisions.flatMap((revision) => {
          const row = table.byId.get(revision.id)
          if (row === undefined || !from.includes(row.task.status)) return []
          if (revision.token !== null && revision.token !== row.task.token) return []
          Transitions.revise(table, row, revision, now)
          return revision.id
        })
      }),

    failWaiting: (ids, { feedback, from }) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        return ids.flatMap((id) => {
          const row = table.byId.get(id)
          if (row === undefined || row.waitsFor.size === 0 || !from.includes(row.task.status)) return []
          Transitions.failWaiting(table, row, feedback, now)
          return id
        })
      }),

    cancel: (selection, { from, reason }) =>
      Effect.sync(() => {
        const reply = changeSelected(selection, from, (rows) => {
          const now = clock.currentTimeMillisUnsafe()
          for (const row of rows) Transitions.cancel(table, row, reason, now)
          return rows
        })
        if (reply.interrupted > 0) change({})
        return reply
      }),

    prune: (selection, { from, unchangedMillis }) =>
      Effect.sync(() =>
        changeSelected(selection, from, (rows) => {
          const latest = clock.currentTimeMillisUnsafe() - (unchangedMillis ?? -Infinity)
          const gone = new Set(rows.filter((row) => row.task.updatedAt <= latest && !Table.isAwaited(table, row)))
          Table.drop(table, gone)
          return Array.from(gone)
        })
      ),

    outlook: (queue, maxPerKey) =>
      Effect.sync(() => {
        const now = clock.currentTimeMillisUnsafe()
        const lines = Table.linesOf(table, queue)
        Table.promote(lines, now)
        const { in_progress, pending, waiting } = lines.counts
        const claimable = lines.ready.peek(maxPerKey) === undefined ? (lines.delayed.peek()?.due ?? Infinity) : now
        const pause = table.pauses.get(queue)
        const paused = pause === undefined ? -Infinity : QueuePause.endOf(pause)
        const due = Math.min(Math.max(claimable, paused), lines.leases.peek()?.due ?? Infinity)
        return {
          dueInMillis: due === Infinity ? null : due - now,
          drained: in_progress === 0 && pending === waiting,
          ...control
        }
      }),

    control: Effect.sync(() => control),

    request: (request) => Effect.sync(() => requests[request]()),

    dump: (page) => Effect.sync(() => Table.page(table, { ...page, status: null }).map(recordRow)),

    restore: (records) =>
      Effect.sync(() => {
        const present = records.flatMap(({ id }) => (table.byId.has(id) ? id : []))
        if (present.length > 0) return present
        const now = clock.currentTimeMillisUnsafe()
        for (const record of records) Transitions.restore(table, record, now)
        return present
      }),

    budgets: {
      reserve: (spending) =>
        Effect.sync(() => {
          const blocked = new Set<string>()
          const refused: Array<number> = []
          const queues = new Set<string>()
          const lost = underLeases(spending, (row, each, index) => {
            queues.add(row.task.queue)
            if (!Budgets.reserve(table, row, each, blocked)) refused.push(index)
          })
          const budgets = Array.from(queues).flatMap((queue) => table.budgets.get(queue) ?? [])
          return { lost, refused, budgets: budgets.map(budgetRow) }
        }),
      list: Effect.sync(() => Array.from(table.budgets.values(), budgetRow)),
      set: (queue, changed) =>
        Effect.sync(() => {
          const budget = Budgets.set(table, queue, changed)
          change({})
          return budgetRow(budget)
        })
    },

    pauses: {
      list: Effect.sync(() => Array.from(table.pauses.values())),
      set: (changed) => Effect.sync(() => Pauses.set(table, changed, change({}).revision)),
      remove: (queue, revision) =>
        Effect.sync(() => {
          const isRemoved = Pauses.remove(table, queue, revision)
          if (isRemoved) change({})
          return isRemoved
        })
    },

    progress: {
      save: (rows) =>
        Effect.sync(() => {
          for (const [id, row] of progress) if (Table.leased(table, row) === undefined) progress.delete(id)
          underLeases(rows, (_, row) => progress.set(row.id, row))
        }),
      read: (id) =>
        Effect.sync(() => {
          const row = progress.get(id)
          return row === undefined || Table.leased(table, row) === undefined ? null : row.text
        })
    },

    texts: {
      read: (name) => Effect.sync(() => texts.get(name) ?? null),
      write: ({ before, isControl, name, text }) =>
        Effect.sync(() => {
          if ((texts.get(name) ?? null) !== before) return false
          texts.set(name, text)
          if (isControl) change({})
          return true
        })
    },

    batches: {
      begin: (batch, requests) =>
        Effect.sync(() => Batches.begin(table, batch, requests, clock.currentTimeMillisUnsafe())),
      created: (run, id) => Effect.sync(() => Batches.created(table, run, id)),
      find: (keys) => Effect.sync(() => Batches.find(table, keys)),
      take: (requests) => Effect.sync(() => Batches.take(table, requests)),
      unanswered: (run) => Effect.sync(() => Batches.unanswered(table, run)),
      record: (run, answers) => Effect.sync(() => Batches.record(table, run, answers)),
      drop: (run) => Effect.sync(() => Batches.drop(table, run)),
      end: (run) => Effect.sync(() => Batches.end(table, run)),
      list: Effect.sync(() => Batches.list(table)),
      prune: (ageMillis) => Effect.sync(() => Batches.prune(table, clock.currentTimeMillisUnsafe() - ageMillis))
    },

    isPaused: () => control.paused,

    resetPaused: (paused) => {
      if (control.paused !== paused) change({ paused })
    }
  }
})

const isSameWork = ({ task }: Row, { description, payload, queue }: NewTaskRow) =>
  task.queue === queue && task.payload === payload && (payload !== null || task.description === description)

const hasSameDetails = ({ task }: Row, added: NewTaskRow) =>
  task.description === added.description &&
  task.metadata === added.metadata &&
  task.overrides === added.overrides &&
  task.priority === added.priority &&
  task.concurrencyKey === added.concurrencyKey &&
  task.dependsOn === added.dependsOn

/** A queue whose tasks were pruned is no longer one. */
const hasTasks = ({ cancelled, completed, failed, in_progress, in_review, pending }: Omit<Table.Counts, "waiting">) =>
  pending + in_progress + in_review + completed + failed + cancelled > 0

const taskRow = (row: Row): TaskRow => (isLeased(row) ? { ...row.task, startedAt: row.startedAt } : row.task)

/** Everything that is known of a row. */
export const recordRow = (row: Row): RecordRow => ({
  ...row.task,
  startedAt: isLeased(row) ? row.startedAt : null,
  leaseUntil: isLeased(row) ? Math.min(row.due, 8.64e15) : null,
  waitsFor: Array.from(row.waitsFor),
  attemptRows: attemptsOf(row)
})
