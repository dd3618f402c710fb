import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect } from "effect"
import { batchLines } from "../../src/view/status.ts"
import { none } from "../../src/view/style.ts"
import { siblingFile } from "../../src/settings/siblingFile.ts"

const batch = (id: string | undefined, requests: number, seconds: number) => ({
  id,
  queue: "default",
  requests,
  seconds,
  createdAt: DateTime.makeUnsafe(0)
})

const lines = (...batches: ReadonlyArray<ReturnType<typeof batch>>) =>
  batchLines({ batches }, { style: none, columns: 80 })

describe("the pending batches", () => {
  it.effect("are not reported if there are none", () => Effect.sync(() => assert.deepStrictEqual(lines(), [])))

  it.effect("are reported with size, age and id, or the reason why there is no id", () =>
    Effect.sync(() =>
      assert.deepStrictEqual(lines(batch("msgbatch_1", 400, 7260), batch(undefined, 1, 5)), [
        "",
        "Pending batches: 401 requests in 2 batches",
        "  400 requests for 2h 01m  msgbatch_1",
        "  1 request for 5.0s  creation not confirmed",
        "  A run with --batch collects the results."
      ])
    )
  )

  it.effect("are listed up to five; the others are counted", () =>
    Effect.sync(() => {
      const many = lines(...Array.from({ length: 8 }, (_, n) => batch(`msgbatch_${n}`, 10, 60)))
      assert.include(many, "Pending batches: 80 requests in 8 batches")
      assert.include(many, "  and 3 more")
    })
  )
})

describe("the journal of batches", () => {
  it.effect("is next to a store in a file, and in the default directory for a store on a server", () =>
    Effect.sync(() => {
      assert.strictEqual(siblingFile("sqlite:.baton/baton.db", "batches"), ".baton/baton.batches.db")
      assert.strictEqual(siblingFile("json:/lists/tasks.json", "batches"), "/lists/tasks.batches.db")
      assert.strictEqual(siblingFile("memory:", "batches"), undefined)
      assert.match(
        siblingFile("postgres://me:secret@host/tasks", "batches") ?? "",
        /^\.baton\/postgres-[0-9a-f]{12}\.batches\.db$/
      )
    })
  )

  it.effect("does not depend on the password of a server, but on the database", () =>
    Effect.sync(() => {
      const of = (url: string) => siblingFile(url, "batches")
      assert.strictEqual(of("postgres://me:old@host/tasks"), of("postgres://me:new@host/tasks"))
      assert.notStrictEqual(of("postgres://me@host/tasks"), of("postgres://me@host/others"))
    })
  )
})
