/** Executions of workflows are tasks of a queue of their workflow. */

const prefix = "@workflow/"

/** The workflow whose executions are in a queue; undefined for other queues. */
export const workflowOf = (queue: string): string | undefined =>
  queue.startsWith(prefix) ? queue.slice(prefix.length) : undefined

export const queueOf = (workflow: string): string => `${prefix}${workflow}`

/** The id of an execution, from that of its task. */
export const executionId = ({ id, queue }: { readonly id: string; readonly queue: string }): string =>
  id.startsWith(`${queue}/`) ? id.slice(queue.length + 1) : id

/** The execution that executes another one, by the metadata of its task. */
export const parentOf = ({ metadata }: { readonly metadata: Readonly<Record<string, unknown>> }) => {
  const { execution, workflow } = metadata
  return typeof workflow === "string" && typeof execution === "string"
    ? { name: `${workflow} ${execution.slice(0, 12)}`, id: `${queueOf(workflow)}/${execution}` }
    : undefined
}
