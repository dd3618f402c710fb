import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Control, ControlRequest, TaskStore, WorkSignal } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Database } from "./database.ts"
import { controlColumns, type Names } from "./names.ts"
import * as Rows from "./rows.ts"
import type { Signals } from "./signals.ts"

/** How long a change by another process can stay unseen, in milliseconds, where notifications arrive and where not. */
const poll = { listening: 5_000, deaf: 1_250 } as const

/** Others are at work on what looked claimable a moment ago, and could not be claimed. */
const breather = 20

export const statements = ({ control, levels, tasks }: Names) => {
  const millisFromNow = (time: string) => `(extract(epoch FROM ${time} - now()) * 1000)::float8`
  return {
    control: `SELECT ${controlColumns} FROM ${control}`,

    /**
     * All that anybody waits for. `due`: when the next task becomes claimable or the next lease ends, in milliseconds from
     * now and null for never; not after now when there is something to claim or to sweep.
     */
    outlook: `
      WITH RECURSIVE ${levels},
      next (at) AS (
        SELECT coalesce(
          (SELECT now() FROM levels l CROSS JOIN LATERAL (
             SELECT FROM ${tasks} t
             WHERE t.status = 'pending' AND t.blockers = 0 AND t.priority = l.priority AND t.available_at <= now() LIMIT 1
           ) claimable LIMIT 1),
          (SELECT min(earliest.available_at) FROM levels l CROSS JOIN LATERAL (
             SELECT t.available_at FROM ${tasks} t
             WHERE t.status = 'pending' AND t.blockers = 0 AND t.priority = l.priority ORDER BY t.available_at LIMIT 1
           ) earliest)
        )
      ),
      lease (until) AS (
        SELECT (SELECT lease_until FROM ${tasks} WHERE status = 'in_progress' ORDER BY lease_until LIMIT 1)
      )
      SELECT ${millisFromNow("least(next.at, lease.until)")} AS due, next.at IS NULL AND lease.until IS NULL AS drained,
        ${controlColumns}
      FROM next, lease, ${control}`,

    request: {
      pause: `UPDATE ${control} SET revision = revision + 1, paused = true RETURNING ${controlColumns}`,
      resume: `UPDATE ${control} SET revision = revision + 1, paused = false RETURNING ${controlColumns}`,
      stop: `UPDATE ${control} SET revision = revision + 1, stops = stops + 1 RETURNING ${controlColumns}`
    } satisfies { readonly [Request in ControlRequest]: string }
  }
}

interface Outlook {
  readonly due: number
  readonly drained: boolean
}

export interface Waiting extends Pick<TaskStore["Service"], "awaitWork" | "control" | "request" | "awaitControl"> {
  /** To be told how many tasks a claim brought. */
  readonly claimed: (count: number) => void
  /** Whether the last claim found nothing to claim. */
  readonly isDry: () => boolean
}

export const make = (db: Database, names: Names, signals: Signals): Waiting => {
  const sql = statements(names)
  let dry = false
  /** What was seen last of the requests, and when: by whoever looked, so that two who wait do not look twice. */
  let seen = { revision: -1, at: -Infinity }

  const pollInterval = () => (signals.isListening() ? poll.listening : poll.deaf)

  const notice = (control: Control): Effect.Effect<Control> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const changed = seen.revision !== control.revision
      seen = { revision: control.revision, at: now }
      if (changed) signals.control.ring()
      return control
    })

  const look: Effect.Effect<Outlook, TaskStoreError> = Effect.flatMap(
    db.run(sql.outlook, [], ([row = {}]) => ({
      outlook: { due: Rows.numberOrNull(row.due) ?? Infinity, drained: Rows.boolean(row.drained) },
      control: Rows.control(row)
    })),
    ({ control, outlook }) => Effect.as(notice(control), outlook)
  )

  const awaitWork = (untilDrained: boolean, first = true): Effect.Effect<WorkSignal, TaskStoreError> =>
    Effect.suspend(() => {
      const rung = signals.work.next()
      return Effect.flatMap(look, ({ drained, due }) => {
        // A worker that claimed in vain just now would be back at once: another process has these rows locked.
        const contended = due <= 0 && dry && first
        if (due <= 0 && !contended) return Effect.succeed("claimable" as const)
        if (drained && untilDrained) return Effect.succeed("drained" as const)
        const pause = contended ? breather : Math.min(due, pollInterval())
        return Effect.andThen(Effect.raceFirst(rung, Effect.sleep(pause)), awaitWork(untilDrained, false))
      })
    })

  const control = Effect.flatMap(
    db.run(sql.control, [], ([row = {}]) => Rows.control(row)),
    notice
  )

  /** Until nobody has looked for so long that somebody should; who looks for work leaves no need to. */
  const untilUnseen: Effect.Effect<void> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const left = seen.at + pollInterval() * 1.1 - now
    return left > 0 ? Effect.andThen(Effect.sleep(left), untilUnseen) : Effect.void
  })

  const awaitControl = (revision: number): Effect.Effect<Control, TaskStoreError> =>
    Effect.suspend(() => {
      const rung = signals.control.next()
      return Effect.flatMap(control, (found) =>
        found.revision === revision
          ? Effect.andThen(Effect.raceFirst(rung, untilUnseen), awaitControl(revision))
          : Effect.succeed(found)
      )
    })

  return {
    awaitWork: (options) => awaitWork(options.untilDrained),
    control,
    request: (request) =>
      Effect.tap(
        db.run(sql.request[request], [], ([row = {}]) => Rows.control(row)),
        () => Effect.sync(() => signals.tell("control"))
      ),
    awaitControl,
    claimed: (count) => {
      dry = count === 0
    },
    isDry: () => dry
  }
}
