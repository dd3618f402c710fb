// Runs before the page is painted. It applies the chosen theme, and shows errors that occur before the page is mounted.
"use strict"
try {
  const theme = localStorage.getItem("baton-theme")
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme
} catch {
  // Storage is blocked: the theme of the system applies.
}
addEventListener(
  "error",
  (event) => {
    const boot = document.getElementById("boot")
    if (boot === null) return
    const reason = event.message ?? `${event.target.src ?? event.target.href} could not be loaded`
    boot.textContent = `The page could not start: ${reason}. Reload the page; if that does not help, restart \`baton serve\`.`
  },
  true
)
