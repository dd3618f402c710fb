import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { reply } from "../../../adapters/test/claude/server/Answer.ts"
import * as Server from "../../../adapters/test/claude/server/server.ts"
import { baton, folder } from "./baton.ts"

const verdict = { reasoning: "", passed: true, confidence: 1, feedback: "", issues: [] }
const isJudged = (body: unknown) => JSON.stringify(body).includes("json_schema")

const Created = Schema.Struct({ requests: Schema.Array(Schema.Unknown) })
const Budgets = Schema.fromJsonString(
  Schema.Tuple([
    Schema.Struct({
      spent: Schema.Struct({ costUsd: Schema.Finite }),
      reserved: Schema.Struct({ costUsd: Schema.Finite })
    })
  ])
)

describe("baton run --batch --max-cost", () => {
  it.live(
    "needs at most two batches for the tasks, and two for the judge, where the budget is a third more than the cost",
    () =>
      Effect.gen(function* () {
        const tasks = 400
        let answers = 0
        // From 100 to 180 tokens, in no order: $0.61 in all.
        const server = yield* Server.make({
          script: ({ body }) =>
            reply(isJudged(body) ? JSON.stringify(verdict) : "done", {
              usage: { input_tokens: 60, output_tokens: 100 + ((++answers * 7919) % 81) }
            })
        })
        const { path, write } = yield* folder
        write("tasks.txt", Array.from({ length: tasks }, (_, n) => `Task ${n}\n`).join(""))
        const env = { ANTHROPIC_API_KEY: "key", ANTHROPIC_BASE_URL: server.url }
        const model = ["--model", "claude-sonnet-5-5", "--judge-model", "claude-sonnet-5-5"]
        const run = ["run", "tasks.txt", "--executor", "claude", "--verifier", "claude", "--batch", ...model]
        const { code, stderr } = yield* baton(path, [...run, "--max-cost", "0.8"], env)
        assert.strictEqual(code, 0, stderr)
        const created = server.journal.filter(({ method, path }) => method === "POST" && path.endsWith("/batches"))
        const kinds = yield* Effect.forEach(created, ({ body }) =>
          Effect.map(Schema.decodeUnknownEffect(Created)(body), ({ requests }) => {
            const judged = requests.filter(isJudged).length
            return { judged, executed: requests.length - judged }
          })
        )
        const [budget] = yield* Schema.decodeEffect(Budgets)(
          (yield* baton(path, ["budget", "show", "--json"], env)).stdout
        )
        assert.strictEqual(budget.reserved.costUsd, 0)
        assert.isAtMost(kinds.filter(({ executed }) => executed > 0).length, 2, JSON.stringify(kinds))
        assert.isAtMost(kinds.filter(({ judged }) => judged > 0).length, 2, JSON.stringify(kinds))
      }).pipe(Effect.scoped)
  )
})
