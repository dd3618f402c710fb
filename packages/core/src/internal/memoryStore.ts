import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as TaskRecord from "../TaskRecord.ts"
import type { Control, ControlRequest, Lease, LostLease, TaskStore, WorkSignal } from "../TaskStore.ts"
import { TasksRefused } from "../TaskStoreError.ts"
import { admit } from "./memory/admission.ts"
import * as Bell from "./memory/bell.ts"
import * as Ledger from "./memory/ledger.ts"
import { page } from "./memory/page.ts"
import type { HeldRow } from "./memory/row.ts"
import * as Table from "./memory/table.ts"
import * as Transitions from "./memory/transitions.ts"

/** A store whose contents can be kept elsewhere. */
export interface Memory {
  readonly store: TaskStore["Service"]
  readonly table: Table.Table
  readonly isPaused: () => boolean
  /** Says that the contents are no longer what they were, but what they were before. */
  readonly changedBack: (paused: boolean) => void
}

/** A store with nothing in it. */
export const make: Effect.Effect<TaskStore["Service"]> = Effect.suspend(() =>
  Effect.map(over(Table.make(), { paused: false }), ({ store }) => store)
)

/** Every operation is one synchronous step, which makes it atomic among fibers and spares the hot path an effect per task. */
export const over = Effect.fnUntraced(function* (
  table: Table.Table,
  { paused }: { readonly paused: boolean }
): Effect.fn.Return<Memory> {
  const clock = yield* Clock.Clock
  let control: Control = { revision: 0, paused, stops: 0 }
  const worked = Bell.make()
  const controlled = Bell.make()

  const readClock = (): Transitions.Now => {
    const millis = clock.currentTimeMillisUnsafe()
    return { millis, at: DateTime.makeUnsafe(millis) }
  }

  /** Does `write` for the rows whose lease is current, and reports the other leases. */
  const fenced = <A extends Lease>(leases: ReadonlyArray<A>, write: (row: HeldRow, lease: A) => void) => {
    const lost: Array<LostLease> = []
    for (const lease of leases) {
      const row = Table.held(table, lease)
      if (row === undefined) {
        const status = table.byId.get(lease.taskId)?.task.status ?? null
        lost.push({ taskId: lease.taskId, token: lease.token, status })
      } else {
        write(row, lease)
      }
    }
    return { lost }
  }

  const signal = (untilDrained: boolean, now: number): WorkSignal | undefined => {
    const lease = table.leases.peek()
    if (table.ready.peek() !== undefined || (lease !== undefined && lease.due <= now)) return "claimable"
    const { in_progress, pending, waiting } = table.counts
    return untilDrained && in_progress === 0 && pending === waiting ? "drained" : undefined
  }

  const awaitWork = (untilDrained: boolean): Effect.Effect<WorkSignal> =>
    Effect.suspend(() => {
      const now = clock.currentTimeMillisUnsafe()
      Table.promote(table, now)
      const found = signal(untilDrained, now)
      if (found !== undefined) return Effect.succeed(found)
      const due = Math.min(table.delayed.peek()?.due ?? Infinity, table.leases.peek()?.due ?? Infinity)
      const rung = worked.next()
      const woken = due === Infinity ? rung : Effect.raceFirst(rung, clock.sleep(Duration.millis(due - now)))
      return Effect.andThen(woken, awaitWork(untilDrained))
    })

  const changeControl = (changed: Partial<Control>) => {
    control = { ...control, ...changed, revision: control.revision + 1 }
    controlled.ring()
    return control
  }

  const awaitControl = (revision: number): Effect.Effect<Control> =>
    Effect.suspend(() =>
      control.revision === revision
        ? Effect.andThen(controlled.next(), awaitControl(revision))
        : Effect.succeed(control)
    )

  const requests: { readonly [Request in ControlRequest]: () => Control } = {
    pause: () => changeControl({ paused: true }),
    resume: () => changeControl({ paused: false }),
    stop: () => changeControl({ stops: control.stops + 1 })
  }

  const store: TaskStore["Service"] = {
    add: (tasks) =>
      Effect.suspend(() => {
        const { existing, fresh, refusals } = admit(table, tasks)
        if (isReadonlyArrayNonEmpty(refusals)) return Effect.fail(new TasksRefused({ refusals }))
        const now = readClock()
        for (const task of fresh.values()) Transitions.add(table, task, now)
        worked.ring()
        return Effect.succeed({ added: Array.from(fresh.keys()), existing })
      }),

    claim: (options) => Effect.sync(() => Transitions.claim(table, options, readClock())),

    checkpoint: (checkpoints) =>
      Effect.sync(() => {
        const now = readClock()
        return fenced(checkpoints, (row, saved) => Transitions.checkpoint(table, row, saved, now))
      }),

    settle: (settlements) =>
      Effect.sync(() => {
        const now = readClock()
        const reply = fenced(settlements, (row, settlement) => Transitions.settle(table, row, settlement, now))
        worked.ring()
        return reply
      }),

    extend: (leases, lease) =>
      Effect.sync(() => {
        const end = clock.currentTimeMillisUnsafe() + Duration.toMillis(lease)
        const reply = fenced(leases, (row) => Table.extend(table, row, end))
        // A lease can also be extended to an earlier end than it had.
        worked.ring()
        return reply
      }),

    // Nobody has to be woken here: who waits has woken at the lease's end.
    sweep: (options) => Effect.sync(() => Transitions.sweep(table, options, readClock())),

    get: (id) => Effect.sync(() => Option.fromNullishOr(table.byId.get(id)?.task)),

    list: (query) =>
      Effect.suspend(() =>
        Effect.map(page(table, query ?? {}), ({ next, rows }) => ({ tasks: rows.map(({ task }) => task), next }))
      ),

    attempts: (id) =>
      Effect.sync(() => {
        const row = table.byId.get(id)
        return row === undefined ? [] : Ledger.read(row)
      }),

    counts: Effect.sync(() => ({ ...table.counts })),

    requeue: (selection) =>
      Effect.sync(() => {
        const now = readClock()
        const changed = Table.select(table, selection).filter((row) => Transitions.requeue(table, row, now))
        if (changed.length > 0) worked.ring()
        return changed.map((row) => row.task.id)
      }),

    cancel: (selection) =>
      Effect.sync(() => {
        const now = readClock()
        let interrupts = false
        const changed = Table.select(table, selection).filter((row) => {
          const cancelled = Transitions.cancel(table, row, now)
          interrupts ||= cancelled === "running"
          return cancelled !== "unchanged"
        })
        if (changed.length > 0) worked.ring()
        if (interrupts) changeControl({})
        return changed.map((row) => row.task.id)
      }),

    prune: (options) =>
      Effect.sync(() => {
        const latest =
          options.olderThan === undefined
            ? Infinity
            : clock.currentTimeMillisUnsafe() - Duration.toMillis(options.olderThan)
        const statuses: ReadonlyArray<string> = options.statuses
        const candidates = options.ids === undefined ? table.rows : Table.select(table, { ids: options.ids })
        const gone = new Set(
          candidates.filter(({ task }) => statuses.includes(task.status) && task.updatedAt.epochMilliseconds <= latest)
        )
        Table.drop(table, gone)
        return gone.size
      }),

    awaitWork: (options) => awaitWork(options.untilDrained),
    control: Effect.sync(() => control),
    request: (request) => Effect.sync(() => requests[request]()),
    awaitControl,

    dump: (query) =>
      Effect.suspend(() =>
        Effect.map(page(table, query ?? {}), ({ next, rows }) => ({ records: rows.map(Ledger.record), next }))
      ),

    restore: (records) =>
      Effect.suspend(() => {
        const valid = TaskRecord.validate(records, (id) => table.byId.has(id))
        if (Result.isFailure(valid)) return Effect.fail(valid.failure)
        const now = readClock()
        for (const record of records) Transitions.restore(table, record, now)
        worked.ring()
        return Effect.void
      })
  }

  return {
    store,
    table,
    isPaused: () => control.paused,
    changedBack: (paused) => {
      if (control.paused !== paused) changeControl({ paused })
      worked.ring()
    }
  }
})
