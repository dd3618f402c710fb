import { Usage } from "@baton/core"
import { Pricing, type Reply } from "@baton/adapters/claude"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { bundle } from "../../bundle.ts"
import * as Postgres from "../../postgres/postgres.ts"
import { folder } from "../../sqlite/temporary.ts"
import { reply, type Script } from "../../claude/server/Answer.ts"
import { control } from "../../claude/server/batches.ts"
import * as Server from "../../claude/server/server.ts"

const script = await bundle(new URL("../../claude/batches/fixtures/process.ts", import.meta.url))
const tasks = 20

const Report = Schema.fromJsonString(
  Schema.Struct({
    counts: Schema.Struct({ completed: Schema.Int, pending: Schema.Int, failed: Schema.Int }),
    results: Schema.Array(Schema.NullOr(Schema.String)),
    costUsd: Schema.Finite
  })
)

const exit = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

const kill = (child: ChildProcess) =>
  Effect.andThen(
    Effect.sync(() => child.kill("SIGKILL")),
    exit(child)
  )

const usage = { input_tokens: 1_000_000, output_tokens: 100_000 }
const verdict = { reasoning: "", passed: true, confidence: 1, feedback: "", issues: [] }

/** Every request uses the same, the judge's too. */
const answers: Script = ({ body }) =>
  reply(JSON.stringify(body).includes("json_schema") ? JSON.stringify(verdict) : "done", { usage })

/** A server, a list, and runs over it, each of them in its own process, by default on a SQLite store. */
const fixture = Effect.suspend(() => fixtureOn(folder))

const fixtureOn = Effect.fnUntraced(function* <E>(place: Effect.Effect<string, E, Scope.Scope>) {
  const server = yield* Server.make({ script: answers })
  const path = yield* place
  const start = (...options: ReadonlyArray<string>) =>
    Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [script, server.url, path, String(tasks), ...options])),
      kill
    )
  const finish = Effect.gen(function* () {
    const child = yield* start()
    let out = ""
    let err = ""
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    child.stderr.on("data", (chunk) => (err += String(chunk)))
    yield* exit(child)
    assert.strictEqual(err, "")
    // A program without its own logger logs to standard output.
    return yield* Schema.decodeEffect(Report)(out.trim().split("\n").at(-1) ?? "")
  })
  const seen = (method: string, path: RegExp) =>
    server.journal.filter((request) => request.method === method && path.test(request.path)).length
  const { all, end, set } = control(server)
  return {
    start,
    finish,
    set: (...settings: Parameters<typeof set>) => Effect.promise(() => set(...settings)),
    end: Effect.promise(end),
    batches: Effect.promise(all),
    /** Waits until the server has received this number of requests to create or to check a batch. */
    created: (count: number) => Effect.promise(() => server.until(() => seen("POST", /\/batches$/) >= count)),
    looked: Effect.promise(() => server.until(() => seen("GET", /\/batches\/[^/]+$/) >= 1)),
    path
  }
})

/** All done, in one batch for the work and one for the judge, and paid once at half the price. */
const assertDone = Effect.fnUntraced(function* (
  { batches, finish }: Effect.Success<typeof fixture>,
  sizes: ReadonlyArray<number> = [tasks, tasks]
) {
  const { costUsd, counts, results } = yield* finish
  assert.deepStrictEqual(counts, { completed: tasks, pending: 0, failed: 0 })
  assert.deepStrictEqual(new Set(results), new Set(["done"]))
  const created = (yield* batches).map(({ customIds }) => customIds)
  assert.deepStrictEqual(
    created.map(({ length }) => length),
    sizes
  )
  assert.strictEqual(new Set(created.flat()).size, 2 * tasks)
  const tokens = { ...Usage.zero, inputTokens: usage.input_tokens, outputTokens: usage.output_tokens }
  const price = (billing: Reply.Billing) =>
    Pricing.costUsd(Pricing.listed, "claude-haiku-5-5", { ...tokens, billing }) ?? 0
  assert.approximately(costUsd, 2 * tasks * price("batch"), 1e-6)
  assert.approximately(price("batch"), price("standard") / 2, 1e-9)
})

const killedWhileCreating = Effect.fnUntraced(function* (place: typeof fixture) {
  const all = yield* place
  yield* all.set({ creates: ["hang"] })
  const child = yield* all.start()
  yield* all.created(1)
  yield* kill(child)
  yield* assertDone(all)
}, Effect.scoped)

const killedWhileWaiting = Effect.fnUntraced(function* (place: typeof fixture) {
  const all = yield* place
  yield* all.set({ hold: true })
  const child = yield* all.start()
  yield* all.looked
  yield* kill(child)
  yield* all.set({ hold: false })
  yield* assertDone(all)
}, Effect.scoped)

describe("a run whose process is killed", () => {
  it.live("not at all: needs one batch for the work and one for the judge, at half the price", () =>
    Effect.scoped(Effect.flatMap(fixture, (all) => assertDone(all)))
  )

  it.live("while the batch is being created, resumes that batch", () => killedWhileCreating(fixture))

  it.live("after the response about the new batch was lost, resumes that batch", () =>
    Effect.gen(function* () {
      const all = yield* fixture
      yield* all.set({ creates: ["lose"], hold: true })
      const child = yield* all.start()
      yield* all.created(1)
      yield* kill(child)
      yield* all.set({ hold: false })
      yield* assertDone(all)
    }).pipe(Effect.scoped)
  )

  it.live("while it waits for the batch, resumes that batch", () => killedWhileWaiting(fixture))

  it.live("after incomplete results, reads them again", () =>
    Effect.gen(function* () {
      const all = yield* fixture
      yield* all.set({ cutResults: 1 })
      const child = yield* all.start()
      yield* all.created(2)
      yield* kill(child)
      // The judge had half of the outputs already.
      yield* assertDone(all, [tasks, tasks / 2, tasks / 2])
    }).pipe(Effect.scoped)
  )

  it.live("at its first answer, before the answer is in the store, takes it from the journal", () =>
    Effect.gen(function* () {
      const all = yield* fixture
      const child = yield* all.start("die")
      yield* exit(child)
      assert.strictEqual(child.signalCode, "SIGKILL")
      yield* assertDone(all)
    }).pipe(Effect.scoped)
  )

  it.live("while the judge's batch is being created, resumes both batches", () =>
    Effect.gen(function* () {
      const all = yield* fixture
      yield* all.set({ creates: ["ok", "hang"] })
      const child = yield* all.start()
      yield* all.created(2)
      yield* kill(child)
      yield* assertDone(all)
    }).pipe(Effect.scoped)
  )
})

describe.skipIf(Postgres.isMissing)("two machines on one PostgreSQL store", () => {
  const onPostgres = Effect.suspend(() =>
    fixtureOn(Effect.map(Effect.orDie(Postgres.schema()), (schema) => `${Postgres.url}#${schema}`))
  )

  it.live("the second collects the batch that the first one created, after the first has died", () =>
    killedWhileWaiting(onPostgres)
  )

  it.live("the second finds a batch that the first one was creating when it died", () =>
    killedWhileCreating(onPostgres)
  )
})
