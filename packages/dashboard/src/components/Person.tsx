/** The name under which a person decides, kept in the browser. */

const nameKey = "baton-reviewer"

/** The name that was given before. */
export const storedName = (): string => {
  try {
    return localStorage.getItem(nameKey) ?? ""
  } catch {
    // Storage is blocked: the name is requested again in the next window.
    return ""
  }
}

/** The name in a request. */
export const nameOf = (name: string): string => (name.trim() === "" ? "web" : name.trim())

export const Person = ({ name, onName }: { readonly name: string; readonly onName: (name: string) => void }) => (
  <label className="review-person">
    Your name
    <input
      value={name}
      maxLength={100}
      placeholder="web"
      autoComplete="off"
      onChange={(event) => {
        onName(event.target.value)
        try {
          localStorage.setItem(nameKey, event.target.value)
        } catch {
          // Storage is blocked: the name lasts as long as this page.
        }
      }}
    />
  </label>
)
