import { type RefObject, useEffect, useState } from "react"
import type { TaskFilter } from "../api/client.ts"
import { Search } from "./icons.tsx"
import { statusName } from "./Status.tsx"

const statuses = ["pending", "in_progress", "in_review", "completed", "failed", "cancelled"] as const

interface Props {
  readonly filter: TaskFilter
  readonly queues: ReadonlyArray<string>
  readonly searchBox: RefObject<HTMLInputElement | null>
  readonly onChange: (filter: TaskFilter) => void
}

const orNone = (value: string): string | undefined => (value === "" ? undefined : value)

export const TaskFilters = ({ filter, onChange, queues, searchBox }: Props) => {
  const [text, setText] = useState(filter.text ?? "")
  const [submitted, setSubmitted] = useState(filter.text)
  const [seen, setSeen] = useState(filter.text)
  if (filter.text !== seen) {
    setSeen(filter.text)
    // The address changed for another reason than input in this field.
    if (filter.text !== submitted) setText(filter.text ?? "")
  }
  useEffect(() => {
    if (text === (filter.text ?? "")) return
    // One request per pause in typing.
    const timer = setTimeout(() => {
      setSubmitted(orNone(text))
      onChange({ ...filter, text: orNone(text) })
    }, 250)
    return () => clearTimeout(timer)
  }, [filter, onChange, text])
  const known = filter.queue === undefined || queues.includes(filter.queue) ? queues : [...queues, filter.queue]
  return (
    <div className="filters" role="search">
      <label className="search">
        <Search />
        <span className="sr-only">Search in ids and prompts</span>
        <input
          ref={searchBox}
          type="search"
          placeholder="Search in ids and prompts"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" || event.key === "Enter") event.currentTarget.blur()
          }}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      <label>
        <span className="sr-only">Queue</span>
        <select
          value={filter.queue ?? ""}
          onChange={(event) => onChange({ ...filter, queue: orNone(event.target.value) })}
        >
          <option value="">All queues</option>
          {known.map((queue) => (
            <option key={queue}>{queue}</option>
          ))}
        </select>
      </label>
      <label>
        <span className="sr-only">Status</span>
        <select
          value={filter.status ?? ""}
          onChange={(event) => onChange({ ...filter, status: orNone(event.target.value) })}
        >
          <option value="">Any status</option>
          {statuses.map((status) => (
            <option key={status} value={status}>
              {statusName(status)}
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}
