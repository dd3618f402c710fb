import { useState } from "react"
import { RequestError } from "../api/client.ts"
import type { Attempt, TaskDetail } from "../schema.ts"
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

/** What a person judges: the prompt of a task, the verdict on one of its attempts, and the output beside one before it. */
export const Judged = ({ attempt, detail: { attempts, task }, onView, view }: Props) => {
  const before = attempts.filter(({ output, token }) => output !== undefined && token < attempt.token)
  const [base, setBase] = useState(before.at(-1)?.token)
  return (
    <div className="judged">
      <div className="judged-about">
        <section className="judged-part" aria-label="Prompt">
          <h2>Prompt</h2>
          <Block text={task.description} label="Prompt" />
        </section>
        <Verdict attempt={attempt} />
      </div>
      <Outputs
        key={attempt.token}
        id={task.id}
        attempts={attempts}
        selected={attempt}
        base={before.find(({ token }) => token === base)}
        view={view}
        onView={onView}
        onBase={setBase}
      />
    </div>
  )
}

/** Whether another person was faster, or the task is gone. */
export const isOutdated = (error: Error): boolean =>
  error instanceof RequestError && (error.status === 409 || error.status === 404)
