/**
 * Draws lines at the bottom of a terminal over what was drawn there before, and lets others go by above them.
 *
 * What changed is written in one piece, as a synchronized update where the terminal knows it, so nothing flickers.
 */
import { createLogUpdate } from "log-update"
import { Writable } from "node:stream"
import { displayWidth } from "../width.ts"
import type { Size } from "./layout.ts"

/** What is drawn, as the text that draws it; empty when there is nothing to change. */
export interface Drawing {
  /** Draws `frame` at the bottom, behind lines that stay. */
  readonly draw: (frame: ReadonlyArray<string>, lasting: ReadonlyArray<string>, size: Size) => string
  /** Leaves what is drawn where it is; the next drawing begins anew below. */
  readonly leave: () => string
}

const beginUpdate = "\u001B[?2026h"
const endUpdate = "\u001B[?2026l"
const hideCursor = "\u001B[?25l"

/** Makes the cursor visible. */
export const showCursor = "\u001B[?25h"

// eslint-disable-next-line no-control-regex
const sgr = /\u001B\[[\d;]*m/g

/** A drawing on a terminal on which nothing is drawn yet. */
export const make = (): Drawing => {
  let written: Array<string> = []
  let size: Size = { columns: 0, rows: 0 }
  const stream = Object.assign(
    new Writable({
      decodeStrings: false,
      write: (text, _, done) => {
        written.push(String(text))
        done()
      }
    }),
    size
  )
  // The cursor is ours: what shows it again must not depend on the end of the process.
  const start = () => createLogUpdate(stream, { showCursor: true })
  let update = start()
  let drawn: ReadonlyArray<string> = []

  /** A terminal that becomes narrower breaks the lines that are on it; `log-update` counts them as they were. */
  const eraseResized = () => {
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / size.columns)), 0)
    written.push(`\u001B[${Math.min(rows, Math.max(1, size.rows - 1))}A\r\u001B[J`)
    update = start()
  }

  return {
    draw: (frame, lasting, now) => {
      const isResized = now.columns !== size.columns || now.rows !== size.rows
      size = Object.assign(stream, now)
      const isDrawn = drawn.length > 0
      if (isDrawn && isResized) eraseResized()
      else if (isDrawn && (lasting.length > 0 || frame.length === 0)) update.clear()
      written.push(...lasting.map((line) => `${line}\n`))
      if (frame.length > 0) update(frame.join("\n"))
      const cursor = frame.length > 0 === isDrawn ? "" : frame.length > 0 ? hideCursor : showCursor
      drawn = frame
      const text = written.join("")
      written = []
      return text + cursor === "" ? "" : `${beginUpdate}${text}${cursor}${endUpdate}`
    },
    leave: () => {
      if (drawn.length === 0) return ""
      drawn = []
      update = start()
      return showCursor
    }
  }
}

const widthOf = (line: string): number => displayWidth(line.replace(sgr, ""))
