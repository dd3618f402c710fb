import { Workflows } from "@baton/adapters/workflow"
import { TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FileSystem, Layer, Option, Path } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { Nightly, nightly } from "../nightly-report/nightly.ts"
import { Publications, Reports } from "../nightly-report/queues.ts"
import { workers } from "../nightly-report/workers.ts"
import { Writer } from "../nightly-report/Writer.ts"
import { firstOf } from "./tasks.ts"

const urls = Array.from({ length: 50 }, (_, index) => `https://example.com/pages/${index + 1}`)

const site = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request, url) =>
    Effect.succeed(HttpClientResponse.fromWeb(request, new Response(`About ${url.pathname}. More.`)))
  )
)

const published = new Map<string, string>()
const files = FileSystem.layerNoop({
  writeFileString: (path, text) => Effect.sync(() => void published.set(path, text))
})

const program = Layer.merge(nightly(urls), workers({ onEnd: "log" })).pipe(
  Layer.provideMerge(Layer.mergeAll(Workflows.layerMemory, TaskStore.layerMemory)),
  Layer.provide([Writer.layerFake, site, files, Path.layer])
)

/** Almost two in Berlin, which is an hour ahead. */
const almostTwo = Duration.toMillis(Duration.minutes(59.5))

const startedAt =
  (millis: number) =>
  <A, E, R>(test: Effect.Effect<A, E, R>) =>
    Effect.andThen(TestClock.setTime(millis), test)

const aMoment = TestClock.adjust("10 millis")

const decide = (decision: { readonly _tag: "Approve" } | { readonly _tag: "Reject"; readonly comment: string }) =>
  Effect.gen(function* () {
    const { reviews } = yield* TaskStore.TaskStore
    const attempts = decision._tag === "Approve" ? 2 : 1
    const { id: taskId } = yield* firstOf(Reports.name, "in_review", { attempts, between: aMoment })
    yield* Effect.flatMap(Effect.fromNullishOr(reviews), ({ decide }) => decide([{ ...decision, taskId, by: "ann" }]))
  })

describe("nightly-report", () => {
  it.effect("reports on all pages at two in Berlin, and publishes what a person approved", () =>
    Effect.gen(function* () {
      // The report of the night before is late, and is made at once.
      yield* decide({ _tag: "Reject", comment: "Say that it is a draft." })
      assert.strictEqual(published.size, 0)
      yield* decide({ _tag: "Approve" })
      yield* firstOf(Publications.name, "completed", { between: aMoment })
      assert.strictEqual(yield* Nightly.execute({ date: "1969-12-31" }), "report-1969-12-31.md")
      const report = Option.getOrThrow(Option.fromUndefinedOr(published.get("report-1969-12-31.md"))).split("\n")
      assert.deepStrictEqual(report.slice(0, 3), ["# 1969-12-31", "Say that it is a draft.", "About /pages/1"])
      assert.strictEqual(report.length, 52)

      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* TaskStore.TaskStore.use((store) => store.counts)).completed, 102)
      yield* TestClock.adjust("20 seconds")
      const { description } = yield* firstOf(Reports.name, "in_review", { between: aMoment })
      assert.strictEqual(description, "The report of 1970-01-01, from 50 summaries")
    }).pipe(Effect.provide(program, { local: true }), startedAt(almostTwo))
  )
})
