import { OptionalKey, Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, type Scope } from "effect"
import { type Answer, reply } from "../../../adapters/test/claude/server/Answer.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import * as Postgres from "../../../adapters/test/postgres/postgres.ts"
import * as Redis from "../../../adapters/test/redis/redis.ts"
import { QueueBudget } from "../../src/view/budgets.ts"
import { baton, folder, list, start } from "./baton.ts"

const decodeUsages = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Schema.Array(Schema.Struct({ usage: OptionalKey.optionalNullOr(Usage.Usage) })))
)

const decodeBudgets = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(QueueBudget)))

/** What the API bills for each request, whatever the worst case is: 100 and 20 tokens at $2 and $10 per million. */
const price = 0.0004

const answer = (options: { readonly before?: Promise<unknown> } = {}): Answer =>
  reply("Done.", { usage: { input_tokens: 100, output_tokens: 20 }, ...options })

const setUp = Effect.fnUntraced(function* (rows: number, script: () => Answer, store: string = "sqlite:baton.db") {
  const dir = yield* folder
  dir.write("tasks.txt", Array.from({ length: rows }, (_, index) => `Task ${index}\n`).join(""))
  const server = yield* Server.make({ script })
  const env = { BATON_STORE: store, ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_BASE_URL: server.url }
  const run = ["run", "tasks.txt", "--executor", "claude", "--no-verify", "--max-output-tokens", "200", "--no-cache"]
  return {
    server,
    bill: () => server.messages().length * price,
    budget: Effect.map(baton(dir.path, ["budget", "show", "--json"], env), ({ stdout }) => decodeBudgets(stdout)[0]),
    /** The cost of all tasks together, which is a range after a kill. */
    cost: Effect.gen(function* () {
      const { stdout } = yield* baton(dir.path, ["list", "--all", "--json"], env)
      const usages = (yield* decodeUsages(stdout)).flatMap(({ usage }) => usage ?? [])
      const least = usages.reduce((sum, usage) => sum + Usage.minUsd(usage), 0)
      return { least, most: usages.reduce((sum, usage) => sum + (Usage.maxUsd(usage) ?? NaN), 0) }
    }),
    tasks: list(dir.path, ["--store", store]),
    baton: (...args: ReadonlyArray<string>) => baton(dir.path, args, env),
    run: (...args: ReadonlyArray<string>) => baton(dir.path, [...run, ...args], env),
    start: (...args: ReadonlyArray<string>) => start(dir.path, [...run, ...args, "--output", "ndjson"], env)
  }
})

const at = (url: string, parameter: string, name: string) => {
  const place = new URL(url)
  place.searchParams.set(parameter, name)
  return place.href
}

/** Places for stores that several processes can share. */
const places: ReadonlyArray<
  readonly [name: string, isMissing: boolean, url: Effect.Effect<string, unknown, Scope.Scope>]
> = [
  ["SQLite", false, Effect.succeed("sqlite:baton.db")],
  ["PostgreSQL", Postgres.isMissing, Effect.map(Postgres.schema(), (name) => at(Postgres.url, "schema", name))],
  ["Redis", Redis.isMissing, Effect.map(Redis.prefix(), (name) => at(Redis.url, "prefix", name))]
]

describe("the budget of a queue", () => {
  for (const [name, isMissing, url] of places) {
    it.live.skipIf(isMissing)(
      `on ${name}, holds for two processes, a kill -9 and reruns, by the server's own bill`,
      () =>
        Effect.gen(function* () {
          let requests = 0
          const gate = Promise.withResolvers<void>()
          const { bill, budget, cost, run, server, start } = yield* setUp(
            140,
            () => {
              requests++
              // Some requests are unanswered when a process is killed.
              return requests > 20 && requests <= 30 ? answer({ before: gate.promise }) : answer()
            },
            yield* url
          )
          const limit = 0.05
          // On a busy machine, leases of a second also end while their process lives.
          const args = ["--max-cost", String(limit), "-j", "3", "--lease", "1s", "--max-attempts", "50"]
          const first = yield* start(...args)
          const second = yield* start(...args)
          // By the server's journal: it has a request before the script counts it.
          yield* Effect.promise(() => server.until(() => server.messages().length >= 24))
          yield* first.kill("SIGKILL")
          yield* first.ended
          gate.resolve()
          assert.strictEqual((yield* second.ended).code, 3)
          assert.isAtMost(bill(), limit)
          const third = yield* run(...args)
          assert.strictEqual(third.code, 3, third.stderr)
          assert.include(third.stderr, 'the budget of queue "tasks" is used up')
          assert.include(third.stderr, "budget set --queue tasks --max-cost USD", third.stderr)
          assert.isAtMost(bill(), limit)

          // The amount spent may exceed the bill: a killed process does not know the cost of its requests.
          const spent = yield* budget
          assert.isAtMost(spent?.spent.costUsd ?? Infinity, limit)
          assert.isAtLeast(spent?.spent.costUsd ?? 0, bill() - 1e-9)
          assert.deepStrictEqual(spent?.reserved, { costUsd: 0, tokens: 0 })
          // A call reserves little more than it costs, so almost all of the budget is used up. How much of that was billed depends
          // on the calls that the kill, and leases that ended on a busy machine, kept from being sent.
          assert.isAtLeast(spent?.spent.costUsd ?? 0, 0.93 * limit)

          const raised = yield* run(...args.with(1, "5"))
          assert.strictEqual(raised.code, 0, raised.stderr)
          assert.isAtMost(bill(), 5)
          // The attempts that were killed are repeated by now, so the range contains what they have cost.
          const { least, most } = yield* cost
          assert.isBelow(least, bill() - 1e-9)
          assert.isAtLeast(most, bill() - 1e-9)
        })
    )
  }

  it.live("is shown, raised and reset; --max-cost-per-run limits a run alone", () =>
    Effect.gen(function* () {
      const { baton, bill, budget, run, tasks } = yield* setUp(60, () => answer())
      const limited = yield* run("--max-cost", "0.005", "-j", "1")
      assert.strictEqual(limited.code, 3, limited.stderr)
      const answered = Math.round(bill() / price)
      assert.strictEqual((yield* tasks).filter(({ status }) => status === "completed").length, answered)
      assert.include((yield* baton("status")).stdout, `Budget  $${bill().toFixed(4)} of $0.0050 spent`)
      const shown = yield* budget
      assert.deepInclude(shown, { queue: "tasks", maxCostUsd: 0.005 })
      assert.notProperty(shown, "maxTokens")

      assert.strictEqual((yield* run("--max-cost", "0.005", "-j", "1")).code, 3)
      assert.strictEqual(Math.round(bill() / price), answered)

      const reset = yield* baton("budget", "reset")
      assert.include(reset.stdout, "tasks: $0.00 of $0.0050 spent")
      // The limit stays, also without the flag.
      const beforeReset = bill()
      assert.strictEqual((yield* run("-j", "1")).code, 3)
      // It knows from the store what answers use, so it spends more of the same limit than the first run.
      assert.isAtLeast(bill() - beforeReset, answered * price - 1e-9)
      assert.isAtMost(bill() - beforeReset, 0.005)

      const raised = yield* baton("budget", "set", "--max-cost", "1")
      assert.include(raised.stdout, "of $1.00 spent")
      const short = yield* run("-j", "1", "--max-cost-per-run", "0.006")
      assert.strictEqual(short.code, 3, short.stderr)
      assert.include(short.stderr, "the budget is used up")
      const last = yield* run("-j", "1")
      assert.strictEqual(last.code, 0, last.stderr)
    })
  )
})
