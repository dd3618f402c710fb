/** Keeps what is on the screen up to date with the events of the server. */
import type { QueryClient } from "@tanstack/react-query"
import * as Schema from "effect/Schema"
import { useSyncExternalStore } from "react"
import { type Connection, listen } from "./events.ts"
import * as Model from "./schema.ts"

/** Views are refreshed at most this often. */
const refreshMillis = 400

const decodeChanged = Schema.decodeUnknownOption(Schema.fromJsonString(Model.Changed))

let connection: Connection = "connecting"
const observers = new Set<() => void>()
const pageObservers = new Set<() => void>()

const setConnection = (next: Connection): void => {
  if (next === connection) return
  connection = next
  for (const observer of observers) observer()
}

const subscribe = (observer: () => void) => {
  observers.add(observer)
  return () => {
    observers.delete(observer)
  }
}

export const useConnection = (): Connection => useSyncExternalStore(subscribe, () => connection)

/** Calls back when tasks may have changed. Lists of tasks refresh only what is visible. */
export const onTasksChanged = (observer: () => void): (() => void) => {
  pageObservers.add(observer)
  return () => {
    pageObservers.delete(observer)
  }
}

/** Applies the counts of an event to those that are known. */
export const merge = (known: Model.Queues, { control, queues, removed }: Model.Changed): Model.Queues => {
  const merged = new Map(known.queues.map((queue) => [queue.queue, queue]))
  for (const queue of queues) merged.set(queue.queue, queue)
  for (const queue of removed) merged.delete(queue)
  const sorted = Array.from(merged.values()).sort((a, b) => (a.queue < b.queue ? -1 : 1))
  return { ...known, control, queues: sorted }
}

/** Refreshes tasks and failures; `all` also reads the counts again. */
const refresh = (client: QueryClient, all: boolean): void => {
  void client.invalidateQueries({
    predicate: ({ queryKey }) =>
      queryKey[0] !== "pages" && queryKey[0] !== "output" && (all || queryKey[0] !== "queues")
  })
  for (const observer of pageObservers) observer()
}

/** Connects the cache to the server. Returns the function that disconnects it. */
export const start = (client: QueryClient): (() => void) => {
  const stop = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  let isFirst = true
  let refreshedAt = 0
  const soon = () => {
    timer ??= setTimeout(
      () => {
        timer = undefined
        refreshedAt = Date.now()
        refresh(client, false)
      },
      Math.max(0, refreshedAt + refreshMillis - Date.now())
    )
  }
  void listen(
    {
      onConnection: (next) => {
        setConnection(next)
        // What happened while the page was not connected is unknown.
        if (next === "live" && !isFirst) refresh(client, true)
        if (next === "live") isFirst = false
      },
      onEvent: (name, data) => {
        if (name === "reload") return refresh(client, true)
        if (name !== "changed") return
        const changed = decodeChanged(data)
        if (changed._tag === "None") return refresh(client, true)
        client.setQueryData<Model.Queues>(["queues"], (known) => known && merge(known, changed.value))
        soon()
      }
    },
    stop.signal
  )
  return () => {
    clearTimeout(timer)
    stop.abort()
  }
}
