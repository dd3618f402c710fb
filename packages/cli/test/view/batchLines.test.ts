import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { batchLines } from "../../src/view/batchLines.ts"
import { none } from "../../src/view/style.ts"
import { beside } from "../../src/settings/beside.ts"

const batch = (id: string | null, requests: number, seconds: number) => ({
  id,
  requests,
  seconds,
  createdAt: DateTime.makeUnsafe(0)
})

const lines = (...batches: ReadonlyArray<ReturnType<typeof batch>>) =>
  batchLines({ batches }, { style: none, columns: 80 })

describe("the batches under way", () => {
  it.effect("are not there to be told of when there are none", () =>
    Effect.sync(() => assert.deepStrictEqual(lines(), []))
  )

  it.effect("are told with their size, their age and their id, or why there is none", () =>
    Effect.sync(() =>
      assert.deepStrictEqual(lines(batch("msgbatch_1", 400, 7260), batch(null, 1, 5)), [
        "",
        "In 2 batches: 401 requests",
        "  400 requests for 2h 01m  msgbatch_1",
        "  1 request for 5.0s  nobody has heard yet that it was created",
        "  The run that sent them, or the same command again, takes the answers."
      ])
    )
  )

  it.effect("are counted beyond five", () =>
    Effect.sync(() => {
      const many = lines(...Array.from({ length: 8 }, (_, n) => batch(`msgbatch_${n}`, 10, 60)))
      assert.include(many, "In 8 batches: 80 requests")
      assert.include(many, "  and 3 more")
    })
  )
})

describe("the journal of batches", () => {
  it.effect("is beside a store that is a file, and at the place of the default one for a server's", () =>
    Effect.sync(() => {
      assert.strictEqual(beside("sqlite:.baton/baton.db", "batches"), ".baton/baton.batches.db")
      assert.strictEqual(beside("json:/lists/tasks.json", "batches"), "/lists/tasks.batches.db")
      assert.strictEqual(beside("memory:", "batches"), undefined)
      assert.match(
        beside("postgres://me:secret@host/tasks", "batches") ?? "",
        /^\.baton\/postgres-[0-9a-f]{12}\.batches\.db$/
      )
    })
  )

  it.effect("is the same for a server's store whatever the password, and another one for another database", () =>
    Effect.sync(() => {
      const of = (url: string) => beside(url, "batches")
      assert.strictEqual(of("postgres://me:old@host/tasks"), of("postgres://me:new@host/tasks"))
      assert.notStrictEqual(of("postgres://me@host/tasks"), of("postgres://me@host/others"))
    })
  )
})
