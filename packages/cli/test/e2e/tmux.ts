/** A separate terminal for a test: a shell with job control, keys and a size. */
import { Effect, Schedule, type Scope } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const program = fileURLToPath(new URL("../../dist/baton.js", import.meta.url))

export const isInstalled = spawnSync("tmux", ["-V"]).status === 0

let opened = 0

export interface Terminal {
  /** Types text and presses Enter. */
  readonly enter: (line: string) => Effect.Effect<void>
  /** Presses keys by name, such as `q` or `C-c`. */
  readonly press: (...keys: ReadonlyArray<string>) => Effect.Effect<void>
  readonly resize: (columns: number, rows: number) => Effect.Effect<void>
  /** The visible lines. */
  readonly screen: Effect.Effect<ReadonlyArray<string>>
  /** Waits until the screen meets a condition, and returns its lines. */
  readonly until: (is: (lines: ReadonlyArray<string>) => boolean) => Effect.Effect<ReadonlyArray<string>>
  /** Waits until a line of the screen meets a condition. */
  readonly line: (pattern: RegExp) => Effect.Effect<string>
  readonly isCursorVisible: Effect.Effect<boolean>
}

/** A shell in `cwd`, where `baton` is the built program. It is killed when the scope closes. */
export const open = (cwd: string, columns: number, rows: number): Effect.Effect<Terminal, never, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = `t${opened++}`
    // Unset, because this is an interactive terminal even on CI.
    const env = {
      PATH: process.env["PATH"] ?? "",
      HOME: cwd,
      TMUX_TMPDIR: cwd,
      LANG: "C.UTF-8",
      TERM: "xterm-256color",
      SHELL: "/bin/sh"
    }
    const tmux = (...args: ReadonlyArray<string>) =>
      execFileSync("tmux", ["-u", "-f", "/dev/null", "-L", socket, ...args], { cwd, env, encoding: "utf8" })
    // No history, because it would be written while the folder is removed.
    const baton = `unset HISTFILE; baton() { '${process.execPath}' '${program}' "$@"; }; PS1='$ '; clear`
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const size = ["-x", String(columns), "-y", String(rows)]
        tmux("new-session", "-d", "-s", "t", ...size, "bash --norc --noprofile")
        tmux("send-keys", "-t", "t", baton, "Enter")
      }),
      () => Effect.sync(() => tmux("kill-server"))
    )
    const screen = Effect.sync(() => tmux("capture-pane", "-p", "-t", "t").trimEnd().split("\n"))
    const until: Terminal["until"] = (is) =>
      Effect.repeat(screen, { until: is, schedule: Schedule.spaced("150 millis") }).pipe(
        Effect.timeoutOrElse({
          duration: "5 minutes",
          orElse: () =>
            Effect.flatMap(screen, (lines) =>
              Effect.die(new Error(`The screen never met the condition:\n${lines.join("\n")}`))
            )
        })
      )
    yield* until((lines) => lines.at(-1) === "$" && lines.length === 1)
    return {
      enter: (line) => Effect.sync(() => void tmux("send-keys", "-t", "t", line, "Enter")),
      press: (...keys) => Effect.sync(() => void tmux("send-keys", "-t", "t", ...keys)),
      resize: (columns, rows) =>
        Effect.sync(() => void tmux("resize-window", "-t", "t", "-x", String(columns), "-y", String(rows))),
      screen,
      until,
      line: (pattern) =>
        Effect.map(
          until((lines) => lines.some((line) => pattern.test(line))),
          (lines) => lines.find((line) => pattern.test(line)) ?? ""
        ),
      isCursorVisible: Effect.sync(() => tmux("display-message", "-p", "-t", "t", "#{cursor_flag}").trim() === "1")
    }
  })
