/**
 * What changes in the store, for any number of clients. One fiber reads the store while there are clients, after each
 * known change and at an interval, so that the number of clients costs the store nothing. A client that does not read its events loses them and receives `reload`.
 */
import { TaskStore } from "@baton/core/TaskStore"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Model from "./model.ts"
import { Event } from "./model.ts"
import * as Overview from "./overview.ts"

export class Events extends Context.Service<
  Events,
  {
    /** The events sent to one client. The client is forgotten when the scope ends. */
    readonly subscribe: Effect.Effect<Stream.Stream<Uint8Array>, never, Scope.Scope>
    /** The version of what clients know of. What is read after it has changed contains all changes that clients know of. */
    readonly version: () => number
    /** Notes that a client has changed something, and knows it before the next event. */
    readonly changed: Effect.Effect<void>
  }
>()("@baton/adapters/http/Events") {}

interface Subscriber {
  readonly queue: Queue.Queue<Event>
  /** Whether it has received the state of all queues. */
  isNew: boolean
  /** Whether it lost events and has not been told so. */
  lost: boolean
}

interface State {
  readonly queues: ReadonlyMap<string, Model.Queue>
  readonly control: Model.Control
}

/** Some changes of other processes are not made known. */
const pollInterval = Duration.millis(750)

/** Between two looks, so that the changes of a busy run are few events. */
const rest = Duration.millis(500)

/** Events that wait for a client that reads slowly. */
const capacity = 16

/** Proxies close connections on which nothing is sent. */
const keepAlive = Duration.seconds(15)

/** For as long as it takes: the store of an open page comes back. */
const reconnect = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")])

const reload: Event = { event: "reload", data: {} }

export const layer: Layer.Layer<Events, never, TaskStore> = Layer.effect(
  Events,
  Effect.gen(function* () {
    const store = yield* TaskStore
    const subscribers = new Set<Subscriber>()
    /** Open while there are subscribers. */
    const isWatched = Latch.makeUnsafe(false)
    /** Open when a subscriber is new. */
    const isAwaited = Latch.makeUnsafe(false)

    let last: State | undefined
    let version = 0
    /** The number of changes that the store knows of, and whether it has grown since the last look. */
    let known = 0
    let hasGrown = false

    const readState = Effect.map(Overview.read(store), ({ control, queues }): State => ({
      queues: new Map(queues.map((queue) => [queue.queue, queue])),
      control
    }))

    const offer = (subscriber: Subscriber, event: Event) => {
      if (subscriber.lost && !Queue.offerUnsafe(subscriber.queue, reload)) return
      subscriber.lost = !Queue.offerUnsafe(subscriber.queue, event)
    }

    const publish = (state: State) => {
      const all = { queues: [...state.queues.values()], removed: [], control: state.control }
      const changes = last === undefined ? all : changesSince(last, state, hasGrown)
      for (const subscriber of subscribers) {
        if (subscriber.isNew) {
          subscriber.isNew = false
          offer(subscriber, { event: "changed", data: all })
        } else if (changes !== undefined) offer(subscriber, { event: "changed", data: changes })
        else if (subscriber.lost && Queue.offerUnsafe(subscriber.queue, reload)) subscriber.lost = false
      }
    }

    const look = Effect.gen(function* () {
      if (last === undefined) known = yield* store.awaitChange(-1)
      const state = yield* readState
      version++
      publish(state)
      hasGrown = false
      last = subscribers.size === 0 ? undefined : state
    }).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          last = undefined
          for (const subscriber of subscribers) subscriber.lost = true
        }).pipe(
          Effect.andThen(Effect.logDebug("The store could not be read; trying again", error.message)),
          Effect.annotateLogs({ module: "http" })
        )
      ),
      Effect.retry(reconnect)
    )

    const untilChanged = Effect.suspend(() =>
      Effect.map(store.awaitChange(known), (changes) => {
        known = changes
        hasGrown = true
      })
    )
    const untilDue = Effect.raceFirst(untilChanged, Effect.sleep(Duration.subtract(pollInterval, rest)))

    yield* isWatched.await.pipe(
      Effect.andThen(Effect.sync(() => isAwaited.closeUnsafe())),
      Effect.andThen(look),
      Effect.andThen(Effect.raceFirst(isAwaited.await, Effect.andThen(Effect.sleep(rest), untilDue))),
      Effect.forever,
      Effect.forkScoped
    )

    const subscriber = Effect.acquireRelease(
      Effect.gen(function* () {
        const queue = yield* Queue.dropping<Event>(capacity)
        const subscriber: Subscriber = { queue, isNew: true, lost: false }
        subscribers.add(subscriber)
        isWatched.openUnsafe()
        isAwaited.openUnsafe()
        return subscriber
      }),
      (subscriber) =>
        Effect.sync(() => {
          subscribers.delete(subscriber)
          if (subscribers.size === 0) isWatched.closeUnsafe()
        })
    )

    return Events.of({
      version: () => version,
      changed: Effect.sync(() => {
        version++
      }),
      subscribe: Effect.map(subscriber, ({ queue }) =>
        Stream.fromQueue(queue).pipe(
          Stream.mapEffect((event) => Effect.orDie(encode(event))),
          Stream.merge(
            Stream.map(Stream.tick(keepAlive), () => ": \n\n"),
            { haltStrategy: "left" }
          ),
          Stream.encodeText
        )
      )
    })
  })
)

const encodeEvent = Schema.encodeEffect(Event)

const encode = (event: Event) =>
  Effect.map(encodeEvent(event), ({ data, event }) => `event: ${event}\ndata: ${data}\n\n`)

/** The queues whose counts changed. Other changes are within tasks. */
const changesSince = (before: State, state: State, hasGrown: boolean) => {
  const queues = Array.from(state.queues.values()).filter(
    (counts) => !Equal.equals(before.queues.get(counts.queue), counts)
  )
  const removed = Array.from(before.queues.keys()).filter((queue) => !state.queues.has(queue))
  const isSame = queues.length === 0 && removed.length === 0 && Equal.equals(before.control, state.control)
  if (isSame && !hasGrown) return undefined
  return { queues, removed, control: state.control }
}
