import type { Settlement } from "@baton/core/TaskStore"
import * as Texts from "./texts.ts"

/** What `settle` in `lua/working.ts` takes of a settlement. */
export const settlementParameters = (settlement: Settlement): ReadonlyArray<string> => {
  const { _tag, taskId, token } = settlement
  const lease = [_tag, Texts.key(taskId), String(token)]
  const usage = Texts.jsonOrNothing(settlement.usage)
  if (settlement._tag === "Release") {
    return [...lease, "", Texts.jsonOrNothing(settlement.attemptUsage), usage, Texts.json(settlement.reason), ""]
  }
  const { attemptUsage, execution, verification } = settlement
  const outturn = `${Texts.json(execution)}\n${Texts.json(verification)}\n${Texts.json(attemptUsage)}`
  switch (settlement._tag) {
    case "Complete":
      return [...lease, settlement.verified ? "1" : "0", outturn, usage, "", ""]
    case "Retry":
      return [...lease, Texts.duration(settlement.delay), outturn, usage, ...failure(settlement)]
    case "Fail":
      return [...lease, "", outturn, usage, ...failure(settlement)]
  }
}

const failure = ({ checkpoint, feedback }: Extract<Settlement, { readonly _tag: "Retry" | "Fail" }>) => [
  Texts.json(feedback),
  Texts.jsonOrNothing(checkpoint)
]
