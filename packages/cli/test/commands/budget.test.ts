import { assert, describe } from "@effect/vitest"
import { TaskStore } from "@baton/core"
import { Effect } from "effect"
import { add, baton, test, text } from "./harness.ts"

const budgets = TaskStore.TaskStore.use((store) => Effect.orDie(Effect.fromNullishOr(store.budgets)))

const spend = (queue: string, nanoUsd: number) =>
  Effect.flatMap(budgets, ({ set }) => set(queue, { committed: { nanoUsd, tokens: 120 } }))

describe("baton budget", () => {
  test(
    "sets, shows and resets the budget of the only queue",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "A", queue: "prompts" })
      assert.deepStrictEqual(yield* baton(["budget", "show"]), {
        stdout: "",
        stderr: text("No budget is set. Set one with `baton budget set --max-cost USD`."),
        exitCode: 0
      })
      const set = yield* baton(["budget", "set", "--max-cost", "5"])
      assert.strictEqual(set.stdout, text("prompts: $0.00 of $5.00 spent"))
      yield* spend("prompts", 1.5e9)
      yield* baton(["budget", "set", "--max-tokens", "1000"])
      assert.strictEqual(
        (yield* baton(["budget", "show"])).stdout,
        text("prompts: $1.50 of $5.00 spent, 120 of 1,000 tokens used")
      )
      assert.strictEqual(
        (yield* baton(["budget", "set", "--max-cost", "none", "--max-tokens", "none"])).stdout,
        text("prompts: $1.50 spent, no limit")
      )
      assert.strictEqual((yield* baton(["budget", "reset"])).stdout, text("prompts: $0.00 spent, no limit"))
    })
  )

  test(
    "prints JSON",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "A", queue: "prompts" })
      yield* baton(["budget", "set", "--max-cost", "0.25"])
      yield* spend("prompts", 1e8)
      const budget = {
        queue: "prompts",
        maxCostUsd: 0.25,
        spent: { costUsd: 0.1, tokens: 120 },
        reserved: { costUsd: 0, tokens: 0 }
      }
      assert.deepStrictEqual(JSON.parse((yield* baton(["budget", "show", "--json"])).stdout), [budget])
      assert.deepStrictEqual(JSON.parse((yield* baton(["status", "--json"])).stdout).budgets, [budget])
    })
  )

  test(
    "needs the name of the queue where there are several, and shows all of them",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "A", queue: "x" }, { id: "b", description: "B", queue: "y" })
      const unnamed = yield* baton(["budget", "set", "--max-cost", "1"])
      assert.include(unnamed.stderr, "This store has several queues: x, y. Name one, as in --queue x.")
      assert.strictEqual(unnamed.exitCode, 1)
      yield* baton(["budget", "set", "--max-cost", "1", "--queue", "x"])
      yield* baton(["budget", "set", "--max-cost", "2", "--queue", "y"])
      const both = text("x: $0.00 of $1.00 spent", "y: $0.00 of $2.00 spent")
      assert.strictEqual((yield* baton(["budget", "show"])).stdout, both)
      assert.include(
        (yield* baton(["status"])).stdout,
        "Budgets\n  x: $0.00 of $1.00 spent\n  y: $0.00 of $2.00 spent\n"
      )
      assert.strictEqual((yield* baton(["budget", "show", "--queue", "y"])).stdout, text("y: $0.00 of $2.00 spent"))
    })
  )

  test(
    "refuses to set nothing",
    Effect.gen(function* () {
      yield* add({ id: "a", description: "A" })
      const { exitCode, stderr } = yield* baton(["budget", "set"])
      assert.include(stderr, "There is no limit to set. Add --max-cost USD or --max-tokens N.")
      assert.strictEqual(exitCode, 1)
    })
  )
})
