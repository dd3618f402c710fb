/** Actions on the tasks that are selected in a list. */
import { useState } from "react"
import { useCancel, useMay, useRequeue } from "../api/queries.ts"
import { count } from "../text/format.ts"
import { Confirm, type Question } from "./Confirm.tsx"
import { notify } from "./toasts.tsx"

interface Props {
  readonly ids: ReadonlyArray<string>
  readonly onDone: () => void
}

export const SelectionBar = ({ ids, onDone }: Props) => {
  const mayChange = useMay("operate")
  const requeue = useRequeue()
  const cancel = useCancel()
  const [question, setQuestion] = useState<Question>()
  const onError = (error: Error) => notify(error.message, "failed")
  const tasks = count(ids.length, "task")
  return (
    <>
      {ids.length > 0 && (
        <div className="selection" role="region" aria-label="Selected tasks">
          <strong>{tasks} selected</strong>
          {mayChange && (
            <>
              <button
                type="button"
                className="button small"
                onClick={() =>
                  setQuestion({
                    title: `Requeue ${tasks}?`,
                    text: "Failed and cancelled tasks become pending, with no attempts used. Other tasks are not changed.",
                    action: `Requeue ${tasks}`,
                    onConfirm: () =>
                      requeue.mutate(
                        { ids },
                        {
                          onError,
                          onSuccess: ({ changed }) => {
                            notify(`${count(changed, "task")} requeued.`)
                            onDone()
                          }
                        }
                      )
                  })
                }
              >
                Requeue
              </button>
              <button
                type="button"
                className="button small"
                onClick={() =>
                  setQuestion({
                    title: `Cancel ${tasks}?`,
                    text: "Pending and running tasks are cancelled. Running work is stopped. Other tasks are not changed.",
                    action: `Cancel ${tasks}`,
                    isDanger: true,
                    onConfirm: () =>
                      cancel.mutate(
                        { ids },
                        {
                          onError,
                          onSuccess: ({ changed }) => {
                            notify(`${count(changed, "task")} cancelled.`)
                            onDone()
                          }
                        }
                      )
                  })
                }
              >
                Cancel
              </button>
            </>
          )}
          <button type="button" className="button small ghost" onClick={onDone}>
            Clear
          </button>
        </div>
      )}
      <Confirm question={question} onClose={() => setQuestion(undefined)} />
    </>
  )
}
