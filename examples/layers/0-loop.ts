// Layer 0, the loop: take the next task, execute it, save the result, until no task is left.
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"

const pending = ["Name the release", "Outline the announcement", "Translate the changelog"]
const results = new Map<string, string>()

const getNext = Effect.sync(() => pending.shift())
const execute = (task: string) => Effect.succeed(`a result for "${task}"`)
const saveResult = (task: string, result: string) => Effect.sync(() => results.set(task, result))

const loop = Effect.gen(function* () {
  for (let task = yield* getNext; task !== undefined; task = yield* getNext) {
    yield* saveResult(task, yield* execute(task))
  }
})

const program = Effect.gen(function* () {
  yield* loop
  for (const [task, result] of results) yield* Console.log(`${task}: ${result}`)
})

NodeRuntime.runMain(program)
