/**
 * Whether this process may draw on its terminal and read from it.
 *
 * @since 0.1.0
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/**
 * Whether the terminal listens to this process: not when a shell started it with `&` or was told `bg`. A process in the
 * background that changes the modes of the terminal is stopped by the system, so this has to be asked before.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isForeground = (): boolean => {
  if (process.platform === "win32") return true
  const [group, foreground] = groups()
  return group !== undefined && group === foreground
}

/** The process group of this process and that in the foreground of its terminal. */
const groups = (): ReadonlyArray<string> => {
  if (process.platform === "linux") {
    try {
      // The name of the program, in parentheses, can hold anything.
      const [, , group = "", , , foreground = ""] = readFileSync("/proc/self/stat", "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
      return [group, foreground]
    } catch {
      // A system without /proc.
    }
  }
  const { stdout } = spawnSync("ps", ["-o", "pgid=,tpgid=", "-p", String(process.pid)], { encoding: "utf8" })
  return (stdout ?? "").trim().split(/\s+/)
}
