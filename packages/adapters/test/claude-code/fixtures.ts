import { ClaudeCodeExecutor } from "@baton/adapters/claude-code"
import { type AttemptContext, Executor, type Safety, type Task, type Usage } from "@baton/core"
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { attempt, directory, task } from "../command/fixtures.ts"

const script = fileURLToPath(new URL("stand-in.mjs", import.meta.url))

export type Options = NonNullable<Parameters<typeof ClaudeCodeExecutor.layer>[0]>

/** A program in place of `claude`, and its input. */
export const standIn = Effect.map(directory, (path) => {
  const program = join(path, "claude")
  const log = join(path, "log")
  const pids = join(path, "pids")
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`)
  chmodSync(program, 0o755)
  const lines = (): ReadonlyArray<unknown> =>
    existsSync(log)
      ? readFileSync(log, "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      : []
  return {
    path,
    pids,
    /** The calls, and the signals that it got. */
    lines,
    /** The options for one of its situations. */
    in: (situation: string, options: Options = {}): Options => ({
      ...options,
      program,
      env: { STAND_IN: situation, STAND_IN_LOG: log, STAND_IN_PIDS: pids, ...options.env }
    })
  }
})

export const execute = (
  options: Options,
  what: { readonly task?: Partial<Task.Task>; readonly attempt?: Partial<AttemptContext> } = {}
) =>
  Executor.Executor.use((executor) => executor.execute(task(what.task), attempt(what.attempt))).pipe(
    Effect.provide(ClaudeCodeExecutor.layer(options).pipe(Layer.provide(NodeServices.layer)))
  )

/** The error that it ends in. */
export const failure = Effect.fnUntraced(function* (...args: Parameters<typeof execute>) {
  const error = yield* Effect.flip(execute(...args))
  return error._tag === "ExecutionError" ? error : yield* Effect.die(new Error(error.message))
})

/** A context that records reservations and spending. */
export const ledger = () => {
  const reserved: Array<Safety.Spend> = []
  const spent: Array<Usage.Usage | undefined> = []
  const context: Pick<AttemptContext, "spend"> = {
    spend: ({ call, spent: read, worstCase }) =>
      Effect.suspend(() => {
        reserved.push(worstCase)
        return Effect.onExit(call, (exit) => Effect.sync(() => spent.push(read(exit))))
      })
  }
  return { context, reserved, spent }
}
