import { Deferred, Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { WorkerConfig } from "./worker.ts"

/** A place for one worker process, which can be killed and started again, frozen and thawed. */
export interface Slot {
  /** Whether its process has a store and is not frozen. */
  readonly isWorking: () => boolean
  /** Ends it as a crash would; returns its name and when that was. */
  readonly kill: Effect.Effect<{ readonly worker: string; readonly at: number }>
  readonly start: Effect.Effect<void>
  /** Stops it where it is; returns its name and when that was. */
  readonly freeze: Effect.Effect<{ readonly worker: string; readonly at: number }>
  readonly thaw: Effect.Effect<void>
  /** Tells it to stop; what it was still alive after the deadline, or null. */
  readonly stop: Effect.Effect<string | null>
}

const program = fileURLToPath(new URL("worker.ts", import.meta.url))

/** What a worker says as soon as it works. */
export const announcement = "It works.\n"

/** How much of what a worker says is kept for the case that it ends by itself. */
const keptOutput = 4000

/** Longer than a run takes to drain: see `drainTimeout` of the worker, and what the store may need to answer. */
const stopDeadline = "30 seconds"

/** `ended` is completed if a worker ends that nobody killed. All processes are killed when the scope closes. */
export const makeSlot = Effect.fnUntraced(function* (
  index: number,
  config: Omit<WorkerConfig, "name">,
  ended: Deferred.Deferred<string>
): Effect.fn.Return<Slot, never, Scope.Scope> {
  let child: ChildProcess | undefined
  let starts = 0
  let frozen = false
  let ready = false
  let expected = false
  const name = () => `worker${index}.${starts}`

  const start = Effect.sync(() => {
    starts++
    expected = false
    ready = false
    let output = ""
    const argument: WorkerConfig = { ...config, name: name() }
    const started = spawn(process.execPath, [program, JSON.stringify(argument)], { stdio: ["pipe", "pipe", "pipe"] })
    child = started
    const keep = (bytes: Buffer) => {
      output = (output + bytes.toString()).slice(-keptOutput)
    }
    started.stdout.on("data", (bytes: Buffer) => {
      keep(bytes)
      if (child === started && bytes.includes(announcement)) ready = true
    })
    started.stderr.on("data", keep)
    started.once("exit", (code, signal) => {
      if (child !== started || expected) return
      const how = `${argument.name} ended by itself (${signal ?? `exit ${code}`}):\n${output}`
      Deferred.doneUnsafe(ended, Effect.succeed(how))
    })
  })

  const awaitExit = Effect.callback<void>((resume) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

  const signal = (signal: NodeJS.Signals) =>
    Effect.sync(() => {
      child?.kill(signal)
    })

  const kill = Effect.suspend(() => {
    expected = true
    ready = false
    const killed = { worker: name(), at: Date.now() }
    child?.kill("SIGKILL")
    return Effect.as(awaitExit, killed)
  })

  yield* Effect.addFinalizer(() => kill)
  yield* start
  return {
    isWorking: () => ready && !frozen,
    kill,
    start,
    freeze: Effect.suspend(() => {
      frozen = true
      return Effect.as(signal("SIGSTOP"), { worker: name(), at: Date.now() })
    }),
    thaw: Effect.suspend(() => {
      frozen = false
      return signal("SIGCONT")
    }),
    stop: Effect.gen(function* () {
      expected = true
      yield* signal("SIGTERM")
      const stopped = yield* Effect.timeoutOption(awaitExit, stopDeadline)
      if (stopped._tag === "Some") return null
      yield* kill
      return `${name()} did not stop within ${stopDeadline} of a SIGTERM.`
    })
  }
})
