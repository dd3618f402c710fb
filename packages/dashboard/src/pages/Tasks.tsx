import { useQueryClient } from "@tanstack/react-query"
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router"
import { createColumnHelper, rowSelectionFeature, tableFeatures, useTable } from "@tanstack/react-table"
import { useWindowVirtualizer } from "@tanstack/react-virtual"
import { useCallback, useEffect, useMemo, useRef, useState } from "react"
import type { TaskFilter } from "../api/client.ts"
import { useQueues } from "../api/queries.ts"
import type { TaskItem } from "../schema.ts"
import { useTaskPages } from "../api/taskPages.ts"
import { Activity } from "../components/Activity.tsx"
import { useKeys } from "../components/keyboard.ts"
import { Command, Empty, LoadingOrFailure } from "../components/Message.tsx"
import { Plain } from "../components/Plain.tsx"
import { StatusBadge } from "../components/Status.tsx"
import { SelectionBar } from "../components/SelectionBar.tsx"
import { Ago } from "../components/Time.tsx"
import { TaskFilters } from "../components/TaskFilters.tsx"
import { cost, count, firstLine, number } from "../text/format.ts"

const route = getRouteApi("/tasks")

const features = tableFeatures({ rowSelectionFeature })
const column = createColumnHelper<typeof features, TaskItem>()

const columns = column.columns([
  column.display({
    id: "select",
    header: () => <span className="sr-only">Selected</span>,
    cell: ({ row }) => (
      <input
        type="checkbox"
        aria-label={`Select ${row.original.id}`}
        checked={row.getIsSelected()}
        onChange={row.getToggleSelectedHandler()}
      />
    )
  }),
  column.accessor("status", { header: "Status", cell: ({ row }) => <StatusBadge status={row.original.status} /> }),
  column.accessor("id", {
    header: "Task",
    cell: ({ row: { original: task } }) => (
      <>
        <Link to="/task" search={{ id: task.id }} className="task-id">
          <Plain text={task.id} />
        </Link>
        <span className="task-text">
          {task.status === "failed" && task.feedback !== undefined ? (
            <span className="task-feedback">
              <Plain text={firstLine(task.feedback.text)} />
            </span>
          ) : (
            <Plain text={firstLine(task.description.text)} />
          )}
        </span>
      </>
    )
  }),
  column.accessor("attempts", { header: "Attempts", cell: ({ row }) => number(row.original.attempts) }),
  column.display({
    id: "cost",
    header: "Cost",
    cell: ({ row: { original: task } }) =>
      task.usage === undefined ? <span className="muted">–</span> : cost(task.usage)
  }),
  column.accessor("updatedAt", { header: "Changed", cell: ({ row }) => <Ago at={row.original.updatedAt} /> })
])

/** Rows have the same height, so that the scroll bar is right before all pages are loaded. */
const rowHeight = 56

const none: ReadonlyArray<TaskItem> = []

export const TasksPage = () => {
  const search = route.useSearch()
  const navigate = useNavigate()
  const client = useQueryClient()
  const queues = useQueues()
  const filter = useMemo(
    () => ({ queue: search.queue, status: search.status, text: search.text }),
    [search.queue, search.status, search.text]
  )
  const list = useTaskPages(filter)
  const { onVisible, tasks } = list
  const [active, setActive] = useState(-1)
  const searchBox = useRef<HTMLInputElement>(null)
  const [scrollMargin, setScrollMargin] = useState(0)
  const body = useCallback((element: HTMLDivElement | null) => {
    if (element !== null) setScrollMargin(element.offsetTop)
  }, [])

  const virtualizer = useWindowVirtualizer({
    count: tasks.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin,
    scrollPaddingStart: 160,
    scrollPaddingEnd: 24
  })
  const items = virtualizer.getVirtualItems()
  const first = items[0]?.index ?? 0
  const last = items.at(-1)?.index ?? -1
  useEffect(() => onVisible(first, last, tasks.length), [first, last, onVisible, tasks.length])
  useEffect(() => setActive(-1), [filter])

  // The table gets the visible rows only, so that a refresh costs the same with 100 tasks and with 100,000.
  const data = useMemo(() => (last < first ? none : tasks.slice(first, last + 1)), [first, last, tasks])
  const table = useTable({ features, columns, data, getRowId: (task) => task.id })
  const selected = Object.keys(table.state.rowSelection)

  const move = (step: number) => {
    const next = Math.max(0, Math.min(tasks.length - 1, active + step))
    if (tasks.length === 0) return
    setActive(next)
    virtualizer.scrollToIndex(next)
  }
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    x: () => {
      const task = tasks[active]
      if (task !== undefined)
        table.setRowSelection(({ [task.id]: isSelected = false, ...rest }) =>
          isSelected ? rest : { ...rest, [task.id]: true }
        )
    },
    Enter: () => {
      const task = tasks[active]
      if (task !== undefined) void navigate({ to: "/task", search: { id: task.id } })
    },
    "/": () => searchBox.current?.focus(),
    Escape: () => {
      setActive(-1)
      table.resetRowSelection()
    }
  })

  const onFilter = useCallback(
    (next: TaskFilter) => void navigate({ to: "/tasks", search: next, replace: true }),
    [navigate]
  )

  const { total } = list
  return (
    <>
      <title>Tasks · Baton</title>
      <div className="page-head">
        <h1>Tasks</h1>
        <p className="muted" role="status">
          {list.data !== undefined &&
            (total === null ? `${number(tasks.length)}${list.hasNextPage ? "+" : ""} found` : count(total, "task"))}
        </p>
      </div>
      <TaskFilters
        filter={filter}
        queues={queues.data?.queues.map(({ queue }) => queue) ?? []}
        searchBox={searchBox}
        onChange={onFilter}
      />
      {filter.queue !== undefined && filter.status === undefined && filter.text === undefined && (
        <Activity queue={filter.queue} />
      )}
      {list.data === undefined ? (
        <LoadingOrFailure query={list} />
      ) : tasks.length === 0 ? (
        <NoTasks isFiltered={Object.values(filter).some((value) => value !== undefined)} />
      ) : (
        <div className="grid" role="table" aria-label="Tasks" aria-rowcount={total === null ? -1 : total + 1}>
          <div role="rowgroup" className="grid-head">
            {table.getHeaderGroups().map((group) => (
              <div key={group.id} role="row" className="grid-row" aria-rowindex={1}>
                {group.headers.map((header) => (
                  <div key={header.id} role="columnheader" className={`cell cell-${header.id}`}>
                    <table.FlexRender header={header} />
                  </div>
                ))}
              </div>
            ))}
          </div>
          <div ref={body} role="rowgroup" className="grid-body" style={{ height: virtualizer.getTotalSize() }}>
            {table.getRowModel().rows.map((row, position) => {
              const item = items[position]
              if (item === undefined) return null
              return (
                <div
                  key={row.id}
                  role="row"
                  className="grid-row"
                  aria-rowindex={item.index + 2}
                  data-active={item.index === active}
                  data-selected={row.getIsSelected()}
                  style={{ transform: `translateY(${item.start - scrollMargin}px)` }}
                >
                  {row.getAllCells().map((cell) => (
                    <div key={cell.id} role="cell" className={`cell cell-${cell.column.id}`}>
                      <table.FlexRender cell={cell} />
                    </div>
                  ))}
                </div>
              )
            })}
          </div>
          {list.isFetchingNextPage && <p className="loading">Loading more tasks …</p>}
        </div>
      )}
      <SelectionBar
        ids={selected}
        onDone={() => {
          table.resetRowSelection()
          void client.invalidateQueries({ queryKey: ["queues"] })
        }}
      />
      <p className="keys muted">
        <kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> open · <kbd>x</kbd> select · <kbd>/</kbd> search
      </p>
    </>
  )
}

const NoTasks = ({ isFiltered }: { readonly isFiltered: boolean }) =>
  isFiltered ? (
    <Empty title="No task matches">
      <p>
        Change the filters, or <Link to="/tasks">show all tasks</Link>. The search looks for text in ids and prompts.
      </p>
    </Empty>
  ) : (
    <Empty title="There are no tasks yet">
      <p>Run a list of prompts, one per row:</p>
      <Command>baton run prompts.csv</Command>
    </Empty>
  )
