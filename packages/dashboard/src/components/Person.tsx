/** The name under which a person decides: that of the token, or the one that is kept in the browser. */
import { useState } from "react"
import { useTokenName } from "../api/queries.ts"

const nameKey = "baton-reviewer"

/** The name that was given before. */
const storedName = (): string => {
  try {
    return localStorage.getItem(nameKey) ?? ""
  } catch {
    // Storage is blocked: the name is requested again in the next window.
    return ""
  }
}

const keep = (name: string) => {
  try {
    localStorage.setItem(nameKey, name)
  } catch {
    // Storage is blocked: the name lasts as long as this page.
  }
}

/** The name for requests, and the field in which it is given. */
export const usePerson = () => {
  const ofToken = useTokenName()
  const [given, setGiven] = useState(storedName)
  const by = ofToken ?? (given.trim() === "" ? "web" : given.trim())
  const field =
    ofToken === undefined ? (
      <label className="review-person">
        Your name
        <input
          value={given}
          maxLength={100}
          placeholder="web"
          autoComplete="off"
          onChange={(event) => {
            setGiven(event.target.value)
            keep(event.target.value)
          }}
        />
      </label>
    ) : (
      <p className="review-person">
        You decide as <strong>{ofToken}</strong>
      </p>
    )
  return { by, field }
}
