/**
 * Runs one program under limits, together with all processes that it starts.
 *
 * The program leads its own process group. However its run ends, by itself, by a limit or by interruption, the group ends
 * with it: children that the program left in the background do not outlive it. The only exceptions are processes that moved
 * to another session or group (`setsid`, the jobs of an interactive shell).
 *
 * The executor and the verifier of this package use `run`, and so can your own.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessHandle, ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Command } from "./Command.ts"
import * as Guardian from "./internal/guardian.ts"
import { ProgramError } from "./ProgramError.ts"

/**
 * One step of stopping a program: a signal, and how long the program may take to end before the next step.
 *
 * @category models
 * @since 0.1.0
 */
export interface StopStep {
  readonly signal: ChildProcess.Signal
  readonly grace: Duration.Input
}

/**
 * The program to run, its directory and environment, and its limits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly command: Command
  /** Default: the working directory of this process. */
  readonly cwd?: string | undefined
  /** Added to the environment of this process; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | Redacted.Redacted<string> | undefined>> | undefined
  /** How long one run may take. Default: no limit. */
  readonly timeout?: Duration.Input | undefined
  /** How long the program may print nothing to stdout and stderr. Default: no limit. */
  readonly idleTimeout?: Duration.Input | undefined
}

/**
 * One run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Settings {
  /** Written to standard input, which is then closed. The program does not have to read it. */
  readonly stdin: string
  /** Receives the program's output, chunk by chunk. When it returns false, the program is stopped. */
  readonly stdout: (chunk: Uint8Array) => boolean
  readonly stderr: (chunk: Uint8Array) => boolean
  /**
   * How the program is stopped by a limit or by interruption. Each signal goes to the whole process group, and SIGKILL follows
   * the last. The output is read until the end.
   */
  readonly stop: readonly [...ReadonlyArray<StopStep>, StopStep]
}

/**
 * The exit of a program. `exitCode` and `signal` are those of the program, also when a limit stopped it: one of them is null, or
 * both when the program could not be stopped, for instance because it runs as another user.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProgramExit {
  readonly endedBy: "itself" | "timeout" | "idleTimeout" | "outputLimit"
  readonly exitCode: number | null
  /** The signal that killed the program, such as `SIGKILL`. */
  readonly signal: string | null
  readonly durationMillis: number
}

/**
 * Runs a program to its end. Interrupting it stops the program and returns when the program has ended.
 *
 * **Details**
 *
 * A run ends with the program itself. The output of its remaining children is read for up to a second; then the rest of the
 * group gets SIGTERM, and SIGKILL a second later. Children in the background and open pipes do not keep a run from ending.
 *
 * **Gotchas**
 *
 * A group counts as alive while one of its dead processes has not been reaped. Where process 1 does not reap, as in a
 * container without an init (`docker run --init` adds one), a run that leaves children behind ends up to two seconds later.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (
  spawner: ChildProcessSpawner["Service"],
  options: Options
): Effect.Effect<ProgramExit, ProgramError> => Effect.scoped(runScoped(spawner, options))

// How long the children of an ended program may run: first to write their output, then after SIGTERM.
const leftoverGrace = Duration.seconds(1)

const runScoped = Effect.fnUntraced(function* (
  spawner: ChildProcessSpawner["Service"],
  options: Options
): Effect.fn.Return<ProgramExit, ProgramError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const startedAt = clock.currentTimeMillisUnsafe()
  const handle = yield* start(spawner, options)
  yield* endWithProcess(handle.pid)

  let stopped = false
  const stop = Effect.andThen(
    stopGroup(handle, options.stop),
    Effect.sync(() => {
      stopped = true
    })
  )
  let lastByteAt = startedAt
  const full = Deferred.makeUnsafe<void>()
  const read = (stream: ChildProcessHandle["stdout"], push: Options["stdout"]) =>
    Stream.runForEachArray(stream, (chunks) =>
      Effect.sync(() => {
        lastByteAt = clock.currentTimeMillisUnsafe()
        for (const chunk of chunks) {
          if (!push(chunk)) Deferred.doneUnsafe(full, Exit.void)
        }
      })
    )
  const readers = [
    yield* Effect.forkScoped(read(handle.stdout, options.stdout), { startImmediately: true }),
    yield* Effect.forkScoped(read(handle.stderr, options.stderr), { startImmediately: true })
  ]
  const drained = Effect.timeoutOption(Fiber.joinAll(readers), leftoverGrace).pipe(
    Effect.mapError((cause) => new ProgramError({ reason: "Unknown", message: "Its output could not be read.", cause }))
  )
  // Registered last, so that an interrupted program is stopped while its output is still read: a program that blocks on a
  // full pipe could not end.
  yield* Effect.addFinalizer(() => (stopped ? Effect.void : stop))

  const silentFor = () => clock.currentTimeMillisUnsafe() - lastByteAt
  const endings: Array<Effect.Effect<ProgramExit["endedBy"]>> = [
    Effect.as(Effect.exit(handle.exitCode), "itself"),
    Effect.as(Deferred.await(full), "outputLimit")
  ]
  if (options.timeout !== undefined) endings.push(Effect.as(Effect.sleep(options.timeout), "timeout"))
  if (options.idleTimeout !== undefined) {
    endings.push(Effect.as(idle(Duration.toMillis(options.idleTimeout), silentFor), "idleTimeout"))
  }
  const endedBy = yield* Effect.raceAllFirst(endings)

  if (endedBy !== "itself") yield* stop
  if ((yield* drained)._tag === "None" && endedBy === "itself") {
    yield* Effect.ignore(handle.kill({ forceKillAfter: leftoverGrace }))
    yield* drained
  }
  // The rest of the group ends with the scope.
  stopped = true
  const status = yield* exitStatus(handle)
  return {
    // The exit may be observed before the last output.
    endedBy: endedBy === "itself" && Deferred.isDoneUnsafe(full) ? "outputLimit" : endedBy,
    ...status,
    durationMillis: clock.currentTimeMillisUnsafe() - startedAt
  }
})

// One timer that is set again when it fires, instead of one for each chunk.
const idle = Effect.fnUntraced(function* (limit: number, silentFor: () => number) {
  for (let rest = limit; rest > 0; rest = limit - silentFor()) yield* Effect.sleep(rest)
})

const start = (spawner: ChildProcessSpawner["Service"], options: Options) => {
  const { command, cwd, env = {} } = options
  const settings: ChildProcess.CommandOptions = {
    cwd,
    env,
    extendEnv: true,
    stdin: Stream.succeed(new TextEncoder().encode(options.stdin)),
    // Applies to the rest of the group when the scope closes.
    forceKillAfter: leftoverGrace
  }
  return spawner
    .spawn(
      command._tag === "Shell"
        ? ChildProcess.make(command.script, { ...settings, shell: true })
        : ChildProcess.make(command.program, command.args, settings)
    )
    .pipe(
      Effect.mapError(ProgramError.from(command, cwd)),
      // Node throws what the system refuses at once, such as an environment that is too large (E2BIG).
      Effect.catchDefect((defect) => Effect.fail(ProgramError.from(command, cwd)(defect)))
    )
}

const stopGroup = (handle: ChildProcessHandle, steps: Options["stop"]) =>
  Effect.forEach(
    steps,
    ({ grace, signal }, index) =>
      index === steps.length - 1
        ? Effect.ignore(handle.kill({ killSignal: signal, forceKillAfter: grace }))
        : Effect.ignore(Effect.timeoutOption(handle.kill({ killSignal: signal }), grace)),
    { discard: true }
  )

const exitStatus = Effect.fnUntraced(function* (
  handle: ChildProcessHandle
): Effect.fn.Return<Pick<ProgramExit, "exitCode" | "signal">> {
  const running = yield* Effect.orElseSucceed(handle.isRunning, () => true)
  if (running) return { exitCode: null, signal: null }
  return yield* Effect.match(handle.exitCode, {
    onSuccess: (exitCode) => ({ exitCode, signal: null }),
    // The handle reports the signal only in the text of this error.
    onFailure: (error) => ({ exitCode: null, signal: /SIG[A-Z0-9]+/.exec(String(error.cause))?.[0] ?? "a signal" })
  })
})

const groups = new Set<number>()
let hasExitListener = false

/**
 * Kills the process group when this process exits before the scope is closed: after a second Ctrl-C, an uncaught exception or
 * `process.exit`. The program is in another session, so it gets no signal from the terminal, and would continue to work and
 * to cost money with no process to read its output. After `kill -9`, a helper does it.
 */
const endWithProcess = (pid: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      groups.add(pid)
      Guardian.watch(pid)
      // One listener for all programs: Node reports eleven listeners as a leak.
      if (!hasExitListener) globalThis.process.on("exit", killGroups)
      hasExitListener = true
    }),
    () =>
      Effect.sync(() => {
        groups.delete(pid)
        Guardian.release(pid)
      })
  )

const killGroups = () => {
  for (const pid of groups) Result.try(() => globalThis.process.kill(-pid, "SIGKILL"))
}
