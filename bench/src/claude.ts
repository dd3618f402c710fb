/** The overhead of ClaudeExecutor over the official SDK, against a server in another process that answers at once. */
import Anthropic from "@anthropic-ai/sdk"
import { ClaudeClient, ClaudeExecutor } from "@baton/adapters/claude"
import { Attempt, type AttemptContext, Executor, Task } from "@baton/core"
import { DateTime, Effect, Layer, ManagedRuntime, Redacted } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { report } from "./measurement.ts"

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const program = fileURLToPath(new URL("../../packages/adapters/test/claude/server/main.ts", import.meta.url))
const server = spawn(process.execPath, [program, "--no-journal"], { stdio: ["ignore", "pipe", "inherit"] })
const url = await new Promise<string>((resolve) =>
  server.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()))
)

const concurrency = 64
const model = "claude-haiku-5-5"
const description = "Describe this package in a few sentences: its purpose, its users and its requirements. ".repeat(8)

const bare = new Anthropic({ apiKey: "key", baseURL: url, maxRetries: 0, openTelemetry: false, logLevel: "off" })

/** The same call with the SDK alone: the complete text of an answer, and its usage. */
const callSdk = async () => {
  let text = ""
  let output = 0
  const stream = await bare.messages.create({
    model,
    max_tokens: 8192,
    messages: [{ role: "user", content: description }],
    stream: true
  })
  for await (const event of stream) {
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text
    else if (event.type === "message_delta") output = event.usage.output_tokens
  }
  if (text.length < description.length || output === 0) throw new Error("incomplete answer")
}

const withSdk = async (count: number) => {
  let left = count
  const work = async () => {
    while (left-- > 0) await callSdk()
  }
  await Promise.all(Array.from({ length: concurrency }, work))
}

const runtime = ManagedRuntime.make(
  ClaudeExecutor.layer({ model }).pipe(
    Layer.provide(ClaudeClient.layer({ apiKey: Redacted.make("key"), baseUrl: url }))
  )
)
const now = DateTime.nowUnsafe()
const task: Task.Task = {
  id: Task.TaskId.make("task"),
  queue: Task.defaultQueue,
  description,
  overrides: {},
  status: "in_progress",
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: now,
  dependsOn: [],
  requeues: 0,
  verified: false,
  createdAt: now,
  updatedAt: now
}
const context: AttemptContext = {
  attempt: 1,
  leaseToken: Attempt.LeaseToken.make(1),
  idempotencyKey: "task/1",
  dependencies: Effect.succeed([]),
  progress: () => Effect.void,
  earlierAttempts: Effect.succeed([]),
  spend: ({ call }) => call
}

const withExecutor = (count: number) =>
  runtime.runPromise(
    Executor.Executor.use((executor) => {
      let left = count
      const work = Effect.whileLoop({
        while: () => left-- > 0,
        body: () => executor.execute(task, context),
        step: () => {}
      })
      return Effect.all(
        Array.from({ length: concurrency }, () => work),
        { concurrency: "unbounded", discard: true }
      )
    })
  )

// The best of many short rounds, because other work on the machine can only slow a round down. On a busy machine, CPU time
// is more reliable than elapsed time.
const calls = 500
const rounds = 40
const time = async (best: { wall: number; cpu: number }, work: (count: number) => Promise<unknown>) => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work(calls)
  best.wall = Math.min(best.wall, ((performance.now() - start) / calls) * 1000)
  const { system, user } = process.cpuUsage(cpu)
  best.cpu = Math.min(best.cpu, (user + system) / calls)
}
const sdk = { wall: Infinity, cpu: Infinity }
const executor = { wall: Infinity, cpu: Infinity }
await withSdk(2000)
await withExecutor(2000)
for (let round = 0; round < rounds; round++) {
  await time(sdk, withSdk)
  await time(executor, withExecutor)
}
const target = "<= 1.15 x"
const base = "1 000 streamed calls, 64 at once, bare SDK"
const baseCpu = `${base}, CPU time`
report({ what: base, value: sdk.wall, unit: "ms" })
report({ what: base.replace("bare SDK", "ClaudeExecutor"), value: executor.wall, unit: "ms", against: base, target })
report({ what: baseCpu, value: sdk.cpu, unit: "ms" })
report({
  what: baseCpu.replace("bare SDK", "ClaudeExecutor"),
  value: executor.cpu,
  unit: "ms",
  against: baseCpu,
  target
})

/** The heap in use while no call is in progress, in megabytes, after garbage collection and finalizers. */
const heap = async () => {
  for (let round = 0; round < 4; round++) {
    collectGarbage()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return process.memoryUsage().heapUsed / 2 ** 20
}
const before = await heap()
await withExecutor(50_000)
const after = await heap()
const few = "memory after these calls"
report({ what: few, value: before, unit: "MB" })
report({ what: "memory after 50 000 more", value: after, unit: "MB", against: few, target: "<= 1.1 x" })

await runtime.dispose()
server.kill()
process.exit(0)
