/** The cost of thousands of requests that wait for a rate limit, compared with as many sleeping fibers. */
import { Pacing, type Reply } from "@baton/adapters/claude"
import { Usage } from "@baton/core"
import { Effect, Fiber } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { report } from "./measurement.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const count = 10_000
const waited = 1000

/** The megabytes that `count` waiting fibers take, and the CPU milliseconds from their start to their end. */
const measure = (wait: () => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    const cpu = process.cpuUsage()
    const fibers = yield* Effect.forEach(Array.from({ length: count }), () =>
      Effect.forkChild(wait(), { startImmediately: true })
    )
    yield* Effect.sleep(waited)
    const { system, user } = process.cpuUsage(cpu)
    collectGarbage()
    const megabytes = (process.memoryUsage().heapUsed - before) / 2 ** 20
    const ending = process.cpuUsage()
    yield* Fiber.interruptAll(fibers)
    const ended = process.cpuUsage(ending)
    return { megabytes, cpuMillis: (system + user + ended.system + ended.user) / 1000 }
  })

const request = {
  model: "claude-sonnet-5-5",
  max_tokens: 100,
  messages: [{ role: "user" as const, content: "Say hello" }]
}
const reply = Effect.succeed<Reply.Reply>({
  id: "msg_1",
  model: request.model,
  text: "Hello",
  content: [],
  stopReason: "end_turn",
  refusal: null,
  usage: Usage.zero,
  billing: "standard",
  requestId: null,
  cached: false
})

/** The minimum of each figure, because other work and garbage can only increase it. */
const minimum = (figures: ReadonlyArray<{ readonly megabytes: number; readonly cpuMillis: number }>) => ({
  megabytes: Math.min(...figures.map(({ megabytes }) => megabytes)),
  cpuMillis: Math.min(...figures.map(({ cpuMillis }) => cpuMillis))
})

const main = Effect.gen(function* () {
  const pacing = yield* Pacing.make({ requestsPerMinute: 1 })
  yield* pacing.pace(request, () => reply)
  const sleeping = () => measure(() => Effect.sleep("1 hour"))
  const waiting = () => measure(() => pacing.pace(request, () => reply))
  const figures = { sleeping: [yield* sleeping()], waiting: [yield* waiting()] }
  for (let round = 0; round < 4; round++) {
    figures.sleeping.push(yield* sleeping())
    figures.waiting.push(yield* waiting())
  }
  return { sleeping: minimum(figures.sleeping), waiting: minimum(figures.waiting) }
}).pipe(Effect.scoped)

const { sleeping, waiting } = await Effect.runPromise(main)
const kinds = [
  ["memory", "megabytes", "MB", "<= 1.75 x: each has an entry in a queue"],
  ["CPU time, for 1 s and their end", "cpuMillis", "ms", "<= 1.15 x"]
] as const
for (const [name, figure, unit, target] of kinds) {
  report({ what: `${count} sleeping fibers, ${name}`, value: sleeping[figure], unit })
  report({
    what: `${count} waiting requests, ${name}`,
    value: waiting[figure],
    unit,
    against: `${count} sleeping fibers, ${name}`,
    target
  })
}
