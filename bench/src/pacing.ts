/** What it costs that thousands of requests wait for their turn, against as many fibers that sleep. */
import { Pacing, Reply } from "@baton/adapters/claude"
import { Effect, Fiber } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { report } from "./measurement.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const count = 10_000
const waited = 1000

/** Megabytes that `count` of them take while they wait, and the processor's milliseconds from their start to their end. */
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
  tokens: Reply.noTokens,
  billing: "standard",
  requestId: null,
  cached: false
})

/** The machine and its garbage only ever add to a figure. */
const least = (figures: ReadonlyArray<{ readonly megabytes: number; readonly cpuMillis: number }>) => ({
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
  return { sleeping: least(figures.sleeping), waiting: least(figures.waiting) }
}).pipe(Effect.scoped)

const { sleeping, waiting } = await Effect.runPromise(main)
const kinds = [
  ["memory", "megabytes", "MB", "<= 1.75 x: each has a place in a queue"],
  ["processor, for 1 s and their end", "cpuMillis", "ms", "<= 1.15 x"]
] as const
for (const [name, figure, unit, target] of kinds) {
  report({ what: `${count} fibers that sleep, ${name}`, value: sleeping[figure], unit })
  report({
    what: `${count} requests that wait, ${name}`,
    value: waiting[figure],
    unit,
    against: `${count} fibers that sleep, ${name}`,
    target
  })
}
