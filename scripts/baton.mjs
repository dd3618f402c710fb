// `pnpm baton ...`: bundles the command line if its sources changed, then becomes `baton` in the directory that pnpm was
// called from. It runs in this process, which keeps signals and exit codes, and only its output goes to stdout.
// `baton serve` also needs the web page, which only the complete build makes.
import { spawn } from "node:child_process"
import { once } from "node:events"

const task = process.argv[2] === "serve" ? "build" : "bundle"
const turbo = spawn("turbo", ["run", task, "--filter=@baton/cli", "--output-logs=errors-only"], {
  env: { ...process.env, DO_NOT_TRACK: "1" },
  stdio: ["ignore", "pipe", "pipe"],
  shell: process.platform === "win32"
})
const output = []
turbo.stdout.on("data", (chunk) => output.push(chunk))
turbo.stderr.on("data", (chunk) => output.push(chunk))
const notice = setTimeout(() => process.stderr.write("Building baton ...\n"), 500)
const [code] = await once(turbo, "close").catch((error) => (output.push(`${error.message}\n`), [1]))
clearTimeout(notice)

if (code === 0) {
  process.chdir(process.env.INIT_CWD ?? ".")
  await import("../packages/cli/dist/baton.js")
} else {
  for (const chunk of output) process.stderr.write(chunk)
  process.exitCode = 1
}
