import { NodeServices } from "@effect/platform-node"
import { Cause, ConfigProvider, Console, Effect, Exit, Layer, Runtime, Sink, Stdio } from "effect"
import { format, isDeepStrictEqual } from "node:util"
import { run } from "../../src/main.ts"
import type { ProcessResult } from "./baton.ts"

/** A folder and the variables of the environment. */
interface Place {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

const here = (): Place => ({ cwd: process.cwd(), env: process.env })

const go = ({ cwd, env }: Place) => {
  process.chdir(cwd)
  process.env = env
}

/** The place of the command lines that run. Several run at the same time only in the same place. */
let shared: { readonly place: Place; readonly before: Place; users: number } | undefined

const enter = (place: Place) => {
  if (shared === undefined) {
    shared = { place, before: here(), users: 1 }
    go(place)
  } else if (isDeepStrictEqual(shared.place, place)) {
    shared.users++
  } else {
    throw new Error("A command line runs in another folder or environment: use the built program for both.")
  }
}

const leave = () => {
  if (shared === undefined || --shared.users > 0) return
  go(shared.before)
  shared = undefined
}

const text = (part: string | Uint8Array) => (typeof part === "string" ? part : Buffer.from(part).toString())

/** Collects what is written to one of the standard streams, through Stdio or a console. */
const makeOutput = () => {
  let written = ""
  return {
    written: () => written,
    sink: () => Sink.forEach((part: string | Uint8Array) => Effect.sync(() => void (written += text(part)))),
    line: (...parts: ReadonlyArray<unknown>) => void (written += `${format(...parts)}\n`)
  }
}

/**
 * Runs a command line in this process, without standard input and a terminal: a tenth of the time of a process. For signals,
 * pipes, configuration files that import, JSON logs and processes that share a store, use the built program.
 */
export const baton = Effect.fnUntraced(function* (
  cwd: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {}
): Effect.fn.Return<ProcessResult> {
  const [stdout, stderr] = [makeOutput(), makeOutput()]
  const place = { cwd, env: { PATH: process.env["PATH"] ?? "", ...env } }
  const own: Console.Console = Object.assign(Object.create(console), {
    ...{ log: stdout.line, info: stdout.line, debug: stdout.line },
    ...{ error: stderr.line, warn: stderr.line }
  })
  const services = Layer.mergeAll(
    Stdio.layerTest({ stdout: stdout.sink, stderr: stderr.sink }),
    ConfigProvider.layer(ConfigProvider.fromEnv({ env: place.env })),
    Layer.succeed(Console.Console, own)
  )
  const exit = yield* Effect.acquireUseRelease(
    Effect.sync(() => enter(place)),
    () => Effect.exit(Effect.provide(run(args), Layer.provideMerge(services, NodeServices.layer), { local: true })),
    () => Effect.sync(leave)
  )
  if (Exit.isFailure(exit) && Exit.hasDies(exit)) return yield* Effect.die(Cause.squash(exit.cause))
  let code = -1
  Runtime.defaultTeardown(exit, (given) => {
    code = given
  })
  return { code, signal: null, stdout: stdout.written(), stderr: stderr.written() }
})
