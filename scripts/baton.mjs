// `pnpm baton ...`: builds what is stale, then becomes `baton` in the directory that pnpm was called from. It runs in
// this very process, so that signals and exit codes are its own, and nothing but its output goes to stdout.
import { spawnSync } from "node:child_process"

const build = spawnSync("turbo", ["run", "build", "--filter=@baton/cli", "--output-logs=errors-only"], {
  env: { ...process.env, DO_NOT_TRACK: "1" },
  encoding: "utf8",
  shell: process.platform === "win32"
})
if (build.status === 0) {
  process.chdir(process.env.INIT_CWD ?? ".")
  await import("../packages/cli/dist/baton.js")
} else {
  process.stderr.write(build.error === undefined ? build.stdout + build.stderr : `${build.error.message}\n`)
  process.exitCode = 1
}
