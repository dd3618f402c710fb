import { maxComment } from "@baton/core/Verification"
import { number } from "../text/format.ts"
import { type KeyboardEvent, type SyntheticEvent, useEffect, useRef, useState } from "react"

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
export const TextForm = (props: Props) => {
  const { action, isPending, kind, label, onChange, onClose, onSubmit, text } = props
  const [refusedLength, setRefusedLength] = useState(0)
  const most = kind === "edit" ? Infinity : maxComment
  const isTooLong = text.length > most
  const problem =
    refusedLength > 0
      ? `The text that you pasted would make this ${number(refusedLength)} characters, so it was left out.`
      : `This has ${number(text.length)} characters.`
  const hasProblem = isTooLong || refusedLength > 0
  const isComplete = props.isComplete && !isTooLong
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
        aria-invalid={hasProblem}
        aria-describedby={hasProblem ? "draft-problem" : undefined}
        onPaste={(event) => {
          // A browser does not answer for a minute after megabytes were pasted in a field.
          const length = text.length + event.clipboardData.getData("text").length
          if (length <= most) return
          event.preventDefault()
          setRefusedLength(length)
        }}
        onChange={(event) => {
          setRefusedLength(0)
          onChange(event.target.value)
        }}
      />
      {hasProblem && (
        <p id="draft-problem" className="refused" role="alert">
          {problem} A comment has at most {number(maxComment)}.
        </p>
      )}
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
