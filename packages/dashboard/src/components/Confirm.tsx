/** A question before a change that affects many tasks or stops work. */
import { AlertDialog } from "@base-ui/react/alert-dialog"
import type { ReactNode } from "react"

export interface Question {
  readonly title: string
  readonly text: ReactNode
  /** The label of the button, which names the action. */
  readonly action: string
  readonly isDanger?: boolean
  readonly onConfirm: () => void
}

export const Confirm = ({
  onClose,
  question
}: {
  readonly question: Question | undefined
  readonly onClose: () => void
}) => (
  <AlertDialog.Root
    open={question !== undefined}
    onOpenChange={(isOpen) => {
      if (!isOpen) onClose()
    }}
  >
    <AlertDialog.Portal>
      <AlertDialog.Backdrop className="backdrop" />
      <AlertDialog.Popup className="dialog">
        <AlertDialog.Title className="dialog-title">{question?.title}</AlertDialog.Title>
        <AlertDialog.Description render={<div />} className="dialog-text">
          {question?.text}
        </AlertDialog.Description>
        <div className="dialog-actions">
          <AlertDialog.Close className="button">Do nothing</AlertDialog.Close>
          <AlertDialog.Close
            className={question?.isDanger === true ? "button danger" : "button primary"}
            onClick={() => question?.onConfirm()}
          >
            {question?.action}
          </AlertDialog.Close>
        </div>
      </AlertDialog.Popup>
    </AlertDialog.Portal>
  </AlertDialog.Root>
)
