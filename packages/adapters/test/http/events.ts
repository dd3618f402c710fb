import type { BatonApi } from "@baton/adapters/http"
import { Effect, Queue, Stream } from "effect"
import * as Server from "./server.ts"

/** The events that the generated client receives. */
export const received = Effect.gen(function* () {
  const { client } = yield* Server.Served
  const queue = yield* Queue.unbounded<BatonApi.Event>()
  const events = yield* client.events()
  yield* Effect.forkScoped(Stream.runForEach(events, (event) => Queue.offer(queue, event)))
  return queue
})

/** Takes events until there is an expected change. */
export const untilChange = Effect.fnUntraced(function* (
  events: Queue.Dequeue<BatonApi.Event>,
  expected: (changes: BatonApi.Changes) => boolean
) {
  while (true) {
    const event = yield* Queue.take(events)
    if (event.event === "changed" && expected(event.data)) return event.data
  }
})

/** Takes events until a queue is as expected. */
export const until = (
  events: Queue.Dequeue<BatonApi.Event>,
  queue: string,
  expected: (counts: BatonApi.Queue) => boolean
) => untilChange(events, ({ queues }) => queues.some((each) => each.queue === queue && expected(each)))
