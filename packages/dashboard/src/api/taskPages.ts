/** A list of tasks that is loaded page by page, and refreshed only where it is visible. */
import { type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query"
import { useCallback, useEffect, useMemo, useRef } from "react"
import * as Client from "./client.ts"
import { onTasksChanged } from "./live.ts"
import type { TaskItem, TaskPage } from "../schema.ts"

type Cursor = string | undefined
type Pages = InfiniteData<TaskPage, Cursor>

const none: ReadonlyArray<TaskItem> = []

/**
 * The tasks of all pages. A page that is read again can contain the first tasks of the next page, because tasks left the
 * filter; they are shown once.
 */
export const flatten = ({ pageParams, pages }: InfiniteData<TaskPage, unknown>): ReadonlyArray<TaskItem> => {
  // Pages that end where the next one begins have nothing in common. Most do, and looking at ids takes time in long lists.
  if (pages.every(({ next }, index) => index === pages.length - 1 || next === pageParams[index + 1])) {
    return pages.flatMap((page) => page.tasks)
  }
  const tasks = new Map<string, TaskItem>()
  for (const page of pages) for (const task of page.tasks) if (!tasks.has(task.id)) tasks.set(task.id, task)
  return Array.from(tasks.values())
}

/** The pages that contain the rows from `first` to `last`, and the last page, to which new tasks are added. */
export const pagesOfRows = (pages: ReadonlyArray<TaskPage>, first: number, last: number): ReadonlyArray<number> => {
  const wanted: Array<number> = []
  let start = 0
  for (const [index, page] of pages.entries()) {
    const end = start + page.tasks.length
    const isVisible = start <= last && end > first
    if (isVisible || (index === pages.length - 1 && page.next === undefined)) wanted.push(index)
    start = end
  }
  return wanted
}

export const useTaskPages = (filter: Client.TaskFilter) => {
  const client = useQueryClient()
  const queryKey = useMemo(
    () => ["pages", filter.queue ?? "", filter.status ?? "", filter.text ?? ""],
    [filter.queue, filter.status, filter.text]
  )
  const query = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => Client.tasks(filter, pageParam, signal),
    initialPageParam: undefined as Cursor,
    getNextPageParam: (page: TaskPage): Cursor => page.next,
    staleTime: Infinity,
    gcTime: 60_000
  })
  const visible = useRef({ first: 0, last: 0 })
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = query

  const refresh = useCallback(async () => {
    const pages = client.getQueryData<Pages>(queryKey)
    if (pages === undefined) return
    for (const index of pagesOfRows(pages.pages, visible.current.first, visible.current.last)) {
      const cursor = pages.pageParams[index]
      // If a page cannot be read now, the next event refreshes it.
      const page = await Client.tasks(filter, cursor).catch(() => undefined)
      if (page === undefined) return
      client.setQueryData<Pages>(queryKey, (known) => {
        const first = index === 0 ? page : known?.pages[0]
        if (known === undefined || first === undefined || known.pageParams[index] !== cursor) return known
        // The first page has the number of tasks that is shown.
        return { ...known, pages: known.pages.with(index, page).with(0, { ...first, total: page.total }) }
      })
    }
  }, [client, filter, queryKey])

  // A list that is shown again was not refreshed in between.
  useEffect(() => {
    void refresh()
    return onTasksChanged((queues) => {
      if (filter.queue === undefined || queues === undefined || queues.has(filter.queue)) void refresh()
    })
  }, [filter.queue, refresh])

  /** Notes which rows are visible, and loads more when the last one is near. */
  const onVisible = useCallback(
    (first: number, last: number, loaded: number) => {
      visible.current = { first, last }
      if (hasNextPage && !isFetchingNextPage && last >= loaded - 100) void fetchNextPage()
    },
    [fetchNextPage, hasNextPage, isFetchingNextPage]
  )

  const tasks = useMemo(() => (query.data === undefined ? none : flatten(query.data)), [query.data])
  return { ...query, tasks, total: query.data?.pages[0]?.total ?? null, onVisible }
}
