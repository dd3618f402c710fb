/**
 * Works on the tasks of a store, shows how it goes, and tells how it ended.
 *
 * @since 0.1.0
 */
import type { Event } from "@baton/core/Event"
import * as Hooks from "@baton/core/Hooks"
import * as Orchestrator from "@baton/core/Orchestrator"
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { EndedWith, exitCodes } from "../errors/CommandFailed.ts"
import type { RunFlags } from "../flags/runFlags.ts"
import { StoreUrl } from "../flags/storeUrl.ts"
import * as Display from "../output/Display.ts"
import { eventJson } from "../output/eventJson.ts"
import { LogLines } from "../output/logger.ts"
import { exitCode, RunReport } from "../output/RunReport.ts"
import { writeAll, writeLine } from "../output/stdout.ts"
import { summary } from "../output/summary.ts"
import type { Terminal } from "../output/terminal.ts"
import * as childGroups from "../process/childGroups.ts"
import { signalExitCode } from "../process/signals.ts"
import { commandName } from "../tasks/commandName.ts"
import type { Plan } from "./plan.ts"

/**
 * A run, planned.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly plan: Plan
  readonly flags: Pick<RunFlags, "json" | "output" | "quiet">
  readonly terminal: Terminal
  readonly imported: RunReport["imported"]
  /** Waits for new tasks and has no end. */
  readonly endless: boolean
}

/**
 * Runs until nothing is left, or without an end. Fails with the exit code when that is not zero.
 *
 * @category running
 * @since 0.1.0
 */
export const runTasks = Effect.fnUntraced(function* (options: Options) {
  const { endless, flags, plan, terminal } = options
  const store = yield* TaskStore
  const counts = yield* store.counts
  const display = yield* Display.make(
    { terminal, store, lease: plan.lease, concurrency: plan.concurrency, endless, quiet: flags.quiet },
    counts
  )

  const work = Effect.gen(function* () {
    const orchestrator = yield* Orchestrator.Orchestrator
    const run = endless ? orchestrator.runForever : orchestrator.run
    yield* flags.output === "ndjson" ? withEvents(run, orchestrator.events, display) : Effect.asVoid(run)
  }).pipe(Effect.provide(layerOf(plan, display.hook)), Effect.provideService(LogLines, display.line))

  // However the run ends, a signal included, its end is told; so the telling cannot be interrupted.
  yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(restore(work))
      const code = yield* tell(options, display)
      if (Exit.isFailure(exit)) return yield* exit
      if (code !== exitCodes.ok) return yield* new EndedWith({ exitCode: code })
    })
  )
}, Effect.scoped)

const layerOf = (plan: Plan, hook: Hooks.Hook) =>
  Orchestrator.layer(plan.config).pipe(
    Layer.provide([plan.executor, plan.verifier, plan.safety, Hooks.layer(hook)]),
    Layer.provide(childGroups.layer)
  )

/**
 * Writes the events while the run goes on, the last one included. When nobody reads them any more, the run ends as by a
 * signal.
 *
 * Not a hook: hooks that take too long are cut off, and a reader may take all the time it wants.
 */
const withEvents = <A, E, R>(run: Effect.Effect<A, E, R>, events: Stream.Stream<Event>, display: Display.Display) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const writer = yield* events.pipe(
        Stream.takeUntil((event) => event._tag === "RunEnded"),
        Stream.mapArray((events) => [events.map((event) => `${eventJson(event)}\n`).join("")]),
        writeAll,
        Effect.tapError(() => Effect.sync(() => display.line("nobody reads standard output any more: ending"))),
        Effect.interruptible,
        // Subscribed before the run starts, so that no event is missed.
        Effect.forkChild({ startImmediately: true })
      )
      const broken = Effect.matchEffect(Fiber.join(writer), { onFailure: Effect.fail, onSuccess: () => Effect.never })
      const exit = yield* Effect.exit(restore(Effect.raceFirst(run, broken)))
      // A run that never started has no last event to wait for.
      yield* display.progress.ended === undefined ? Fiber.interrupt(writer) : Fiber.await(writer)
      yield* exit
    })
  )

/** Tells how the run ended, and returns the exit code for it. */
const tell = Effect.fnUntraced(function* (options: Options, { flush, line, progress }: Display.Display) {
  const { ended } = progress
  if (ended === undefined) return exitCodes.error
  const store = yield* TaskStore
  const counts = yield* store.counts
  const code =
    exitCode({ ...ended, counts }, options) ??
    (ended.reason._tag === "Interrupted" ? signalExitCode() : exitCodes.error)
  const report = { ...ended, counts, exitCode: code, imported: options.imported }
  if (!options.flags.quiet) {
    const { columns, style } = options.terminal
    const command = yield* commandName
    const lines = summary(report, progress, {
      style,
      columns: columns(),
      command,
      endless: options.endless,
      unverifiedIsMeant: options.plan.unverifiedIsMeant,
      storeIsGone: (yield* StoreUrl).startsWith("memory:")
    })
    for (const text of lines) line(text)
  }
  yield* flush
  if (options.flags.json) yield* writeLine(encodeReport(report))
  return code
})

const encodeReport = Schema.encodeSync(Schema.fromJsonString(RunReport))
