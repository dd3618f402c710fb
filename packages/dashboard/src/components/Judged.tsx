import { RequestError } from "../api/client.ts"
import type { Attempt, TaskDetail } from "../api/schema.ts"
import type { View } from "../search.ts"
import { Outputs } from "./Outputs.tsx"
import { Block } from "./Plain.tsx"
import { Verdict } from "./Verdict.tsx"

interface Props {
  readonly detail: TaskDetail
  readonly attempt: Attempt
  readonly view: View
  readonly onView: (view: View) => void
}

/** What a person judges: the prompt of a task, the verdict on one of its attempts, and the output beside the one before it. */
export const Judged = ({ attempt, detail: { attempts, task }, onView, view }: Props) => (
  <>
    <section className="card prompt" aria-label="Prompt">
      <Block text={task.description} label="Prompt" />
    </section>
    <Verdict attempt={attempt} />
    <Outputs
      key={attempt.token}
      id={task.id}
      attempts={attempts}
      selected={attempt}
      base={attempts.findLast(({ output, token }) => output !== null && token < attempt.token)}
      view={view}
      onView={onView}
      onBase={() => {}}
    />
  </>
)

/** Whether another person was faster, or the task is gone. */
export const isOutdated = (error: Error): boolean =>
  error instanceof RequestError && (error.status === 409 || error.status === 404)
