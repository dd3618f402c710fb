import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { reply } from "../../../adapters/test/claude/server/Answer.ts"
import { control } from "../../../adapters/test/claude/server/batches.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { baton, folder, list, start } from "./baton.ts"

const tasks = 12
const verdict = { reasoning: "", passed: true, confidence: 1, feedback: "", issues: [] }

const world = Effect.gen(function* () {
  const server = yield* Server.make({
    script: ({ body }) => reply(JSON.stringify(body).includes("json_schema") ? JSON.stringify(verdict) : "done")
  })
  const { path, write } = yield* folder
  write("tasks.txt", Array.from({ length: tasks }, (_, n) => `Task ${n}\n`).join(""))
  const env = { ANTHROPIC_API_KEY: "key", ANTHROPIC_BASE_URL: server.url }
  const claude = ["--executor", "claude", "--verifier", "claude", "--batch"]
  // On a busy machine, leases of a second also end while their process lives.
  const args = ["run", "tasks.txt", ...claude, "--lease", "1s", "--max-attempts", "50"]
  const { all, set } = control(server)
  const seen = (method: string, path: RegExp) =>
    server.journal.filter((request) => request.method === method && path.test(request.path)).length
  return {
    path,
    write,
    lastId: Effect.map(Effect.promise(all), (batches) => batches.at(-1)?.id ?? ""),
    run: (...more: ReadonlyArray<string>) => baton(path, [...args, ...more], env),
    start: start(path, args, env),
    baton: (...args: ReadonlyArray<string>) => baton(path, args, env),
    set: (settings: Parameters<typeof set>[0]) => Effect.promise(() => set(settings)),
    sizes: Effect.map(Effect.promise(all), (batches) => batches.map(({ customIds }) => customIds.length)),
    created: Effect.promise(() => server.until(() => seen("POST", /\/batches$/) > 0)),
    looked: Effect.promise(() => server.until(() => seen("GET", /\/batches\/[^/]+$/) > 0)),
    completed: Effect.map(list(path), (all) => all.filter(({ status }) => status === "completed").length)
  }
})

/** A run that is stopped while it waits for its batch. */
const stopWaiting = Effect.fnUntraced(function* ({ looked, set, start }: Effect.Success<typeof world>) {
  yield* set({ hold: true })
  const stopped = yield* start
  yield* looked
  yield* stopped.kill("SIGINT")
  return yield* stopped.ended
})

describe("baton run --batch", () => {
  it.live("completes all tasks with one batch after a kill during the batch's creation", () =>
    Effect.gen(function* () {
      const all = yield* world
      yield* all.set({ creates: ["hang"] })
      const killed = yield* all.start
      yield* all.created
      yield* killed.kill("SIGKILL")
      yield* killed.ended
      const { code, stderr } = yield* all.run()
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(yield* all.completed, tasks)
      // One batch for the tasks, one for the judge.
      assert.deepStrictEqual(yield* all.sizes, [tasks, tasks])
    }).pipe(Effect.scoped)
  )

  it.live("exits at once on Ctrl-C, reports the pending requests, and resumes them on the next run", () =>
    Effect.gen(function* () {
      const all = yield* world
      const { code, stderr } = yield* stopWaiting(all)
      assert.strictEqual(code, 130)
      assert.include(stderr, `${tasks} requests are in a batch, which continues without this run.`)
      assert.notInclude(stderr, "may finish")
      assert.include((yield* all.baton("status")).stdout, `Pending batches: ${tasks} requests in 1 batch`)
      const [pending] = JSON.parse((yield* all.baton("batch", "list", "--json")).stdout)
      assert.deepInclude(pending, { id: yield* all.lastId, queue: "tasks", requests: tasks })
      const one = yield* all.baton("run", "--executor", "claude", "--no-verify", "--max-iterations", "1")
      assert.include(one.stderr, `${tasks} requests of this list are in a batch. Add --batch to collect the results`)

      yield* all.set({ hold: false })
      const again = yield* all.run("--json")
      assert.strictEqual(again.code, 0, again.stderr)
      assert.strictEqual(yield* all.completed, tasks)
      assert.deepStrictEqual(yield* all.sizes, [tasks, tasks - 1])
      assert.notInclude((yield* all.baton("status")).stdout, "Pending batches")
    }).pipe(Effect.scoped)
  )

  it.live("sends the requests of a cancelled batch again", () =>
    Effect.gen(function* () {
      const all = yield* world
      yield* stopWaiting(all)
      const cancelled = yield* all.baton("batch", "cancel", yield* all.lastId)
      assert.strictEqual(cancelled.code, 0, cancelled.stderr)
      assert.include(cancelled.stdout, `${tasks} requests in 1 batch: cancelled.`)

      yield* all.set({ hold: false })
      const again = yield* all.run()
      assert.strictEqual(again.code, 0, again.stderr)
      assert.strictEqual(yield* all.completed, tasks)
      // Nothing was answered before. The last batch is the judge's.
      assert.deepStrictEqual(yield* all.sizes, [tasks, tasks, tasks])
    }).pipe(Effect.scoped)
  )

  it.live("refuses to start next to the journal of an earlier version", () =>
    Effect.gen(function* () {
      const all = yield* world
      yield* all.baton("import", "tasks.txt")
      all.write(".baton/baton.batches.db", "")
      const { code, stderr } = yield* all.run()
      assert.strictEqual(code, 1)
      assert.match(stderr, /baton\.batches\.db has the batches of an earlier version of Baton, /)
      assert.deepStrictEqual(yield* all.sizes, [])
    }).pipe(Effect.scoped)
  )

  it.live("verifies outputs with a program, a few at a time", () =>
    Effect.gen(function* () {
      const all = yield* world
      const { code, stderr } = yield* all.baton(
        ...["run", "tasks.txt", "--executor", "claude", "--batch", "--verify", "grep -q done"]
      )
      assert.strictEqual(code, 0, stderr)
      assert.deepStrictEqual(yield* all.sizes, [tasks])
    }).pipe(Effect.scoped)
  )

  it.live("refuses flags that do not work with batches", () =>
    Effect.gen(function* () {
      const { baton } = yield* world
      const refusal = (...args: ReadonlyArray<string>) =>
        Effect.map(baton("run", "tasks.txt", "--batch", ...args), ({ code, stderr }) => {
          assert.strictEqual(code, 1)
          return stderr.trim()
        })
      assert.match(
        yield* refusal("--exec", "cat"),
        /--batch only works with --executor claude\. Add --executor claude, or remove --batch\.$/
      )
      assert.match(
        yield* refusal("--executor", "claude", "--store", "memory:"),
        /--batch does not work with a store in memory, .*Remove --store memory:\.$/
      )
    }).pipe(Effect.scoped)
  )
})
