/** Keeps the screen up to date with the events of the server. */
import type { QueryClient, QueryKey } from "@tanstack/react-query"
import * as Schema from "effect/Schema"
import { useSyncExternalStore } from "react"
import { type Connection, listen } from "./events.ts"
import * as Model from "../schema.ts"

/** Views are refreshed at most this often. */
const refreshMillis = 400

/** What is read again after each change. */
const always = ["task", "review", "execution", "executions", "settings"]

const decodeChanged = Schema.decodeUnknownOption(Schema.fromJsonString(Model.Changed))

let connection: Connection = "connecting"
const observers = new Set<() => void>()
const pageObservers = new Set<TasksObserver>()

/** Gets the queues that changed; undefined if any may have changed. */
type TasksObserver = (queues: ReadonlySet<string> | undefined) => void

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

/** Calls back when tasks may have changed. Lists of tasks refresh only their visible rows. */
export const onTasksChanged = (observer: TasksObserver): (() => void) => {
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

const isOf = (queryKey: QueryKey, ...names: ReadonlyArray<string>): boolean =>
  names.some((name) => name === queryKey[0])

/** Reads everything again that is on the screen. */
const refreshAll = (client: QueryClient): void => {
  void client.invalidateQueries({ predicate: ({ queryKey }) => !isOf(queryKey, "pages", "output") })
  for (const observer of pageObservers) observer(undefined)
}

const failedIn = (queues: ReadonlyArray<Model.Queue>): string =>
  queues.map(({ failed, queue }) => `${queue} ${failed}`).join()

/** Connects the cache to the server. Returns the function that disconnects it. */
export const start = (client: QueryClient): (() => void) => {
  const stop = new AbortController()
  const changedQueues = new Set<string>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let isFirst = true
  let refreshedAt = 0
  let failed = ""

  const refresh = () => {
    timer = undefined
    refreshedAt = Date.now()
    // The server reads all failed tasks to group them, so the groups are read only when their number changed.
    const failedNow = failedIn(client.getQueryData<Model.Queues>(["queues"])?.queues ?? [])
    const names = failed === failedNow ? always : [...always, "failures"]
    failed = failedNow
    void client.invalidateQueries({ predicate: ({ queryKey }) => isOf(queryKey, ...names) })
    for (const observer of pageObservers) observer(new Set(changedQueues))
    changedQueues.clear()
  }
  const soon = () => {
    // A hidden page reads nothing until the reader returns to it.
    if (document.hidden) return
    timer ??= setTimeout(refresh, Math.max(0, refreshedAt + refreshMillis - Date.now()))
  }
  const onVisible = () => {
    if (changedQueues.size > 0) soon()
  }
  document.addEventListener("visibilitychange", onVisible)

  void listen(
    {
      onConnection: (next) => {
        setConnection(next)
        // What happened while the page was not connected is unknown.
        if (next === "live" && !isFirst) refreshAll(client)
        if (next === "live") isFirst = false
      },
      onEvent: (name, data) => {
        if (name === "reload") return refreshAll(client)
        if (name !== "changed") return
        const changed = decodeChanged(data)
        if (changed._tag === "None") return refreshAll(client)
        client.setQueryData<Model.Queues>(["queues"], (known) => known && merge(known, changed.value))
        for (const { queue } of changed.value.queues) changedQueues.add(queue)
        for (const queue of changed.value.removed) changedQueues.add(queue)
        soon()
      }
    },
    stop.signal
  )
  return () => {
    document.removeEventListener("visibilitychange", onVisible)
    clearTimeout(timer)
    stop.abort()
  }
}
