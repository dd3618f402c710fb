// A scripted agent: reads its prompt, and fixes one bug of the project per attempt.
import { readFileSync, writeFileSync } from "node:fs"

const prompt = readFileSync(0, "utf8").trim().split("\n")[0]
const feedback = process.env.BATON_FEEDBACK ?? ""

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

console.log(`Task: ${prompt}`)
console.log(`Feedback: ${feedback.split("\n").find((line) => line.includes("✖")) ?? "none"}`)
console.log(`slug() now returns ${next}`)
