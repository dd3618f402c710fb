import type { BatonApi } from "@baton/adapters/http"
import * as Schema from "effect/Schema"
import { assert, describe, it } from "vitest"
import { merge } from "../src/api/live.ts"
import * as Model from "../src/schema.ts"
import { flatten, pagesOfRows } from "../src/api/taskPages.ts"
import * as Search from "../src/search.ts"

const counts = (queue: string, pending: number): Model.Queue => ({
  queue,
  pending,
  in_progress: 0,
  in_review: 0,
  completed: 0,
  failed: 0,
  cancelled: 0,
  waiting: 0,
  workers: { total: 0, first: [] }
})

const text = { text: "Do it.", length: 6, cut: false }
const time = new Date(0).toISOString()

const pageOf = (ids: ReadonlyArray<string>, next?: string): Model.TaskPage => ({
  tasks: ids.map((id) => ({
    id,
    queue: "a",
    status: "pending",
    attempts: 0,
    description: text,
    verified: false,
    priority: 0,
    dependsOn: [],
    requeues: 0,
    availableAt: time,
    createdAt: time,
    updatedAt: time
  })),
  next
})

describe("the page's view of the API", () => {
  it("accepts everything that the server sends", () => {
    const accepted = [
      (sent: typeof BatonApi.Overview.Encoded): typeof Model.Queues.Encoded => sent,
      (sent: typeof BatonApi.TaskPage.Encoded): typeof Model.TaskPage.Encoded => sent,
      (sent: typeof BatonApi.TaskWithAttempts.Encoded): typeof Model.TaskDetail.Encoded => sent,
      (sent: typeof BatonApi.Failures.Encoded): typeof Model.Failures.Encoded => sent,
      (sent: typeof BatonApi.Changed.Encoded): typeof Model.Changes.Encoded => sent,
      (sent: typeof BatonApi.Changes.Encoded): typeof Model.Changed.Encoded => sent
    ]
    assert.lengthOf(accepted, 6)
    assert.isDefined(Schema.decodeUnknownSync(Model.Control)({ paused: true, stops: 0, added: "later" }))
  })
})

describe("events", () => {
  it("replace the counts of the queues that changed, and remove queues without tasks", () => {
    const known = {
      queues: [counts("b", 1), counts("c", 1)],
      control: { paused: false, stops: 0 },
      server: { role: "operate" as const }
    }
    const merged = merge(known, {
      queues: [counts("b", 2), counts("a", 3)],
      removed: ["c"],
      control: { paused: true, stops: 0 }
    })
    assert.deepStrictEqual(merged.queues, [counts("a", 3), counts("b", 2)])
    assert.isTrue(merged.control.paused)
  })
})

describe("pages of tasks", () => {
  it("show a task once, even if a refreshed page reaches into the next one", () => {
    const idsOf = (first: Model.TaskPage) =>
      flatten({ pages: [first, pageOf(["3", "4"])], pageParams: [undefined, "2"] }).map(({ id }) => id)
    assert.deepStrictEqual(idsOf(pageOf(["1", "2"], "2")), ["1", "2", "3", "4"])
    assert.deepStrictEqual(idsOf(pageOf(["1", "2", "3"], "3")), ["1", "2", "3", "4"])
  })

  it("are refreshed where they are visible, and at the end of the list", () => {
    const pages = [pageOf(["1", "2"], "2"), pageOf(["3", "4"], "4"), pageOf(["5", "6"], "6"), pageOf(["7"])]
    assert.deepStrictEqual(pagesOfRows(pages, 1, 2), [0, 1, 3])
    assert.deepStrictEqual(pagesOfRows(pages.slice(0, 3), 4, 5), [2])
  })
})

describe("the address", () => {
  it("keeps ids with any characters", () => {
    for (const id of ["../a b", "1", "true", "ä?x=1#y&z/%2F", `"quoted"`]) {
      assert.strictEqual(Search.task(Search.parse(Search.stringify({ id }))).id, id)
    }
  })

  it("ignores unknown fields", () => {
    assert.deepStrictEqual(Search.task({ id: 7, view: "x", other: true }), {
      id: "",
      attempt: undefined,
      base: undefined,
      view: undefined
    })
  })
})
