import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { prove } from "../src/prove.ts"
import { repeat, table, violations } from "../src/report.ts"
import { servers, storeNames } from "../src/stores.ts"

const tasks = 400
/** So slow that the faults hit work, and that it lasts for all of them. */
const pace = 12
const seconds = 120
/** The other packages' tests may keep the machine busy meanwhile. The full proof measures. */
const marginMillis = 15_000

const seed = Number(process.env.BATON_TEST_SEED ?? process.pid % 1_000_000)

describe("workers that are killed, frozen and cut off", () => {
  for (const store of storeNames) {
    const server = servers[store]
    const isMissing = server !== undefined && !server.isInstalled()
    if (isMissing)
      console.warn(`\n${"!".repeat(80)}\n${server.missing} ${store.toUpperCase()} IS NOT PROVED.\n${"!".repeat(80)}\n`)
    if (isMissing && process.env.CI === "true") it(store, () => assert.fail(server.missing))
    else {
      it.live.skipIf(isMissing)(
        `lose nothing and settle nothing twice on ${store}`,
        () =>
          Effect.gen(function* () {
            const proof = yield* prove({ store, seed, tasks, pace, seconds, marginMillis, keep: undefined })
            const { findings, injected } = proof
            const story = findings.violations.length === 0 ? "" : violations(proof)
            assert.strictEqual(story, "", `To repeat it: ${repeat({ store, seed, tasks, pace })}`)
            assert.strictEqual(findings.completed + findings.failed, tasks)
            const { freeze, kill } = injected.counts
            assert.isAbove(Math.min(kill, freeze), 0, table([proof]))
          }),
        (seconds + 60) * 1000
      )
    }
  }
})
