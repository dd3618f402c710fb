/** The parameters of the pages in the address. */

type Parameters = Readonly<Record<string, unknown>>

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

const views = ["output", "changes", "side-by-side"] as const
export type View = (typeof views)[number]

export interface TasksSearch {
  readonly queue?: string | undefined
  readonly status?: string | undefined
  readonly text?: string | undefined
}

export const tasks = ({ queue, status, text }: Parameters): TasksSearch => ({
  queue: textOf(queue),
  status: textOf(status),
  text: textOf(text)
})

export interface TaskSearch {
  readonly id: string
  /** The token of the attempt that is shown. */
  readonly attempt?: string | undefined
  /** The token of the attempt that it is compared with. */
  readonly base?: string | undefined
  readonly view?: View | undefined
}

export const task = ({ attempt, base, id, view }: Parameters): TaskSearch => ({
  id: textOf(id) ?? "",
  attempt: textOf(attempt),
  base: textOf(base),
  view: views.find((name) => name === view)
})

export interface WorkflowsSearch {
  readonly workflow?: string | undefined
  readonly status?: string | undefined
}

export const workflows = ({ status, workflow }: Parameters): WorkflowsSearch => ({
  workflow: textOf(workflow),
  status: textOf(status)
})

export interface ExecutionSearch {
  /** The id of the task of the execution. */
  readonly id: string
}

export const execution = ({ id }: Parameters): ExecutionSearch => ({ id: textOf(id) ?? "" })

export interface FailuresSearch {
  readonly queue?: string | undefined
}

export const failures = ({ queue }: Parameters): FailuresSearch => ({ queue: textOf(queue) })

export interface SettingsSearch {
  readonly queue: string
}

export const settings = ({ queue }: Parameters): SettingsSearch => ({ queue: textOf(queue) ?? "" })

export interface ReviewSearch {
  readonly queue?: string | undefined
  /** The task whose output is shown. */
  readonly id?: string | undefined
}

export const review = ({ id, queue }: Parameters): ReviewSearch => ({ id: textOf(id), queue: textOf(queue) })

export interface AuditSearch {
  readonly queue?: string | undefined
  /** The share of the tasks in the sample, from 0 to 1. */
  readonly share?: string | undefined
}

export const audit = ({ queue, share }: Parameters): AuditSearch => ({ queue: textOf(queue), share: textOf(share) })

/** Parameters are plain text: `?id=prompts%2F1`. */
export const parse = (search: string): Record<string, string> => Object.fromEntries(new URLSearchParams(search))

export const stringify = (search: Parameters): string => {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) if (typeof value === "string") parameters.set(name, value)
  const text = parameters.toString()
  return text === "" ? "" : `?${text}`
}
