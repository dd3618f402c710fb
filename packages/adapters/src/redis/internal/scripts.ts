import { createHash } from "node:crypto"
import * as adding from "./lua/adding.ts"
import * as administering from "./lua/administering.ts"
import { prelude } from "./lua/prelude.ts"
import * as reading from "./lua/reading.ts"
import * as working from "./lua/working.ts"

/** A program that the server runs as one step. It keeps it, and is then asked for it by its hash. */
export interface Script {
  readonly text: string
  readonly hash: string
}

const script = (body: string): Script => {
  const text = `${prelude}\n${body}`
  return { text, hash: createHash("sha1").update(text).digest("hex") }
}

export const add = script(adding.add)
export const restore = script(adding.restore)
export const claim = script(working.claim)
export const checkpoint = script(working.checkpoint)
export const extend = script(working.extend)
export const settle = script(working.settle)
export const sweep = script(administering.sweep)
export const requeue = script(administering.requeue)
export const cancel = script(administering.cancel)
export const prune = script(administering.prune)
export const request = script(administering.request)
export const open = script(reading.open)
export const control = script(reading.control)
export const counts = script(reading.counts)
export const outlook = script(reading.outlook)
export const get = script(reading.get)
export const list = script(reading.list)
export const attempts = script(reading.attempts)
export const dump = script(reading.dump)
