/**
 * What `baton run` and `baton worker` do.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { hostname } from "node:os"
import { CommandFailed } from "../errors/CommandFailed.ts"
import type { RunFlags, SourceFlags } from "../flags/runFlags.ts"
import { count, number } from "../format/quantity.ts"
import { safeText } from "../format/safeText.ts"
import type { RunReport } from "../output/RunReport.ts"
import * as terminal from "../output/terminal.ts"
import { importSources } from "../sources/importSources.ts"
import * as store from "../store/storeFromUrl.ts"
import * as plans from "./plan.ts"
import { runTasks } from "./runTasks.ts"

/**
 * Imports the sources and works until nothing is left.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function* (flags: RunFlags & SourceFlags) {
  const plan = yield* prepare(flags)
  const work = Effect.gen(function* () {
    const imported = flags.sources.length === 0 ? null : yield* importAll(flags)
    yield* runTasks({ plan, flags, imported, endless: false, terminal: yield* terminal.stderr })
  })
  // Without sources there have to be tasks already; a new empty store would only hide that this is the wrong directory.
  yield* Effect.provide(work, flags.sources.length === 0 ? store.layerExisting : store.layer)
})

/**
 * Works on whatever comes into the store, without an end.
 *
 * @category running
 * @since 0.1.0
 */
export const work = Effect.fnUntraced(function* (flags: RunFlags) {
  const plan = yield* prepare(flags)
  const work = Effect.gen(function* () {
    yield* runTasks({ plan, flags, imported: null, endless: true, terminal: yield* terminal.stderr })
  })
  yield* Effect.provide(work, store.layer)
})

const prepare = Effect.fnUntraced(function* (flags: RunFlags) {
  if (flags.json && flags.output === "ndjson") {
    return yield* new CommandFailed({
      message: "--json and --output ndjson both want standard output: the last event has what --json would print."
    })
  }
  return yield* plans.make(flags, `${hostname()}/${process.pid}`)
})

const importAll = Effect.fnUntraced(function* (flags: RunFlags & SourceFlags) {
  const { added, existing, perSource, skipped, warnings } = yield* importSources(flags.sources, flags)
  for (const warning of warnings) yield* Console.error(safeText(warning))
  if (!flags.quiet) {
    for (const result of perSource) yield* Console.error(`${safeText(result.source)}: ${sentence(result)}`)
  }
  return { added, existing, skipped }
}, Effect.scoped)

const sentence = ({ added, existing, skipped }: NonNullable<RunReport["imported"]>): string =>
  [
    `${count(added, "task")} added`,
    ...(existing === 0 ? [] : [`${number(existing)} there before`]),
    ...(skipped === 0 ? [] : [`${number(skipped)} over already`])
  ].join(", ")
