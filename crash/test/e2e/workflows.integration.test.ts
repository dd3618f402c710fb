import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { servers } from "../../src/stores.ts"
import { workflowsReport, workflowsTest } from "../../src/workflows.ts"

const seed = Number(process.env.BATON_TEST_SEED ?? process.pid % 1_000_000)
/** Generous, because other tests may keep the machine busy. */
const seconds = 240

it.live.skipIf(servers.postgres?.isInstalled() !== true)(
  "workflows end once when each kind of fault has hit their runners",
  () =>
    Effect.gen(function* () {
      const result = yield* workflowsTest({
        seed,
        executions: 8,
        seconds,
        faults: 4,
        // Short, so that the test is. A busy runner can then lose its executions, which must not matter either.
        lockSeconds: 6,
        history: undefined
      })
      assert.deepStrictEqual(result.violations, [], `seed ${seed}\n${workflowsReport(result)}`)
      assert.deepStrictEqual(result.injected, { kill: 1, freeze: 1, cut: 1, restart: 1 })
    }),
  (seconds + 60) * 1000
)
