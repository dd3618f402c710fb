import type { Task } from "../Task.ts"

type Annotations = Readonly<Record<string, unknown>>

/** What every log line of an executor or a verifier says about its attempt, besides the annotations of the run. */
export const ofAttempt = ({ attempts, id, queue }: Task, annotations: Annotations): Annotations => ({
  ...annotations,
  taskId: id,
  attempt: attempts,
  queue
})

/** The annotations of a call for several attempts at once. */
export const withoutAttempt = ({
  attempt: _attempt,
  queue: _queue,
  taskId: _taskId,
  ...annotations
}: Annotations): Annotations => annotations
