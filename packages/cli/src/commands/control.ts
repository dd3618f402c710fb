/** `baton pause`, `baton resume` and `baton stop`: requests to every run on a store, or to the workers of one queue. */
import { type ControlRequest, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Clock from "effect/Clock"
import * as Schema from "effect/Schema"
import * as Command from "effect/cli/Command"
import { json, value } from "../settings/commandFlags.ts"
import { QueueFlag } from "../settings/flags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import { endText, PausedQueue, pausedQueue, readTime } from "../view/pauses.ts"
import { writeLine } from "../view/stdout.ts"
import { count } from "../view/quantity.ts"
import * as store from "../run/stores.ts"
import { commandName } from "../view/commandLine.ts"
import { printJson } from "../view/json.ts"
import { safe } from "../view/safeText.ts"

/** The state after a request. */
const ControlResult = Schema.Struct({
  paused: Schema.Boolean,
  /** Tasks in progress. */
  running: Schema.Int,
  pending: Schema.Int
})

interface ControlResult extends Schema.Schema.Type<typeof ControlResult> {}

/** Sends a request. */
const controlResult = Effect.fnUntraced(function* (
  request: ControlRequest
): Effect.fn.Return<ControlResult, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const { paused } = yield* store.request(request)
  const counts = yield* store.counts
  return { paused, running: counts.in_progress, pending: counts.pending }
})

const queuePauses = Effect.gen(function* () {
  const { pauses } = yield* TaskStore
  if (pauses !== undefined) return pauses
  return yield* new CommandFailed({
    message: "This store cannot pause a single queue. Without --queue, all of its runs are paused."
  })
})

/** The pause of a queue, and its tasks. */
const PauseResult = Schema.Struct({ ...PausedQueue.fields, running: Schema.Int, pending: Schema.Int })

const pauseQueue = Effect.fnUntraced(function* (
  queue: string,
  input: { readonly json: boolean; readonly until: string | undefined }
) {
  const now = yield* Clock.currentTimeMillis
  const until = input.until === undefined ? undefined : readTime(input.until, now)
  if (input.until !== undefined && (until === undefined || until.epochMilliseconds <= now)) {
    return yield* new CommandFailed({
      message: safe`--until ${input.until} is not a time to come. Write 2h, 18:30, or a date with a time, such as 2026-12-01T09:00.`
    })
  }
  const { pause } = yield* queuePauses
  const paused = pausedQueue(yield* pause(queue, { cause: "requested", until, reason: "Paused with baton pause." }))
  const counts = yield* TaskStore.use((store) => store.counts)
  const result = { ...paused, running: counts.in_progress, pending: counts.pending }
  if (input.json) return yield* printJson(PauseResult, result)
  const running =
    result.running === 0
      ? ""
      : ` ${count(result.running, "running task")} will finish; no other task starts until then.`
  const end = until === undefined ? `until \`${yield* commandName} resume --queue ${queue}\`` : endText(paused, now)
  yield* writeLine(safe`Paused the queue ${queue} ${end}.${running}`)
})

/** Pauses every run on the store, or one queue. */
export const pause = Command.make(
  "pause",
  {
    json,
    until: value(
      "until",
      { metavar: "TIME", expected: "a time", read: (text: string) => text },
      "With --queue: when the queue resumes by itself, as 2h, 18:30 or 2026-12-01T09:00. Default: until it is resumed"
    )
  },
  Effect.fnUntraced(function* (input) {
    const queue = yield* QueueFlag
    if (queue !== undefined) return yield* pauseQueue(queue, input)
    if (input.until !== undefined) {
      return yield* new CommandFailed({ message: "--until is for one queue. Add --queue NAME." })
    }
    const before = yield* TaskStore.use((store) => store.control)
    const result = yield* controlResult("pause")
    if (input.json) return yield* printJson(ControlResult, result)
    const resume = `\`${yield* commandName} resume\``
    const state = before.paused ? "Already paused" : "Paused"
    yield* writeLine(
      result.running === 0
        ? safe`${state}. No task is running, and none will start until ${resume}.`
        : safe`${state}. ${count(result.running, "running task")} will finish; no other task starts until ${resume}.`
    )
  })
).pipe(
  Command.withDescription(
    "Pause every run on the store, including runs in other terminals and on other machines; with --queue, only the tasks of that queue. Running tasks finish. Runs that start later also wait."
  ),
  Command.withShortDescription("Pause all runs"),
  Command.withExamples([
    { command: "baton pause", description: "Pause until `baton resume`" },
    { command: "baton pause --queue prompts --until 2h", description: "Pause one queue for two hours" }
  ]),
  Command.provide(store.layerExisting)
)

const ResumeResult = Schema.Struct({ queue: Schema.String, resumed: Schema.Boolean, pending: Schema.Int })

const resumeQueue = Effect.fnUntraced(function* (queue: string, input: { readonly json: boolean }) {
  const resumed = yield* Effect.flatMap(queuePauses, ({ resume }) => resume(queue))
  const { pending } = yield* TaskStore.use((store) => store.counts)
  if (input.json) return yield* printJson(ResumeResult, { queue, resumed, pending })
  const rest = pending === 0 ? "No tasks are pending." : `Runs can start ${count(pending, "pending task")}.`
  yield* writeLine(resumed ? safe`Resumed the queue ${queue}. ${rest}` : safe`The queue ${queue} was not paused.`)
})

/** Ends a pause. */
export const resume = Command.make(
  "resume",
  { json },
  Effect.fnUntraced(function* (input) {
    const queue = yield* QueueFlag
    if (queue !== undefined) return yield* resumeQueue(queue, input)
    const before = yield* TaskStore.use((store) => store.control)
    const result = yield* controlResult("resume")
    if (input.json) return yield* printJson(ControlResult, result)
    const pending =
      result.pending === 0 ? "No tasks are pending." : `Runs can start ${count(result.pending, "pending task")}.`
    yield* writeLine(before.paused ? safe`Resumed. ${pending}` : safe`The store was not paused.`)
  })
).pipe(
  Command.withDescription(
    "End a pause. Every run on the store starts tasks again; with --queue, the pause of that queue ends, for a usage limit too."
  ),
  Command.withShortDescription("End a pause"),
  Command.withExamples([
    { command: "baton resume", description: "Continue after `baton pause`" },
    { command: "baton resume --queue prompts", description: "Continue one queue" }
  ]),
  Command.provide(store.layerExisting)
)

/** Stops every run on the store. */
export const stop = Command.make(
  "stop",
  { json },
  Effect.fnUntraced(function* (input) {
    const result = yield* controlResult("stop")
    if (input.json) return yield* printJson(ControlResult, result)
    yield* writeLine(
      result.running === 0
        ? safe`Asked every run to stop. No task is running; idle workers stop too.`
        : safe`Asked every run to stop. ${count(result.running, "running task")} can still finish; unfinished tasks become pending again.`
    )
  })
).pipe(
  Command.withDescription(
    "Stop every run and worker on the store, on all machines. Each one lets running tasks finish within the drain timeout, releases the others and exits. Runs that start later are not affected."
  ),
  Command.withShortDescription("Stop all runs"),
  Command.withExamples([{ command: "baton stop", description: "Stop all runs and workers" }]),
  Command.provide(store.layerExisting)
)
