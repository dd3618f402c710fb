// Stands in for an agent: reads its prompt, and mends one thing in the project each time it is asked.
import { readFileSync, writeFileSync } from "node:fs"

const asked = readFileSync(0, "utf8").trim().split("\n")[0]
const told = process.env.BATON_FEEDBACK ?? ""

const drafts = [
  "text",
  "text.toLowerCase()",
  'text.toLowerCase().replace(/\\s+/g, "-")',
  'text.toLowerCase().replace(/\\s+/g, "-").replace(/[^a-z0-9-]/g, "")'
]
const file = new URL("project/slug.mjs", import.meta.url)
const source = readFileSync(file, "utf8")
const written = drafts.findIndex((draft) => source.includes(`return ${draft}\n`))
const next = drafts[Math.min(written + 1, drafts.length - 1)]
writeFileSync(
  file,
  source.replace(/return .*/, () => `return ${next}`)
)

console.log(`I was asked: ${asked}`)
console.log(
  told === "" ? "Nobody has tried yet." : `I was told: ${told.split("\n").find((line) => line.includes("✖")) ?? "no"}`
)
console.log(`slug() now returns ${next}`)
