/** How long the executions of a runner wait that is killed, or frozen, until they continue on another one. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Effect, Layer, Queue } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { freePort } from "../../../packages/adapters/test/servers/process.ts"
import { Steps } from "./loop.ts"
import type { Report } from "./runner.ts"

const program = fileURLToPath(new URL("runner.ts", import.meta.url))
const runners = 3
const executions = 30
const killsOfChecker = 5

/**
 * Seconds from the fault until the code of each execution runs on another runner, for each kind of fault. It then replays its
 * completed steps, which takes the longer, the more there are.
 */
export const takeovers = Effect.fnUntraced(function* (url: string) {
  const changes = yield* Queue.sliding<void>(1)
  const changed = () => void Queue.offerUnsafe(changes, undefined)
  const until = (isSo: () => boolean) =>
    Effect.gen(function* () {
      while (!isSo()) yield* Queue.take(changes)
    })

  /** The runner of each execution, since when it is that, and the executions with a step that began since then. */
  const runnerOf = new Map<number, number>()
  const since = new Map<number, number>()
  const underWay = new Set<number>()
  const worker = Steps.toLayer(
    ({ n }) =>
      Effect.gen(function* () {
        if (runnerOf.has(n)) underWay.add(n)
        changed()
        yield* Effect.sleep("1 second")
        return { n }
      }),
    { concurrency: executions, onEnd: "log" }
  )
  yield* Layer.build(Layer.provide(worker, Layer.fresh(PostgresTaskStore.layer({ url }))))

  /** The runner that checks whether the others are alive. */
  let checker: number | undefined
  const launch = (index: number) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const port = await freePort()
        const child = fork(program, [url, port, index === 0 ? executions : 0].map(String), {
          stdio: ["ignore", "ignore", "inherit", "ipc"]
        })
        child.on("message", (report: Report) => {
          if (report === "checks") checker = index
          else if (runnerOf.get(report) !== index) {
            runnerOf.set(report, index)
            since.set(report, performance.now())
            underWay.delete(report)
          }
          changed()
        })
        return { index, child }
      }),
      ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
    )
  const alive = yield* Effect.forEach(
    Array.from({ length: runners }, (_, index) => index),
    launch
  )
  let launched = runners

  const ofRunner = (index: number) =>
    Array.from(runnerOf)
      .filter(([, runner]) => runner === index)
      .map(([n]) => n)

  /** Stops the checker or the other runner with the most executions, waits until all of them continue, and replaces it. */
  const stop = Effect.fnUntraced(function* (signal: "SIGKILL" | "SIGSTOP", isOfChecker: boolean) {
    const areAllUnderWay = () =>
      underWay.size === executions &&
      alive.every(({ index }) => ofRunner(index).length > 0) &&
      alive.some(({ index }) => index === checker)
    yield* until(areAllUnderWay)
    // The shards of runners that have just started still move.
    yield* Effect.sleep("10 seconds")
    yield* until(areAllUnderWay)
    const [victim] = alive
      .filter(({ index }) => (index === checker) === isOfChecker)
      .toSorted((left, right) => ofRunner(right.index).length - ofRunner(left.index).length)
    if (victim === undefined) return []
    const waiting = ofRunner(victim.index)
    const fault = performance.now()
    victim.child.kill(signal)
    yield* until(() => waiting.every((n) => runnerOf.get(n) !== victim.index))
    const seconds = waiting.map((n) => ((since.get(n) ?? Number.NaN) - fault) / 1000)
    alive.splice(alive.indexOf(victim), 1, yield* launch(launched++))
    return seconds
  })

  const kill = yield* stop("SIGKILL", false)
  const freeze = yield* stop("SIGSTOP", false)
  const ofChecker: Array<number> = []
  for (let kills = 0; kills < killsOfChecker; kills++) ofChecker.push(...(yield* stop("SIGKILL", true)))
  return { kill, freeze, "kill of the one that checks the others": ofChecker }
}, Effect.scoped)
