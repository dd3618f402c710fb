/** Shows how far an import is, if it takes longer than a second. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { ImportProgress } from "../sources/importSources.ts"
import { clock } from "./progressLine.ts"
import { count, number } from "./quantity.ts"
import * as Screen from "./Screen.ts"
import type { Terminal } from "./terminal.ts"

/** Creates the screen of an import, which draws until its scope closes, and what the import reports its progress to. */
export const make = Effect.fnUntraced(function* (terminal: Terminal, options: { readonly isHidden: boolean }) {
  const time = yield* Clock.Clock
  const start = time.currentTimeMillisUnsafe()
  let checked = 0
  let progress: ImportProgress = { step: "checking", tasks: 0 }
  const status = Effect.sync(() => {
    const millis = time.currentTimeMillisUnsafe() - start
    return options.isHidden || millis < 1000 ? undefined : `${textOf(progress, checked)}  ${clock(millis)}`
  })
  const screen = yield* Screen.make(terminal, status)
  const onProgress = (latest: ImportProgress) => {
    progress = latest
    if (latest.step === "checking") checked = latest.tasks
  }
  return { screen, onProgress }
})

const textOf = ({ step, tasks }: ImportProgress, checked: number): string => {
  if (step === "adding") return `adding ${number(tasks)} of ${count(checked, "task")}`
  return tasks === 0 ? "reading the sources" : `checking the sources: ${count(tasks, "task")}`
}
