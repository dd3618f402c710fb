import { useEffect, useRef } from "react"

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  target.closest("input, textarea, select, [contenteditable], [role=alertdialog]") !== null

/** Runs an action when its key is pressed anywhere on the page, except while the reader types. */
export const useKeys = (keys: Readonly<Record<string, (event: KeyboardEvent) => void>>): void => {
  const current = useRef(keys)
  useEffect(() => {
    current.current = keys
  })
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
      const action = current.current[event.key]
      // Enter activates the link or button that has the focus.
      if (event.key === "Enter" && event.target instanceof HTMLElement && event.target.closest("a, button") !== null)
        return
      if (action === undefined) return
      event.preventDefault()
      action(event)
    }
    addEventListener("keydown", onKeyDown)
    return () => removeEventListener("keydown", onKeyDown)
  }, [])
}
