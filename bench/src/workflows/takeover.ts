/** How long the executions of a runner wait that is killed, or frozen, until they continue on another one. */
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Effect, Layer, Queue } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { freePort } from "../../../packages/adapters/test/servers/process.ts"
import { Steps } from "./loop.ts"

const program = fileURLToPath(new URL("runner.ts", import.meta.url))
const runners = 3
const executions = 30

/** Seconds from the fault to the next step of each execution, for each kind of fault. */
export const takeovers = Effect.fnUntraced(function* (url: string) {
  const changes = yield* Queue.sliding<void>(1)
  const changed = () => void Queue.offerUnsafe(changes, undefined)
  const until = (isSo: () => boolean) =>
    Effect.gen(function* () {
      while (!isSo()) yield* Queue.take(changes)
    })

  /** The runner of each execution, and the executions with a step that began since their runner changed. */
  const runnerOf = new Map<number, number>()
  const stepBegan = new Map<number, number>()
  const worker = Steps.toLayer(
    ({ n }) =>
      Effect.gen(function* () {
        if (runnerOf.has(n) && !stepBegan.has(n)) stepBegan.set(n, performance.now())
        changed()
        yield* Effect.sleep("1 second")
        return { n }
      }),
    { concurrency: executions, onEnd: "log" }
  )
  yield* Layer.build(Layer.provide(worker, Layer.fresh(PostgresTaskStore.layer({ url }))))

  const children = yield* Effect.forEach(Array.from({ length: runners }), (_, index) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const port = await freePort()
        const child = fork(program, [url, port, index === 0 ? executions : 0].map(String), {
          stdio: ["ignore", "ignore", "inherit", "ipc"]
        })
        child.on("message", (n: number) => {
          if (runnerOf.get(n) === index) return
          runnerOf.set(n, index)
          stepBegan.delete(n)
          changed()
        })
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
  )
  const areAllUnderWay = () => stepBegan.size === executions
  const ofRunner = (index: number) =>
    Array.from(runnerOf)
      .filter(([, runner]) => runner === index)
      .map(([n]) => n)

  /** Stops the runner with the most executions, and waits until all of them continue on another one. */
  const stop = Effect.fnUntraced(function* (signal: "SIGKILL" | "SIGSTOP") {
    yield* until(areAllUnderWay)
    // The shards of runners that have just started still move.
    yield* Effect.sleep("10 seconds")
    yield* until(areAllUnderWay)
    const [victim = 0] = children
      .map((_, index) => index)
      .toSorted((left, right) => ofRunner(right).length - ofRunner(left).length)
    const waiting = ofRunner(victim)
    const began = performance.now()
    children[victim]?.kill(signal)
    yield* until(() => waiting.every((n) => runnerOf.get(n) !== victim && stepBegan.has(n)))
    return waiting.map((n) => ((stepBegan.get(n) ?? Number.NaN) - began) / 1000)
  })

  return { kill: yield* stop("SIGKILL"), freeze: yield* stop("SIGSTOP") }
}, Effect.scoped)
