/** A headless terminal: the text that is visible after some output was written. */
import { Effect } from "effect"
import { createRequire } from "node:module"
import type * as Headless from "@xterm/headless"

// A CommonJS module without named exports.
const { Terminal }: typeof Headless = createRequire(import.meta.url)("@xterm/headless")

export const open = (columns: number, rows: number) => {
  const terminal = new Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 1000, convertEol: true })
  const line = (index: number) => terminal.buffer.active.getLine(index)?.translateToString(true) ?? ""
  const lines = (from: number, to: number) => {
    const shown = Array.from({ length: to - from }, (_, index) => line(from + index))
    return shown.slice(0, shown.findLastIndex((text) => text !== "") + 1)
  }
  return {
    size: () => ({ columns: terminal.cols, rows: terminal.rows }),
    write: (text: string) => Effect.callback<void>((resume) => terminal.write(text, () => resume(Effect.void))),
    resize: (columns: number, rows: number) => Effect.sync(() => terminal.resize(columns, rows)),
    /** The visible lines, without trailing empty ones. */
    screen: () => lines(terminal.buffer.active.baseY, terminal.buffer.active.baseY + terminal.rows),
    /** The visible lines and those that scrolled out of view. */
    all: () => lines(0, terminal.buffer.active.baseY + terminal.rows)
  }
}
