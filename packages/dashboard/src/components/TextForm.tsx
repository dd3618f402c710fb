import { type KeyboardEvent, type SyntheticEvent, useEffect, useRef } from "react"

interface Props {
  readonly label: string
  /** What the button says. */
  readonly action: string
  readonly text: string
  /** What the text becomes: an edited output has no spelling to check. */
  readonly kind: "comment" | "reject" | "edit"
  readonly isComplete: boolean
  readonly isPending: boolean
  readonly onChange: (text: string) => void
  readonly onSubmit: () => void
  readonly onClose: () => void
}

/** A text that a person writes about an output. Ctrl Enter sends it, and Escape drops it. */
export const TextForm = ({ action, isComplete, isPending, kind, label, onChange, onClose, onSubmit, text }: Props) => {
  const field = useRef<HTMLTextAreaElement>(null)
  useEffect(() => field.current?.focus(), [])
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    if (isComplete) onSubmit()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose()
    // In a comment, Enter alone breaks the line.
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event)
  }
  return (
    <form className="review-form" onSubmit={submit}>
      <label htmlFor="draft">{label}</label>
      <textarea
        id="draft"
        ref={field}
        data-kind={kind}
        onKeyDown={onKeyDown}
        value={text}
        spellCheck={kind !== "edit"}
        onChange={(event) => onChange(event.target.value)}
      />
      <div className="review-buttons">
        <button type="submit" className="button primary" disabled={!isComplete || isPending}>
          {action} <kbd>Ctrl Enter</kbd>
        </button>
        <button type="button" className="button" onClick={onClose}>
          Cancel <kbd>Esc</kbd>
        </button>
      </div>
    </form>
  )
}
