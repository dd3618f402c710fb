import { Deferred, Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { readyMessage, type WorkerConfig } from "./workerProgram.ts"

/** A slot for one worker process, which can be killed, restarted, frozen and thawed. */
export interface Slot {
  /** Whether its process has opened the store and is not frozen. */
  readonly isWorking: () => boolean
  /** Kills the process; returns its name and the time. */
  readonly kill: Effect.Effect<{ readonly worker: string; readonly at: number }>
  readonly start: Effect.Effect<void>
  /** Freezes the process with SIGSTOP; returns its name and the time. */
  readonly freeze: Effect.Effect<{ readonly worker: string; readonly at: number }>
  readonly thaw: Effect.Effect<void>
  /** Stops the process with SIGTERM; returns a message if it was still alive after the deadline, else null. */
  readonly stop: Effect.Effect<string | null>
}

/** The file of a worker program, which calls `runWorker`, and its arguments after the `WorkerConfig`. */
export interface Program {
  readonly file: string
  readonly args: ReadonlyArray<string>
}

/** How many characters of a worker's output are kept for the report of an unexpected exit. */
const keptOutput = 4000

/** Longer than a run takes to drain: the worker's `drainTimeout` plus the time of the last writes. */
const stopDeadline = "30 seconds"

/** Completes `ended` if a worker exits unexpectedly. All processes are killed when the scope closes. */
export const makeSlot = Effect.fnUntraced(function* (
  index: number,
  program: Program,
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
    const started = spawn(process.execPath, [program.file, JSON.stringify(argument), ...program.args], {
      stdio: ["pipe", "pipe", "pipe"]
    })
    child = started
    const keep = (bytes: Buffer) => {
      output = (output + bytes.toString()).slice(-keptOutput)
    }
    started.stdout.on("data", (bytes: Buffer) => {
      keep(bytes)
      if (child === started && bytes.includes(readyMessage)) ready = true
    })
    started.stderr.on("data", keep)
    started.once("exit", (code, signal) => {
      if (child !== started || expected) return
      const how = `${argument.name} exited unexpectedly (${signal ?? `exit ${code}`}):\n${output}`
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
      return `${name()} did not stop within ${stopDeadline} after SIGTERM.`
    })
  }
})
