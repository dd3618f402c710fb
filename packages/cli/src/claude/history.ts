/**
 * What tasks of a store have taken so far, as the best guess at what others will take.
 *
 * @since 0.1.0
 */
import { TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { pages } from "../system/pages.ts"

/**
 * What can be expected of a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface History {
  /** From how many completed tasks it is known; 0 where it is assumed. */
  readonly tasks: number
  /** Attempts of a task. */
  readonly attempts: number
  /** Tokens of an answer. */
  readonly answerTokens: number
  /** Tokens of a verdict, its reasoning included. */
  readonly verdictTokens: number
}

const examined = 200

/** A few paragraphs, unless it may not be that long. */
const assumedAnswer = (maxTokens: number): number => Math.min(500, Math.ceil(maxTokens / 2))

const assumedVerdict = 200

/**
 * Reads the ledgers of completed tasks that this model has done.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (options: {
  readonly model: string
  /** The longest answer there can be. */
  readonly maxTokens: number
}): Effect.fn.Return<History, TaskStoreError, TaskStore> {
  const store = yield* TaskStore
  const done = yield* Stream.runCollect(pages({ status: "completed", limit: examined }))
  const ledgers = yield* Effect.forEach(
    done.filter(({ usage }) => usage !== null),
    ({ id }) => store.attempts(id),
    { concurrency: 16 }
  )
  const attempts = ledgers.flat().filter(({ execution }) => {
    const { cached, model } = execution?.metadata ?? {}
    // What came out of the response cache has used nothing, and the next one will.
    return cached !== true && typeof model === "string" && undated(model) === undated(options.model)
  })
  const answers = attempts.flatMap(({ execution }) => execution?.usage?.outputTokens ?? [])
  const verdicts = attempts.flatMap(({ verification }) => verification?.usage?.outputTokens ?? [])
  const tasks = new Set(attempts.map(({ taskId }) => taskId)).size
  return {
    tasks,
    attempts: tasks === 0 ? 1 : attempts.length / tasks,
    answerTokens: average(answers) ?? assumedAnswer(options.maxTokens),
    verdictTokens: average(verdicts) ?? assumedVerdict
  }
})

const undated = (model: string): string => model.replace(/-\d{8}$/, "")

const average = (numbers: ReadonlyArray<number>): number | undefined =>
  numbers.length === 0 ? undefined : Math.round(numbers.reduce((sum, number) => sum + number, 0) / numbers.length)
