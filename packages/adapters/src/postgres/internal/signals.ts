import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Bell from "../../internal/bell.ts"
import type { Database } from "./database.ts"
import { channel } from "./identifiers.ts"
import { int, text, texts } from "./parameters.ts"

/** What stores tell one another: that there may be something to do, or that the requests to all runs changed. */
export type Kind = "work" | "control"

const kinds = ["work", "control"] as const satisfies ReadonlyArray<Kind>

/** Wakes whoever waits in this process, on what happens here and in other processes. */
export interface Signals {
  readonly work: Bell.Bell
  readonly control: Bell.Bell
  /** Tells this process at once, and the others soon. */
  readonly tell: (kind: Kind) => void
  /** Whether notifications arrive. They are hints: what is missed by them is found by looking now and then. */
  readonly isListening: () => boolean
}

/** Under load every write is worth telling; telling so often is enough, and the server handles them one at a time. */
const breather = "20 millis"

/** For as long as it takes; jittered, because many workers lose their connections at the same time. */
const reconnect = Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))

/** Before listening again after a connection that worked and then broke. */
const pause = "100 millis"

const notify = "SELECT pg_notify($1, kind || ':' || $2) FROM unnest($3::text[]) AS x (kind)"

export const make = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  db: Database,
  options: { readonly listen: boolean; readonly instance: number }
): Effect.fn.Return<Signals, never, Scope.Scope> {
  const name = channel(db.place.schemaName)
  const bells = { work: Bell.make(), control: Bell.make() }
  const untold = new Set<Kind>()
  const telling = Latch.makeUnsafe(false)
  let listening = false

  const ringAll = () => {
    for (const kind of kinds) bells[kind].ring()
  }

  const send = Effect.suspend(() => {
    const sent = Array.from(untold)
    untold.clear()
    telling.closeUnsafe()
    if (sent.length === 0) return Effect.void
    // Not in the transaction of the write: transactions that notify commit one after the other.
    return Effect.ignore(db.run(notify, [text(name), int(options.instance), texts(sent)], () => undefined))
  })

  // What was told last must not be lost with this process: `baton add` ends right after it.
  yield* Effect.addFinalizer(() => send)
  yield* telling.await.pipe(
    Effect.andThen(Effect.uninterruptible(send)),
    Effect.andThen(Effect.sleep(breather)),
    Effect.forever,
    Effect.forkScoped
  )

  const hear = (payload: string) => {
    const [kind, sender] = payload.split(":")
    if (sender === String(options.instance)) return
    for (const known of kinds) if (known === kind) bells[known].ring()
  }

  const listen = Effect.scoped(
    Effect.gen(function* () {
      const notifications = yield* sql.listen(name)
      listening = true
      // Whatever was told while nobody listened.
      ringAll()
      yield* Queue.takeAll(notifications).pipe(
        Effect.map((heard) => {
          for (const { payload } of heard) hear(payload)
        }),
        Effect.forever,
        Effect.catch((error) =>
          Effect.logDebug("The connection for notifications was lost; connecting again", error.message).pipe(
            Effect.annotateLogs({ module: "PostgresTaskStore" })
          )
        )
      )
    })
  ).pipe(
    Effect.onExit(() =>
      Effect.sync(() => {
        listening = false
        ringAll()
      })
    )
  )

  if (options.listen) {
    yield* listen.pipe(Effect.retry(reconnect), Effect.andThen(Effect.sleep(pause)), Effect.forever, Effect.forkScoped)
  }

  return {
    ...bells,
    tell: (kind) => {
      bells[kind].ring()
      untold.add(kind)
      telling.openUnsafe()
    },
    isListening: () => listening
  }
})
