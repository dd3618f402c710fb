import { Report, Task, TaskStore, TaskStoreError, Verification } from "@baton/core"
import { BatonApi } from "@baton/adapters/http"
import { Executions } from "@baton/adapters/workflow"
import { assert, describe, layer } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { layerTemporary } from "../sqlite/temporary.ts"
import { request } from "./request.ts"
import * as Server from "./server.ts"

const stores = [
  ["a memory store", TaskStore.layerMemory],
  ["a SQLite store", layerTemporary]
] as const

describe.each(stores)("BatonApi on %s", (_, store) => {
  layer(Server.layer({}, store))((it) => {
    it.effect("adds tasks, and adds them again without effect", () =>
      Effect.gen(function* () {
        const { client } = yield* Server.Served
        const tasks = [Task.makeNew({ id: "added/1", queue: "added", description: "Do it." })]
        assert.deepStrictEqual(yield* client.add({ payload: { tasks } }), {
          added: [tasks[0]!.id],
          existing: 0,
          different: []
        })
        assert.deepStrictEqual(yield* client.add({ payload: { tasks } }), { added: [], existing: 1, different: [] })
      })
    )

    it.effect("says why tasks are refused", () =>
      Effect.gen(function* () {
        const { client } = yield* Server.Served
        const tasks = [Task.makeNew({ id: "refused", description: "Do it.", dependsOn: ["missing"] })]
        const error = yield* Effect.flip(client.add({ payload: { tasks } }))
        assert(error._tag === "TasksRefused")
        assert.strictEqual(error.refusals[0]?.problem, "UnknownDependency")
        assert.include(error.message, "missing")
      })
    )

    it.effect("lists tasks page by page, with their total", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const ids = Array.from({ length: 7 }, (_, index) => `paged/${index}`)
        yield* Server.add(store, "paged", ids)
        const found: Array<string> = []
        let after: string | undefined
        do {
          const page: BatonApi.TaskPage = yield* client.tasks({
            query: { queue: "paged", limit: 3, ...(after === undefined ? {} : { after }) }
          })
          assert.strictEqual(page.total, 7)
          found.push(...page.tasks.map((task) => task.id))
          after = page.next
        } while (after !== undefined)
        assert.deepStrictEqual(found, ids)
      })
    )

    it.effect("shows an execution of a workflow with its steps, and cancels both", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const queue = Executions.queueOf("Publish/1")
        const metadata = { workflow: "Publish/1", execution: "e1", step: "fetch" }
        const send = { workflow: "Publish/1", execution: "e1", step: "Send/1" }
        const mail = { workflow: "Send/1", execution: "e2", step: "mail" }
        yield* store.add([
          Task.makeNew({ id: `${queue}/e1`, queue, description: "Publish/1 {}", payload: {} }),
          Task.makeNew({ id: "pages/Publish/1/e1/fetch", queue: "pages", description: "Fetch", metadata }),
          Task.makeNew({
            id: "@workflow/Send/1/e2",
            queue: "@workflow/Send/1",
            description: "Send/1 {}",
            metadata: send
          }),
          Task.makeNew({ id: "mails/Send/1/e2/mail", queue: "mails", description: "Mail", metadata: mail }),
          Task.makeNew({ id: "plain-task", description: "Do it." })
        ])
        const params = { id: `${queue}/e1` }
        const shown = yield* client.execution({ params })
        assert.deepStrictEqual(
          [shown.execution.status, shown.waitsFor, shown.steps.map(({ depth, name, task }) => [depth, name, task.id])],
          [
            "pending",
            "steps",
            [
              [0, "fetch", "pages/Publish/1/e1/fetch"],
              [0, "Send/1", "@workflow/Send/1/e2"],
              [1, "mail", "mails/Send/1/e2/mail"]
            ]
          ]
        )
        const cancelled = yield* client.cancelExecution({ params })
        assert.deepStrictEqual(
          [cancelled.execution.status, cancelled.waitsFor, cancelled.steps.map(({ task }) => task.status)],
          ["cancelled", undefined, ["cancelled", "cancelled", "cancelled"]]
        )
        const error = yield* Effect.flip(client.execution({ params: { id: "plain-task" } }))
        assert.include(error.message, "is not an execution of a workflow")
      })
    )

    it.effect("finds tasks by status and by text", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        yield* Server.add(store, "found", ["found/apple", "found/pear"])
        yield* store.cancel({ ids: ["found/pear"] })
        const byStatus = yield* client.tasks({ query: { queue: "found", status: "cancelled" } })
        assert.deepStrictEqual(
          byStatus.tasks.map((task) => task.id as string),
          ["found/pear"]
        )
        assert.strictEqual(byStatus.total, 1)
        const byText = yield* client.tasks({ query: { queue: "found", text: "APPLE" } })
        assert.deepStrictEqual(
          byText.tasks.map((task) => task.id as string),
          ["found/apple"]
        )
        assert.isUndefined(byText.total)
      })
    )

    it.effect("shows a task with its attempts, and cuts long texts", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const output = `${"a".repeat(BatonApi.limits.text - 1)}😀${"b".repeat(100)}`
        yield* Server.add(store, "shown", ["shown/1"])
        yield* Server.fail(store, "shown", { limit: 1, feedback: () => "It is wrong.", output })
        yield* client.requeue({ payload: { ids: ["shown/1"] } })
        yield* Server.complete(store, "shown", { limit: 1, output: "right" })
        const { attempts, task } = yield* client.task({ params: { id: "shown/1" } })
        assert.strictEqual(task.status, "completed")
        assert.deepStrictEqual(task.result, { text: "right", length: 5, cut: false })
        assert.deepStrictEqual(
          attempts.map((attempt) => attempt.outcome),
          ["failed", "completed"]
        )
        assert.deepStrictEqual(attempts[0]?.output, {
          text: "a".repeat(BatonApi.limits.text - 1),
          length: output.length,
          cut: true
        })
        const whole = yield* client.output({ params: { id: "shown/1" }, query: { attempt: attempts[0]!.token } })
        assert.strictEqual(whole, output)
        assert.strictEqual(yield* client.output({ params: { id: "shown/1" }, query: {} }), "right")
      })
    )

    it.effect("shows what a running attempt has reported last, until the attempt ends", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        yield* Server.add(store, "reported", ["reported/1"])
        const queues = [Task.QueueName.make("reported")]
        const [claim] = yield* store.claim({ queues, limit: 1, owner: "w", lease: Duration.minutes(1) })
        if (claim === undefined || store.progress === undefined) return yield* Effect.die("no claim or no progress")
        const params = { id: "reported/1" }
        assert.isUndefined((yield* client.task({ params })).progress)
        const report = { text: "reading", fraction: 0.5, output: "Dear <b>", at: yield* DateTime.now }
        yield* store.progress.save([{ taskId: claim.task.id, token: claim.token, ...report }])
        assert.deepStrictEqual((yield* client.task({ params })).progress, report)
        yield* store.cancel({ ids: [params.id] })
        assert.isUndefined((yield* client.task({ params })).progress)
      })
    )

    it.effect("decides about outputs in review, and tells the second person who was faster", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        yield* Server.add(store, "reviewed", ["reviewed/1", "reviewed/2", "reviewed/3"])
        yield* Server.sendToReview(store, "reviewed", { limit: 3, output: "a draft" })
        const page = yield* client.tasks({ query: { queue: "reviewed", status: "in_review" } })
        assert.strictEqual(page.total, 3)

        const comment = "Zu lang:\n  two sentences at most."
        const rejected = yield* client.decide({
          payload: { id: "reviewed/1", decision: "reject", comment, by: "ann" }
        })
        assert.deepStrictEqual(rejected, { id: Task.TaskId.make("reviewed/1"), status: "pending" })
        const [again] = yield* store.claim({ queues: ["reviewed"], limit: 1, owner: "w", lease: Duration.minutes(1) })
        assert.strictEqual(again?.task.feedback, comment)
        assert.strictEqual(again?.previousOutput, "a draft")

        yield* client.decide({ payload: { id: "reviewed/2", decision: "edit", text: "better", by: "ann" } })
        const { attempts, task } = yield* client.task({ params: { id: "reviewed/2" } })
        assert.strictEqual(task.result?.text, "better")
        assert.strictEqual(attempts[0]?.verification?.decision?.output, "a draft")

        yield* client.decide({ payload: { id: "reviewed/3", decision: "approve", by: "ann" } })
        const late = { id: "reviewed/3", decision: "reject", comment: "No.", by: "bob" } as const
        const error = yield* Effect.flip(client.decide({ payload: late }))
        assert(error._tag === "NotInReview")
        assert.strictEqual(error.message, "ann has already approved this output")
        assert.strictEqual(error.decision?.by, "ann")
        assert.strictEqual(error.status, "completed")

        yield* Server.add(store, "reviewed", ["reviewed/4"])
        const early = yield* Effect.flip(client.decide({ payload: { id: "reviewed/4", decision: "approve" } }))
        assert(early._tag === "NotInReview")
        assert.strictEqual(early.message, 'The task "reviewed/4" is not in review: it is pending.')

        const seen = { id: "reviewed/3", attempt: attempts[0]!.token } as const
        assert.strictEqual(yield* store.prune({ ids: [Task.TaskId.make("reviewed/3")], statuses: ["completed"] }), 1)
        const gone = yield* Effect.flip(client.decide({ payload: { ...seen, decision: "approve" } }))
        assert(gone._tag === "TaskNotFound")
        assert.include(gone.message, "reviewed/3")

        const unknown = yield* Effect.flip(client.decide({ payload: { id: "nowhere", decision: "approve" } }))
        assert.strictEqual(unknown._tag, "TaskNotFound")
      })
    )

    it.effect("groups failures by cause, and requeues those with one cause", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        yield* Server.add(
          store,
          "causes",
          ["1", "2", "3"].map((id) => `causes/${id}`)
        )
        yield* Server.fail(store, "causes", {
          limit: 2,
          feedback: (id) => `The server answered 529 [req_${id.length}x9]`
        })
        yield* Server.fail(store, "causes", { limit: 1, feedback: () => "The disk is full" })
        const { causes, complete, failed } = yield* client.failures({ query: { queue: "causes" } })
        assert.deepStrictEqual(
          causes.map(({ ids, tasks }) => [ids, tasks] as const),
          [
            [[Task.TaskId.make("causes/1"), Task.TaskId.make("causes/2")], 2],
            [[Task.TaskId.make("causes/3")], 1]
          ]
        )
        assert.strictEqual(failed, 3)
        assert.isTrue(complete)
        const changed = yield* client.requeue({ payload: { queue: "causes", cause: causes[0]!.cause } })
        assert.strictEqual(changed.changed, 2)
        const { tasks } = yield* client.tasks({ query: { queue: "causes", status: "failed" } })
        assert.deepStrictEqual(
          tasks.map((task) => task.feedback?.text),
          ["The disk is full"]
        )
      })
    )

    it.effect("counts the tasks that ended in each interval, and none that is pending", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const query = { queue: "ended" }
        yield* Server.add(store, "ended", ["ended/1", "ended/2", "ended/3", "ended/4"])
        const none = yield* client.activity({ query })
        assert.deepInclude(none, { completed: [], complete: true })
        assert.notProperty(none, "start")
        yield* Server.fail(store, "ended", { limit: 1, feedback: () => "No." })
        yield* Server.complete(store, "ended", { limit: 2, output: "Yes." })
        const activity = yield* client.activity({ query })
        const sum = (counts: ReadonlyArray<number>) => counts.reduce((all, some) => all + some, 0)
        assert.deepStrictEqual([sum(activity.completed), sum(activity.failed)], [2, 1])
        assert.strictEqual(activity.completed.length, activity.failed.length)
        assert.strictEqual(activity.widthMillis, 60_000)
      })
    )

    it.effect("reports on all tasks, or on those of a queue", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const query = { queue: "summed" }
        yield* Server.add(store, "summed", ["summed/1", "summed/2", "summed/3", "summed/4"])
        yield* Server.add(store, "unsummed", ["unsummed/1"])
        yield* Server.complete(store, "summed", { limit: 2, output: "Yes." })
        yield* Server.fail(store, "summed", { limit: 1, feedback: (id) => `No ${id.length} times.` })
        const report = yield* client.report({ query })
        assert.deepInclude(report, { tasks: 4, attempts: 3, outcomes: { completed: 2, failed: 1 } })
        assert.deepInclude(report.statuses, { completed: 2, failed: 1, pending: 1 })
        assert.deepStrictEqual(report.causes, [{ name: "No … times.", tasks: 1, attempts: 1 }])
        assert.deepStrictEqual(
          report.workers.map(({ attempts, name }) => [name, attempts]),
          [["test", 3]]
        )
        assert.deepStrictEqual(
          report.failed.map(({ error }) => error),
          ["No 8 times."]
        )
        assert.deepStrictEqual(report, yield* Report.make(store, query))
        const all = yield* client.report({ query: {} })
        const { tasks } = yield* Report.make(store)
        assert.strictEqual(all.tasks, tasks)
        assert.isAbove(all.tasks, report.tasks)
        // A report of the last ten seconds is shared.
        yield* Server.complete(store, "summed", { limit: 1, output: "Yes." })
        assert.strictEqual((yield* client.report({ query })).statuses.completed, 2)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* client.report({ query })).statuses.completed, 3)
      })
    )

    it.effect("changes tasks by id or by status, and names unknown ids", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        yield* Server.add(store, "changed", ["changed/1", "changed/2"])
        assert.deepStrictEqual(yield* client.cancel({ payload: { ids: ["changed/1", "missing"] } }), {
          changed: 1,
          ids: [Task.TaskId.make("changed/1")],
          unknown: ["missing"]
        })
        assert.strictEqual((yield* client.cancel({ payload: { queue: "changed", status: "pending" } })).changed, 1)
        assert.strictEqual((yield* client.requeue({ payload: { queue: "changed", status: "cancelled" } })).changed, 2)
      })
    )

    it.effect("counts the tasks of each queue, and controls all runs", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        yield* Server.add(store, "counted", ["counted/1", "counted/2"])
        yield* Server.complete(store, "counted", { limit: 1, output: "done" })
        assert.deepStrictEqual(yield* client.control({ payload: { request: "pause" } }), { paused: true, stops: 0 })
        const { control, queues, server } = yield* client.queues()
        assert.isTrue(control.paused)
        assert.isFalse(server.readOnly)
        const counted = queues.find(({ queue }) => queue === "counted")
        assert.strictEqual(counted?.completed, 1)
        assert.strictEqual(counted?.pending, 1)
        assert.deepStrictEqual(yield* client.control({ payload: { request: "resume" } }), { paused: false, stops: 0 })
      })
    )

    it.effect("shows the workers of each queue, those with the most running tasks first", () =>
      Effect.gen(function* () {
        const { client, store } = yield* Server.Served
        const ids = Array.from({ length: 260 }, (_, index) => `worked/${index}`)
        yield* Server.add(store, "worked", ids)
        const claim = (owner: string, limit: number, started = limit) =>
          store.claim({ queues: ["worked"], owner, limit, started, lease: Duration.minutes(1) })
        yield* claim("host/1", 3, 1)
        yield* claim("host/2", 150)
        yield* claim("host/3", 2)
        // Responses share what was read in the last second.
        yield* TestClock.adjust("1 second")
        const { queues } = yield* client.queues()
        const workers = queues.find(({ queue }) => queue === "worked")?.workers
        assert(workers !== undefined)
        assert.strictEqual(workers.total, 3)
        assert.deepStrictEqual(
          workers.first.map(({ claimed, isLost, name, running, since }) => [
            name,
            running,
            claimed,
            isLost,
            since !== undefined
          ]),
          [
            ["host/2", 150, 0, false, true],
            ["host/3", 2, 0, false, true],
            ["host/1", 1, 2, false, true]
          ]
        )
      })
    )

    it.effect(
      "sets the budget, the concurrency and the pause of a queue, and leaves what a request does not name",
      () =>
        Effect.gen(function* () {
          const { client, store } = yield* Server.Served
          yield* Server.add(store, "set", ["set/1", "set/2", "set/3"])
          const query = { queue: "set" }
          assert.deepStrictEqual(yield* client.settings({ query }), {
            queue: "set",
            canSet: { budget: true, pause: true, concurrency: true }
          })
          yield* client.set({ payload: { queue: "set", maxCostUsd: 7.5, maxTokens: 1_000, concurrency: 4 } })
          const set = yield* client.set({ payload: { queue: "set", maxTokens: null, paused: true } })
          assert.deepStrictEqual(set.budget?.limit, { nanoUsd: 7.5e9 })
          assert.deepStrictEqual([set.concurrency, set.pause?.cause], [4, "requested"])
          assert.deepStrictEqual(yield* client.settings({ query }), set)
          const resumed = yield* client.set({ payload: { queue: "set", concurrency: null, paused: false } })
          assert.deepStrictEqual([resumed.concurrency, resumed.pause], [undefined, undefined])
          assert.deepStrictEqual(resumed.budget, set.budget)
        })
    )

    it.effect("says that a task does not exist", () =>
      Effect.gen(function* () {
        const { client } = yield* Server.Served
        const error = yield* Effect.flip(client.task({ params: { id: "missing/1" } }))
        assert(error._tag === "TaskNotFound")
        assert.strictEqual(error.message, 'The task "missing/1" does not exist.')
      })
    )
  })
})

layer(Server.layer())("BatonApi", (it) => {
  const answer = Effect.fnUntraced(function* (request: (url: string) => HttpClientRequest.HttpClientRequest) {
    const { url } = yield* Server.Served
    const response = yield* HttpClient.execute(request(url))
    const body = yield* response.json
    assert(typeof body === "object" && body !== null && "_tag" in body && "message" in body)
    return { status: response.status, tag: body._tag, message: String(body.message) }
  })

  it.effect("has an OpenAPI document", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Served
      const response = yield* HttpClient.get(`${url}/api/openapi.json`)
      const document = JSON.stringify(yield* response.json)
      for (const path of ["/api/tasks/{id}", "/api/events", "/api/requeue"]) assert.include(document, path)
    })
  )

  it.effect("reports on a sample of verdicts, and takes what people say about them", () =>
    Effect.gen(function* () {
      const { client, store } = yield* Server.Served
      const ids = Array.from({ length: 3 }, (_, n) => `audited/${n}`)
      yield* Server.add(store, "audited", ids)
      yield* Server.complete(store, "audited", { limit: 3, output: "done" })
      const before = yield* client.audit({ query: { queue: "audited", share: 1 } })
      assert.deepStrictEqual(
        before.waiting.map(({ id, passed }) => [id as string, passed]),
        ids.map((id) => [id, true])
      )
      const [first, second] = before.waiting
      const found = yield* client.find({
        payload: { id: first!.id, attempt: first!.attempt, agrees: false, comment: "No price.", by: "ann" }
      })
      assert.deepInclude(found.audit, { agrees: false, by: "ann", comment: "No price." })
      yield* client.find({ payload: { id: second!.id, attempt: second!.attempt, agrees: true, by: "ann" } })
      const after = yield* client.audit({ query: { queue: "audited", share: 1 } })
      assert.deepStrictEqual([after.all.sampled, after.all.audited, after.all.wrong], [3, 2, 1])
      assert.strictEqual(after.judges[0]?.falseAccepts.wrong, 1)
      assert.strictEqual(after.waiting.length, 1)

      const late = { id: first!.id, attempt: first!.attempt, agrees: true, by: "bob" }
      const error = yield* Effect.flip(client.find({ payload: late }))
      assert(error._tag === "NotAudited")
      assert.strictEqual(error.message, "ann has already audited this verdict, and disagrees.")
      const unknown = yield* Effect.flip(client.find({ payload: { ...late, id: "nowhere" } }))
      assert.strictEqual(unknown._tag, "TaskNotFound")
      assert.strictEqual((yield* client.audit({ query: { queue: "audited", share: 0 } })).all.sampled, 0)
    })
  )

  it.effect("answers addresses that lead nowhere with a sentence and the right status", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Served
      const cases = [
        ["GET", "/%ZZ", 400, "encode a % in it as %25"],
        ["GET", "/api/tasks/%E0%A4%A", 400, "encode a % in it as %25"],
        ["POST", "/", 404, "There is nothing at this path."],
        ["POST", "/api/nothing", 404, "There is nothing at this path."],
        ["GET", "/mcp", 405, "does not take requests with this method"],
        ["POST", "/mcp", 406, "send `Accept: application/json, text/event-stream`"]
      ] as const
      for (const [method, path, status, message] of cases) {
        const found = yield* request(url + path, { method, ...(method === "POST" ? { body: {} } : {}) })
        assert.strictEqual(found.status, status, path)
        assert.include(JSON.parse(found.body).message, message, path)
        assert.strictEqual(found.headers["x-content-type-options"], "nosniff", path)
      }
    })
  )

  it.effect("says that a task was deleted while it was open, and continues a list whose cursor it was", () =>
    Effect.gen(function* () {
      const { client, store } = yield* Server.Served
      yield* Server.add(store, "gone", ["gone/1", "gone/2", "gone/3"])
      const first = yield* client.tasks({ query: { queue: "gone", limit: 1 } })
      yield* store.cancel({ ids: ["gone/1", "gone/2"] })
      yield* store.prune({ statuses: ["cancelled"] })
      assert.strictEqual((yield* Effect.flip(client.task({ params: { id: "gone/1" } })))._tag, "TaskNotFound")
      const output = client.output({ params: { id: "gone/1" }, query: {} })
      assert.strictEqual((yield* Effect.flip(output))._tag, "TaskNotFound")
      const decide = client.decide({ payload: { id: "gone/1", decision: "approve" } })
      assert.strictEqual((yield* Effect.flip(decide))._tag, "TaskNotFound")
      assert.deepInclude(yield* client.requeue({ payload: { ids: ["gone/1"] } }), { changed: 0, unknown: ["gone/1"] })
      const rest = yield* client.tasks({ query: { queue: "gone", after: first.next ?? "" } })
      assert.deepStrictEqual(rest.tasks.map(({ id }) => id) as Array<string>, ["gone/3"])
    })
  )

  it.effect("answers bad requests with a sentence and the right status", () =>
    Effect.gen(function* () {
      const post =
        (body: string, path = "/api/tasks", type = "application/json") =>
        (url: string) =>
          HttpClientRequest.post(url + path).pipe(HttpClientRequest.bodyText(body, type))
      const get = (path: string) => (url: string) => HttpClientRequest.get(url + path)
      const reject = (comment: string) => post(JSON.stringify({ id: "a", decision: "reject", comment }), "/api/reviews")
      const cases = [
        [get("/api/tasks?after=no-cursor"), 400, "BadRequest"],
        [get("/api/tasks?limit=0"), 400, "BadRequest"],
        [get("/api/tasks?status=lost"), 400, "BadRequest"],
        [get("/api/nothing"), 404, "NotFound"],
        [get("/api/tasks/missing/output?attempt=1"), 404, "TaskNotFound"],
        [get("/api/tasks?queu=a"), 400, "BadRequest"],
        [post('{"status":"failed","cause":"no price"}', "/api/requeue"), 400, "BadRequest"],
        [post('{"queue":"a"}', "/api/cancel"), 400, "BadRequest"],
        [post('{"ids":[]}', "/api/cancel"), 400, "BadRequest"],
        [post("{"), 400, "BadRequest"],
        [post('{"tasks":[{"id":""}]}'), 400, "BadRequest"],
        [post("tasks", "/api/tasks", "text/plain"), 415, "UnsupportedMediaType"],
        [post("x".repeat(9 * 1024 * 1024)), 413, "BodyTooLarge"],
        [reject("x".repeat(10_000_000)), 413, "BodyTooLarge"],
        [reject("x".repeat(Verification.maxComment + 1)), 400, "BadRequest"],
        [reject(" "), 400, "BadRequest"]
      ] as const
      for (const [request, status, tag] of cases) {
        const found = yield* answer(request)
        assert.deepStrictEqual({ status: found.status, tag: found.tag }, { status, tag })
        assert.isBelow(found.message.length, 1000)
        assert.match(found.message, /^[A-Z].*\.$|^The \w+ of this request is not valid: /s)
      }
    })
  )
})

const unavailable = new TaskStoreError({ reason: "Unavailable", message: "The database cannot be reached." })

const layerAway = Layer.effect(
  TaskStore.TaskStore,
  Effect.map(TaskStore.TaskStore, (store) => ({ ...store, queues: Effect.fail(unavailable) }))
).pipe(Layer.provide(TaskStore.layerMemory))

layer(Server.layer({}, layerAway))("BatonApi on a store that is away", (it) => {
  it.effect("answers 503 with the message of the store", () =>
    Effect.gen(function* () {
      const { client, url } = yield* Server.Served
      assert.strictEqual((yield* HttpClient.get(`${url}/api/queues`)).status, 503)
      const error = yield* Effect.flip(client.queues())
      assert(error._tag === "StoreUnavailable")
      assert.strictEqual(error.message, unavailable.message)
    })
  )
})
