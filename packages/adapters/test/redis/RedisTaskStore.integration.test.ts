import { TaskStoreSuite } from "@baton/core/testing"
import { RedisTaskStore } from "@baton/adapters/redis"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { describe } from "vitest"
import { add, client, isMissing, keys, layerAt, open, prefix, url } from "./redis.ts"
import { soak } from "../../../core/test/soak.ts"

// Side by side: most of the time, a case waits for a lease to end or for the disk.
describe.skipIf(isMissing)("on a server", { concurrent: true }, () => {
  TaskStoreSuite.suite(it, {
    name: "Redis",
    makePlace: prefix(),
    open: (name) => layerAt({ prefix: name }),
    capabilities: { virtualTime: false },
    sequences: soak * 6
  })

  it.live("removes the keys of its prefix only", () =>
    Effect.gen(function* () {
      const name = yield* prefix()
      const [gone, kept] = [`${name}[1]*`, `${name}[1]*x`]
      for (const each of [gone, kept]) {
        yield* Effect.scoped(Effect.flatMap(open({ prefix: each }), (store) => add(store, "a")))
      }
      const redis = yield* client()
      yield* RedisTaskStore.remove({ url, prefix: gone })
      assert.deepStrictEqual(yield* Effect.promise(() => redis.exists(`{${gone}}:meta`)), 0)
      assert.strictEqual((yield* (yield* open({ prefix: kept })).counts).pending, 1)
      yield* RedisTaskStore.remove({ url, prefix: kept })
      assert.deepStrictEqual(yield* keys(redis, `${name}*`), [])
    })
  )
})
