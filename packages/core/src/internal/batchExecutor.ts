import * as Arr from "effect/Array"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as References from "effect/References"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import type { AttemptContext } from "../AttemptContext.ts"
import type { Execution } from "../Execution.ts"
import { ExecutionError } from "../ExecutionError.ts"
import type { BatchHandler, ExecutorService } from "../Executor.ts"
import type { SafetyStop } from "../SafetyStop.ts"
import type { Task } from "../Task.ts"
import { withoutAttempt } from "./logAnnotations.ts"

type Failure = ExecutionError | SafetyStop

/** One attempt that is to be executed together with others. */
class AttemptRequest extends Request.Class<
  { readonly task: Task; readonly context: AttemptContext },
  Execution,
  Failure
> {
  /** The call that executes it, once that has begun. */
  call: Call | undefined = undefined
}

/** A call of the handler. */
class Call {
  /** The attempts that wait for its result. */
  waiting: number
  readonly abandoned = Latch.makeUnsafe(false)
  readonly ended = Latch.makeUnsafe(false)

  constructor(waiting: number) {
    this.waiting = waiting
  }
}

/**
 * Collects attempts with a `RequestResolver`. That runs a call to its end even if all fibers that wait for it are
 * interrupted, so calls whose attempts were all cut off are interrupted here, and the last of these attempts awaits it.
 */
export const execute = (
  options: { readonly maxSize: number; readonly window: Duration.Input },
  handler: BatchHandler<never>
): ExecutorService["execute"] => {
  const resolver = RequestResolver.make<AttemptRequest>((entries) =>
    Effect.suspend(() => {
      const call = new Call(entries.length)
      for (const { request } of entries) request.call = call
      const attempts = Arr.map(entries, ({ request: { context, task } }) => ({ task, context }))
      const handled = Effect.updateService(
        Effect.suspend(() => handler(attempts)),
        References.CurrentLogAnnotations,
        withoutAttempt
      )
      return Effect.raceFirst(handled, Effect.andThen(call.abandoned.await, Effect.interrupt)).pipe(
        Effect.matchCauseEffect({
          onSuccess: (results) =>
            Effect.sync(() => {
              for (const entry of entries) {
                const result = results.get(entry.request.task.id)
                entry.completeUnsafe(
                  result === undefined
                    ? Exit.fail(noResult)
                    : result instanceof ExecutionError
                      ? Exit.fail(result)
                      : Exit.succeed(result)
                )
              }
            }),
          onFailure: (cause) =>
            Effect.sync(() => {
              const [first, ...others] = entries
              first.completeUnsafe(Exit.failCause(cause))
              // What the call used is counted once.
              const rest = Exit.mapError(Exit.failCause(cause), withoutUsage)
              for (const entry of others) entry.completeUnsafe(rest)
            })
        }),
        Effect.ensuring(Effect.sync(() => call.ended.openUnsafe()))
      )
    })
  ).pipe(RequestResolver.setDelay(options.window), RequestResolver.batchN(Math.max(1, options.maxSize)))

  const leave = ({ call }: AttemptRequest) =>
    Effect.suspend(() => {
      if (call === undefined || --call.waiting > 0) return Effect.void
      call.abandoned.openUnsafe()
      return call.ended.await
    })

  return (task, context) =>
    Effect.suspend(() => {
      const request = new AttemptRequest({ task, context })
      return Effect.onInterrupt(Effect.request(request, resolver), () => leave(request))
    })
}

const noResult = new ExecutionError({
  reason: "Failed",
  message: "The batch handler returned no result for this task."
})

const withoutUsage = (error: Failure): Failure => {
  if (error._tag === "SafetyStop" || error.usage === undefined) return error
  const { usage: _, ...rest } = error
  return new ExecutionError(rest)
}
