import * as Effect from "effect/Effect"
import type { ExecutorService, FakeOptions, FakeStep } from "../Executor.ts"
import * as Execution from "../Execution.ts"
import { ExecutionError } from "../ExecutionError.ts"

const failed: FakeStep = { _tag: "Fail", error: new ExecutionError({ reason: "Failed", message: "Fake failure" }) }
const succeeded: FakeStep = { _tag: "Succeed" }

export const execute = (options: FakeOptions): ExecutorService["execute"] => {
  const { delay, failures = 0, output = "Fake result", script, success = true } = options
  const run: ExecutorService["execute"] = (task, context) => {
    const step = script?.(task, context) ?? (success && context.attempt > failures ? succeeded : failed)
    switch (step._tag) {
      case "Succeed":
        return Effect.succeed(
          Execution.make({ output: step.output ?? `${output} for: ${task.description}`, confidence: 0.9 })
        )
      case "Fail":
        return Effect.fail(step.error)
      case "Hang":
        return Effect.never
    }
  }
  return delay === undefined ? run : (task, context) => Effect.delay(run(task, context), delay)
}
