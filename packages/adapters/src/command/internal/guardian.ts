import * as Result from "effect/Result"
import { type ChildProcess, spawn } from "node:child_process"

/**
 * Kills process groups when this process has died in a way that it cannot react to, such as `kill -9`: a program would go on
 * working, and costing money, beside its replacement. One helper serves all programs. It reads the groups from a pipe, which
 * the system closes when this process ends.
 */
export const watch = (pid: number): void => tell("+", pid)

/** The group has ended, so its number may be used by others. */
export const release = (pid: number): void => tell("-", pid)

/** A shell is there on every system where process groups are. Signals for the terminal's group do not reach it. */
const script = `
trap '' HUP INT TERM
groups=" "
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
`

let helper: ChildProcess | undefined

const tell = (sign: "+" | "-", pid: number): void => {
  // Process 1 stands for all processes.
  if (process.platform === "win32" || !Number.isInteger(pid) || pid <= 1) return
  Result.try(() => start().stdin?.write(`${sign} ${pid}\n`))
}

const start = (): ChildProcess => {
  if (helper !== undefined) return helper
  const started = spawn("/bin/sh", ["-c", script], {
    cwd: "/",
    env: {},
    detached: true,
    stdio: ["pipe", "ignore", "ignore"]
  })
  // Programs also run without it.
  started.on("error", () => {})
  started.stdin.on("error", () => {})
  // It must not keep this process from ending.
  started.unref()
  const { stdin } = started
  if ("unref" in stdin && typeof stdin.unref === "function") stdin.unref()
  helper = started
  return started
}
