import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type { Client, Connection } from "./connection.ts"
import * as Hints from "./hints.ts"

/** What writers tell of, this process's and all others. */
export interface Changes {
  /** Something may be claimable, expired or drained. */
  readonly work: Hints.Hints
  /** The control state may have another revision. */
  readonly control: Hints.Hints
  /** Begins to listen, when the first one waits: who never does needs no connection for it. */
  readonly listen: Effect.Effect<void>
  /** Whether others are heard at the moment. */
  readonly isListening: () => boolean
}

/** How often a connection on which nothing comes is asked if it is still there. */
const pingInterval = "10 seconds"

/** Before connecting again after a connection that worked and then broke. */
const pause = "50 millis"

/** As long as it takes: without it workers still find their work, a little later. */
const reconnect = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/**
 * Listens on the channel, on a connection of its own, for as long as the scope lasts. What comes there is a hint: whoever
 * waits also looks from time to time.
 */
export const make = Effect.fnUntraced(function* (
  connection: Connection,
  channel: string,
  self: string
): Effect.fn.Return<Changes, never, Scope.Scope> {
  const work = yield* Hints.make
  const control = yield* Hints.make
  let listening = false

  const onMessage = (message: string) => {
    const [sender, kind, delay] = message.split(" ")
    // The writer itself has hinted already, without the way through the server.
    if (sender === self) return
    if (kind === "work") work.hint(Number(delay) || 0)
    if (kind === "control") control.hint(0)
  }

  const hear = Effect.gen(function* () {
    const client = yield* connection.another
    const closed = Deferred.makeUnsafe<void>()
    client.once("terminated", () => Deferred.doneUnsafe(closed, Effect.void))
    yield* connection.ask(client, () => client.subscribe(channel, onMessage))
    listening = true
    // What was said while nobody listened.
    work.hint(0)
    control.hint(0)
    yield* Effect.raceFirst(Deferred.await(closed), Effect.ignore(ping(connection, client)))
  }).pipe(
    Effect.scoped,
    Effect.onExit(() =>
      Effect.sync(() => {
        listening = false
      })
    )
  )
  const scope = yield* Effect.scope
  const listen = yield* hear.pipe(
    Effect.retry(reconnect),
    Effect.andThen(Effect.sleep(pause)),
    Effect.forever,
    Effect.forkIn(scope),
    Effect.asVoid,
    Effect.cached
  )
  return { work, control, listen, isListening: () => listening }
})

const ping = (connection: Connection, client: Client): Effect.Effect<never, TaskStoreError> =>
  Effect.sleep(pingInterval).pipe(Effect.andThen(connection.ask(client, () => client.ping())), Effect.forever)
