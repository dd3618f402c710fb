import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { add } from "../commands/harness.ts"
import { baton, test } from "./harness.ts"

/** Starts a worker, with functions that wait for its output. */
const start = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const seen = new Map<string, Deferred.Deferred<void>>()
  const saw = (event: string) => {
    const known = seen.get(event) ?? Deferred.makeUnsafe<void>()
    seen.set(event, known)
    return known
  }
  const fiber = yield* Effect.forkScoped(
    baton(["worker", "--executor", "fake", "--verifier", "always-pass", "--output", "ndjson", ...args], {
      onStdout: (text) =>
        Effect.forEach(
          text.trimEnd().split("\n"),
          (line) => Deferred.succeed(saw(String(JSON.parse(line).event)), undefined),
          { discard: true }
        )
    })
  )
  const event = (name: string) => Deferred.await(saw(name))
  yield* event("RunStarted")
  return { ended: Fiber.join(fiber), event }
})

describe("baton worker", () => {
  test(
    "executes tasks that are added while it waits, until it is stopped",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const worker = yield* start()
      yield* add({ id: "late", description: "Come late" })
      yield* worker.event("TaskCompleted")
      yield* store.request("stop")
      const { exitCode, stderr } = yield* worker.ended
      assert.strictEqual(exitCode, 0)
      assert.include(stderr, "✓ Stopped as requested: 1 task completed")
    })
  )

  test(
    "pauses and resumes, and reports both",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const worker = yield* start()
      yield* store.request("pause")
      yield* worker.event("Paused")
      yield* add({ id: "a", description: "Do a" })
      yield* store.request("resume")
      yield* worker.event("TaskCompleted")
      yield* store.request("stop")
      const { stderr } = yield* worker.ended
      assert.include(stderr, "! paused; run `baton resume` to resume\n✓ resumed\n")
    })
  )

  test(
    "exits with 3 at a limit",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "Do a" }, { id: "b", description: "Do b" })
      const worker = yield* start("--max-iterations", "1", "-j", "1")
      const { exitCode } = yield* worker.ended
      assert.strictEqual(exitCode, 3)
    })
  )
})
