import { Executions, Review, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { Task, TaskQueue, TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Workflow } from "effect/workflow"
import { Project } from "../../src/settings/Project.ts"
import { baton, test } from "./harness.ts"

const Reports = TaskQueue.make({
  name: "reports",
  payload: Schema.Struct({ topic: Schema.String }),
  result: Schema.Struct({ text: Schema.String })
})

const Publish = Workflow.make("Publish/1", {
  payload: { topic: Schema.String, pages: Schema.optionalKey(Schema.Int) },
  idempotencyKey: ({ topic }) => topic,
  success: Schema.String,
  error: TaskActivity.Failed
})

const publish = Publish.toLayer(({ topic }) =>
  Effect.map(Review.gate(Reports, { name: "report", payload: { topic } }), ({ text }) => text)
)

const worker = Reports.toLayer(({ topic }) => Effect.succeed({ text: `About ${topic}` }), {
  review: true,
  onEnd: "log"
})

const workflows = Executions.register({ definitions: [Publish], layer: Layer.merge(publish, worker) })

const project = { name: "baton.config.ts", flags: [], settings: {}, parts: {}, hooks: [], workflows }

const run = (...args: ReadonlyArray<string>) => Effect.provideService(baton(args), Project, project)
const workflow = (...args: ReadonlyArray<string>) => run("workflow", ...args)

/** What `baton worker --workflows` runs, with an engine in memory. */
const process = Layer.merge(publish, worker).pipe(
  Layer.provide(Review.layer),
  Layer.provide(Executions.layer),
  Layer.provide(Workflows.layerMemory)
)

const inReview = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  let seen = yield* store.awaitChange(-1)
  while ((yield* store.counts).in_review === 0) seen = yield* store.awaitChange(seen)
})

describe("baton workflow", () => {
  test(
    "starts, lists and shows an execution with its steps",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const started = yield* workflow("start", "Publish/1", "--payload", '{"topic":"bees"}')
      const id = started.stdout.trim()
      assert.match(id, /^[0-9a-f]{32}$/)
      assert.include(started.stderr, "`baton worker --workflows` executes it")
      assert.include((yield* workflow("show", id.slice(0, 6))).stdout, "a worker with workflows")
      assert.include(
        (yield* workflow("start", "Publish/1", "--payload", '{"topic":"bees"}')).stderr,
        "was already started"
      )

      yield* Layer.build(process)
      yield* inReview
      const waiting = yield* workflow("show", id)
      assert.match(waiting.stdout, /Waits for +its steps/)
      assert.include(waiting.stdout, "└ report  in review  waits for a person: baton review --queue reports")

      const approved = yield* run("review", "approve", `Publish/1/${id}/report`)
      assert.strictEqual(approved.exitCode, 0, approved.stderr)
      yield* store.awaitSettled(Task.idInQueue(Executions.queueOf("Publish/1"), id))
      const shown = yield* workflow("show", id, "--json")
      assert.deepInclude(JSON.parse(shown.stdout), {
        workflow: "Publish/1",
        status: "completed",
        result: `"About bees"`,
        waitsFor: null
      })
      assert.match((yield* workflow("list")).stdout, new RegExp(`${id.slice(0, 12)} +Publish/1 +completed`))
      assert.include((yield* workflow("list", "--status", "failed")).stderr, "There are no such executions.")
      assert.include((yield* workflow("cancel", id)).stderr, "is already completed; it was not changed")
      // Commands on tasks leave executions alone.
      assert.notInclude((yield* run("list")).stdout, "@workflow")
    })
  )

  test(
    "shows an execution within another one as a branch of its tree",
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const task = (queue: string, id: string, metadata: Task.Metadata) =>
        Task.makeNew({ id: `${queue}/${id}`, queue, description: id, metadata })
      const publish = { workflow: "Nightly/1", execution: "a1", step: "Publish/1" }
      yield* store.add([
        Task.makeNew({ id: "@workflow/Nightly/1/a1", queue: "@workflow/Nightly/1", description: "", payload: {} }),
        task("@workflow/Publish/1", "b2", publish),
        task("reports", "Publish/1/b2/report", { workflow: "Publish/1", execution: "b2", step: "report" }),
        task("mails", "Nightly/1/a1/mail", { workflow: "Nightly/1", execution: "a1", step: "mail" })
      ])
      const shown = yield* workflow("show", "a1")
      assert.deepStrictEqual(shown.stdout.split("\n").slice(-8, -1), [
        "Steps",
        "  ├ Publish/1  pending",
        "  │   b2",
        "  │   └ report  pending  waits for a worker of the queue reports",
        "  │       reports/Publish/1/b2/report",
        "  └ mail  pending  waits for a worker of the queue mails",
        "      mails/Nightly/1/a1/mail"
      ])
      assert.match((yield* workflow("show", "b2")).stdout, /Part of +a1/)
    })
  )

  test(
    "cancels an execution and its steps",
    Effect.gen(function* () {
      const { stdout } = yield* workflow("start", "Publish/1", "--payload", '{"topic":"ants"}')
      yield* Layer.build(process)
      yield* inReview
      const cancelled = yield* workflow("cancel", stdout.trim().slice(0, 8))
      assert.include(cancelled.stderr, "is cancelled, with the tasks of its steps.")
      const shown = yield* workflow("show", stdout.trim())
      assert.match(shown.stdout, /cancelled[^]*└ report  failed/)
    })
  )

  test(
    "refuses bad input in one sentence, with a way out",
    Effect.gen(function* () {
      const refusals: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
        [["start", "Publis/1"], "There is no workflow Publis/1 in the configuration. Did you mean Publish/1?"],
        [
          ["start", "Publish/1", "--payload", '{"topic":7}'],
          'The payload does not fit the workflow Publish/1: Expected string at ["topic"]. Its fields are topic, pages.'
        ],
        [["start", "Publish/1", "--payload", "{topic"], "--payload is not JSON: {topic. Write an object, such as"],
        [["show", "0123"], "There is no execution 0123. `baton workflow list` lists all executions."]
      ]
      for (const [args, message] of refusals) {
        const { exitCode, stderr } = yield* workflow(...args)
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, `error: ${message}`)
      }
      yield* workflow("start", "Publish/1", "--payload", '{"topic":"bees"}')
      assert.include(
        (yield* workflow("start", "Publish/1", "--payload", '{"topic":"bees","pages":2}')).stderr,
        "An execution of Publish/1 has the same idempotency key and another payload."
      )
      assert.include((yield* baton(["workflow", "start", "Publish/1"])).stderr, "This directory has no workflows. Add")
      assert.include(
        (yield* run("worker", "--workflows")).stderr,
        "--workflows needs a store in SQLite or on PostgreSQL"
      )
      assert.include(
        (yield* run("worker", "--workflows", "--store", "postgres://localhost/x")).stderr,
        "Add it, as in --workflow-address 10.0.0.7:4001."
      )
      assert.include(
        (yield* run("worker", "--workflows", "--exec", "cat")).stderr,
        "--exec and --workflows are both given."
      )
    })
  )
})
