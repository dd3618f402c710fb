/**
 * Redraws lines at the bottom of a terminal and writes permanent lines above them.
 *
 * Each change is one write, as a synchronized update if the terminal supports it, so that nothing flickers.
 */
import { createLogUpdate } from "log-update"
import { Writable } from "node:stream"
import { displayWidth } from "../width.ts"
import type { Size } from "./renderView.ts"

/** Produces the text that updates the terminal; the text is empty if nothing changed. */
export interface FrameWriter {
  /** Draws `frame` at the bottom, below the permanent lines. */
  readonly draw: (frame: ReadonlyArray<string>, permanent: ReadonlyArray<string>, size: Size) => string
  /** Keeps the drawn lines on the screen; the next frame is drawn below them. */
  readonly leave: () => string
}

const beginUpdate = "\u001B[?2026h"
const endUpdate = "\u001B[?2026l"
const hideCursor = "\u001B[?25l"

export const showCursor = "\u001B[?25h"

// eslint-disable-next-line no-control-regex
const sgr = /\u001B\[[\d;]*m/g

/** Creates a writer for an empty terminal. */
export const make = (): FrameWriter => {
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
  // This module handles the cursor, because `log-update` shows it only when the process exits.
  const start = () => createLogUpdate(stream, { showCursor: true })
  let update = start()
  let drawn: ReadonlyArray<string> = []

  /** A narrower terminal wraps the drawn lines, which `log-update` does not take into account. */
  const eraseResized = () => {
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / size.columns)), 0)
    written.push(`\u001B[${Math.min(rows, Math.max(1, size.rows - 1))}A\r\u001B[J`)
    update = start()
  }

  return {
    draw: (frame, permanent, now) => {
      const isResized = now.columns !== size.columns || now.rows !== size.rows
      size = Object.assign(stream, now)
      const isDrawn = drawn.length > 0
      if (isDrawn && isResized) eraseResized()
      else if (isDrawn && (permanent.length > 0 || frame.length === 0)) update.clear()
      written.push(...permanent.map((line) => `${line}\n`))
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
