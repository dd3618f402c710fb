/**
 * Node and the terminal.
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import * as Effect from "effect/Effect"
import { availableParallelism, freemem, totalmem } from "node:os"
import manifest from "../../../package.json" with { type: "json" }
import { canvas } from "../../view/canvas.ts"
import * as terminal from "../../view/terminal.ts"

const oldest = 24

/** Below this the system begins to swap, or to kill. */
const littleMemory = 256 * 1024 * 1024

/**
 * What there is to say of them.
 *
 * @category running
 * @since 0.1.0
 */
export const examine = Effect.gen(function* () {
  return [node(process.versions.node), memory(freemem(), totalmem()), yield* screen]
})

const node = (version: string): Diagnosis.Diagnosis => {
  const found = `Baton ${manifest.version} on Node ${version}, ${process.platform} ${process.arch}.`
  return Number(version.split(".")[0]) >= oldest
    ? Diagnosis.ok("node", found)
    : Diagnosis.fail("node", found, `Install Node ${oldest} or newer from https://nodejs.org.`)
}

const memory = (free: number, total: number): Diagnosis.Diagnosis => {
  const gigabytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GB`
  const cores = availableParallelism()
  const found = `${cores === 1 ? "1 core" : `${cores} cores`}, ${gigabytes(free)} of ${gigabytes(total)} memory free.`
  return free < littleMemory
    ? Diagnosis.warn("memory", found, "Close something: programs that tasks run may be killed for lack of memory.")
    : Diagnosis.ok("memory", found)
}

const screen = Effect.gen(function* () {
  const { canAnimate, size } = yield* terminal.stderr
  const { style } = yield* canvas
  const { columns, rows } = size()
  if (columns === Infinity) {
    return Diagnosis.ok("terminal", "Standard error is no terminal: progress is told line by line.")
  }
  const found = `${columns} × ${rows}${style.bold("x") === "x" ? ", without colours" : ""}.`
  if (!canAnimate) return Diagnosis.ok("terminal", `${found} Progress is told line by line.`)
  return columns < 40 || rows < 10
    ? Diagnosis.warn("terminal", found, "Make it larger: the live view needs 40 × 10 to say something.")
    : Diagnosis.ok("terminal", found)
})
