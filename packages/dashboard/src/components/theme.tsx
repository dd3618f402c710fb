import { Toggle } from "@base-ui/react/toggle"
import { ToggleGroup } from "@base-ui/react/toggle-group"
import { useState } from "react"
import { Moon, Sun, System } from "./icons.tsx"

const themes = [
  { name: "light", label: "Light", Icon: Sun },
  { name: "system", label: "As the system", Icon: System },
  { name: "dark", label: "Dark", Icon: Moon }
] as const

const apply = (theme: string): void => {
  if (theme === "system") delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = theme
  try {
    // `boot.js` reads it before the page is painted.
    if (theme === "system") localStorage.removeItem("baton-theme")
    else localStorage.setItem("baton-theme", theme)
  } catch {
    // Storage is blocked: the theme is kept until the page is closed.
  }
}

export const ThemeChoice = () => {
  const [theme, setTheme] = useState(() => document.documentElement.dataset["theme"] ?? "system")
  return (
    <ToggleGroup
      className="segmented"
      aria-label="Theme"
      value={[theme]}
      onValueChange={([next]) => {
        if (next === undefined) return
        apply(next)
        setTheme(next)
      }}
    >
      {themes.map(({ Icon, label, name }) => (
        <Toggle key={name} value={name} className="segment icon-only" aria-label={label} title={label}>
          <Icon />
        </Toggle>
      ))}
    </ToggleGroup>
  )
}
