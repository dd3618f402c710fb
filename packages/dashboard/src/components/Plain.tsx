/** Text from a model or a program. It is always text: markup is not interpreted, and control characters are visible. */
import { Fragment, useMemo, useState } from "react"
import type { Text } from "../schema.ts"
import { size } from "../text/format.ts"
import { segments } from "../text/visible.ts"

export const Plain = ({ text }: { readonly text: string }) => {
  const parts = useMemo(() => segments(text), [text])
  return parts.map((part, index) =>
    part.isControl ? (
      <span key={index} className="control" title="Control characters. They have no effect here.">
        {part.text}
      </span>
    ) : (
      <Fragment key={index}>{part.text}</Fragment>
    )
  )
}

/** More text at once makes the page slow. */
const step = 60_000

interface BlockProps {
  readonly text: Text
  readonly label: string
  /** Reads the whole text, if the server sent a part of it. */
  readonly onWhole?: (() => void) | undefined
  readonly isLoading?: boolean
}

/** A block of text that shows a part of a long text first. */
export const Block = ({ isLoading = false, label, onWhole, text }: BlockProps) => {
  const [shown, setShown] = useState(step)
  const isShort = text.text.length > shown
  const rest = text.length - Math.min(shown, text.text.length)
  return (
    <>
      <pre className="output" tabIndex={0} role="region" aria-label={label}>
        {text.text === "" ? (
          <span className="muted">The output is empty.</span>
        ) : (
          <Plain text={text.text.slice(0, shown)} />
        )}
      </pre>
      {(isShort || text.cut) && (
        <p className="more">
          <button
            type="button"
            className="button small"
            disabled={isLoading}
            onClick={() => {
              setShown((length) => length * 4)
              if (text.cut) onWhole?.()
            }}
          >
            {isLoading ? "Loading …" : "Show more"}
          </button>{" "}
          <span className="muted">{size(rest)} more</span>
        </p>
      )}
    </>
  )
}
