import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { crashTest } from "../../src/crashTest.ts"
import { repeatCommand, table, violations } from "../../src/report.ts"
import { servers, storeNames } from "../../src/stores.ts"

const tasks = 100
/** Slow enough that faults hit running tasks, and that the test lasts for all of them. */
const pace = 12
const seconds = 240
/** Generous, because other tests may keep the machine busy. `test:crash` measures. */
const marginMillis = 15_000

const seed = Number(process.env.BATON_TEST_SEED ?? process.pid % 1_000_000)

describe("workers that are killed, frozen and disconnected", () => {
  for (const store of storeNames) {
    const server = servers[store]
    const isMissing = server !== undefined && !server.isInstalled()
    if (isMissing)
      console.warn(`\n${"!".repeat(80)}\n${server.missing} ${store.toUpperCase()} IS NOT TESTED.\n${"!".repeat(80)}\n`)
    if (isMissing && process.env.CI === "true") it(store, () => assert.fail(server.missing))
    else {
      it.live.skipIf(isMissing)(
        `lose nothing and settle nothing twice on ${store}`,
        () =>
          Effect.gen(function* () {
            const result = yield* crashTest(store, { seed, tasks, pace, seconds, marginMillis, keep: undefined })
            const { findings, injected } = result
            const report = findings.violations.length === 0 ? "" : violations(result)
            assert.strictEqual(report, "", `Repeat it with: ${repeatCommand({ store, seed, tasks, pace })}`)
            assert.strictEqual(findings.completed + findings.failed, tasks)
            // Random, so one kind of fault may be missing.
            const { freeze, kill } = injected.counts
            assert.isAbove(kill + freeze, 0, table([result]))
          }),
        (seconds + 60) * 1000
      )
    }
  }
})
