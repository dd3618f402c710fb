/** The output of an attempt, and its difference to that of another attempt. */
import { Toggle } from "@base-ui/react/toggle"
import { ToggleGroup } from "@base-ui/react/toggle-group"
import { useState } from "react"
import { useOutput } from "../api/queries.ts"
import type { Attempt, Text } from "../schema.ts"
import type { View } from "../search.ts"
import { Comparison } from "./Comparison.tsx"
import { Block } from "./Plain.tsx"

interface Props {
  readonly id: string
  readonly attempts: ReadonlyArray<Attempt>
  readonly selected: Attempt
  /** The attempt to compare with. */
  readonly base: Attempt | undefined
  readonly view: View
  readonly onView: (view: View) => void
  readonly onBase: (token: number) => void
}

const views: ReadonlyArray<readonly [View, string]> = [
  ["output", "Output"],
  ["changes", "Changes"],
  ["side-by-side", "Side by side"]
]

const noText: Text = { text: "", length: 0, cut: false }

/** The text that the server sent, or the whole text once it is wanted. */
const useText = (id: string, attempt: Attempt | undefined) => {
  const [isWanted, setWanted] = useState(false)
  const whole = useOutput(id, attempt?.token ?? 0, isWanted && attempt !== undefined)
  const sent = attempt?.output ?? noText
  const text = whole.data === undefined ? sent : { text: whole.data, length: whole.data.length, cut: false }
  return { text, error: whole.error, isLoading: whole.isFetching, onWhole: () => setWanted(true) }
}

export const Outputs = ({ attempts, base, id, onBase, onView, selected, view }: Props) => {
  const after = useText(id, selected)
  const before = useText(id, base)
  const isCut = after.text.cut || before.text.cut
  const others = attempts.filter(({ output, token }) => output !== undefined && token !== selected.token)
  const error = after.error ?? before.error
  return (
    <section className="outputs" aria-label={`Output of attempt ${selected.number}`}>
      <div className="outputs-head">
        <h2>Attempt {selected.number}</h2>
        {base !== undefined && (
          <>
            <ToggleGroup
              className="segmented"
              aria-label="View"
              value={[view]}
              onValueChange={([next]) => {
                if (next !== undefined) onView(next)
              }}
            >
              {views.map(([name, label]) => (
                <Toggle key={name} value={name} className="segment">
                  {label}
                </Toggle>
              ))}
            </ToggleGroup>
            {view !== "output" && (
              <label className="base">
                compared with{" "}
                <select value={base.token} onChange={(event) => onBase(Number(event.target.value))}>
                  {others.map(({ number, token }) => (
                    <option key={token} value={token}>
                      Attempt {number}
                    </option>
                  ))}
                </select>
              </label>
            )}
          </>
        )}
      </div>
      {error !== null && <p role="alert">{error.message}</p>}
      {view === "output" || base === undefined ? (
        <Block
          key={selected.token}
          text={after.text}
          label={`Output of attempt ${selected.number}`}
          onWhole={after.onWhole}
          isLoading={after.isLoading}
        />
      ) : (
        <>
          <Comparison
            key={`${base.token}-${selected.token}`}
            before={before.text.text}
            after={after.text.text}
            isSideBySide={view === "side-by-side"}
          />
          {isCut && (
            <p className="more">
              <button
                type="button"
                className="button small"
                onClick={() => {
                  after.onWhole()
                  before.onWhole()
                }}
              >
                Compare the whole outputs
              </button>{" "}
              <span className="muted">Only the first part of a long output was compared.</span>
            </p>
          )}
        </>
      )}
    </section>
  )
}
