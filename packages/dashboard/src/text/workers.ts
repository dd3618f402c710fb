/** What a worker does, as text. */
import type { Worker } from "../schema.ts"
import { count, elapsed, number } from "./format.ts"

export const workText = ({ claimed, isLost, running, since }: Worker, now: number): string => {
  if (isLost) return `stopped responding with ${count(running + claimed, "task")}`
  const parts = [
    ...(running === 0 || since === undefined
      ? []
      : [
          `${count(running, "task")}${running === 1 ? "" : ", the first"} for ${elapsed(now - since.epochMilliseconds)}`
        ]),
    ...(claimed === 0 ? [] : [running === 0 ? `${count(claimed, "task")} claimed` : `${number(claimed)} more claimed`])
  ]
  return parts.join(", ")
}
