import {
  type Attempt,
  Audit,
  Execution,
  RetryPolicy,
  Safety,
  Task,
  type TaskStore,
  Verification,
  Verifier
} from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Layer, Random, Stream } from "effect"
import { TestClock } from "effect/testing"
import { hasEnded, layerOf, make, memoryStore, numbered, tasks, yields } from "./harness.ts"

const idOf = (name: string) => Task.TaskId.make(name)

const audit = (store: TaskStore.TaskStore["Service"], finding: TaskStore.Finding) =>
  Effect.flatMap(Effect.fromNullishOr(store.reviews), (reviews) => reviews.audit(finding))

describe("the sample of an audit", () => {
  it("is a share of the tasks, whatever their ids look like, and the same for each reader", () => {
    for (const idAt of [(n: number) => `prompts/${n}`, (n: number) => String(n), (n: number) => `line-${n * 1000}`]) {
      const ids = Array.from({ length: 20_000 }, (_, n) => idOf(idAt(n)))
      for (const share of [0.01, 0.05, 0.5]) {
        const sampled = ids.filter((id) => Audit.isSampled(id, share)).length
        // Five standard deviations.
        const spread = 5 * Math.sqrt(ids.length * share * (1 - share))
        assert.closeTo(sampled, ids.length * share, spread, `${share} of ${idAt(1)}`)
      }
      assert.isTrue(ids.every((id) => Audit.isSampled(id, 1)))
      assert.isFalse(ids.some((id) => Audit.isSampled(id, 0)))
    }
  })

  it("contains each smaller sample", () => {
    const ids = Array.from({ length: 5000 }, (_, n) => idOf(`prompts/${n}`))
    const small = ids.filter((id) => Audit.isSampled(id, 0.05))
    assert.isAbove(small.length, 0)
    assert.isTrue(small.every((id) => Audit.isSampled(id, 0.2)))
  })

  it.effect("has accepted and rejected attempts, and none that a person decided about", () =>
    Effect.gen(function* () {
      const verdicts = [
        Verification.reject("Too long.", { models: ["judge"] }),
        Verification.pass({ models: ["judge"] })
      ]
      const { orchestrator, store } = yield* make({
        config: { retryPolicy: RetryPolicy.immediate },
        verifier: Verifier.layerPure((task) =>
          task.id === "reviewed"
            ? Verification.review("Unsure.")
            : (verdicts[task.attempts - 1] ?? Verification.reject("No."))
        )
      })
      yield* store.add(tasks("a", "reviewed"))
      yield* orchestrator.run
      yield* Effect.flatMap(Effect.fromNullishOr(store.reviews), ({ decide }) =>
        decide([{ _tag: "Approve", taskId: idOf("reviewed"), by: "ann" }])
      )
      yield* store.add(tasks("new"))
      const found = yield* Stream.runCollect(Audit.samples(store, { share: 1 }))
      assert.deepStrictEqual(
        found.map(({ task, verification }) => [task.id as string, verification.passed]),
        [
          ["a", false],
          ["a", true]
        ]
      )
    })
  )
})

describe("the interval of a rate", () => {
  it("is Wilson's", () => {
    // Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    const published = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718]
    ] as const
    for (const [count, total, low, high] of published) {
      const found = Audit.interval(count, total)
      assert.closeTo(found.low, low, 0.00005)
      assert.closeTo(found.high, high, 0.00005)
    }
    assert.deepStrictEqual(Audit.interval(0, 0), { low: 0, high: 1 })
    assert.strictEqual(Audit.interval(20, 20).high, 1)
  })

  it.effect("covers the true rates of judges with known errors in at least 94 % of 1,000 simulations", () =>
    Effect.gen(function* () {
      const random = yield* Random.Random
      const draw = () => random.nextDoubleUnsafe()
      const between = (low: number, high: number) => low + draw() * (high - low)
      const simulations = 1000
      const covered = { falseAccepts: 0, falseRejects: 0 }
      for (let simulation = 0; simulation < simulations; simulation++) {
        const good = between(0.3, 0.9)
        const acceptsBad = between(0.02, 0.5)
        const rejectsGood = between(0.02, 0.5)
        const share = between(0.2, 1)
        const samples = Array.from({ length: 200 + Math.floor(draw() * 400) }, (_, n) => {
          const isGood = draw() < good
          const accepted = draw() < (isGood ? 1 - rejectsGood : acceptsBad)
          return Audit.isSampled(idOf(`${simulation}/${n}`), share) ? verdict(accepted, accepted === isGood) : []
        }).flat()
        const [judge] = Audit.report(samples).judges
        assert(judge)
        const truth = {
          falseAccepts: (acceptsBad * (1 - good)) / (acceptsBad * (1 - good) + (1 - rejectsGood) * good),
          falseRejects: (rejectsGood * good) / (rejectsGood * good + (1 - acceptsBad) * (1 - good))
        }
        for (const rate of ["falseAccepts", "falseRejects"] as const) {
          if (judge[rate].low <= truth[rate] && truth[rate] <= judge[rate].high) covered[rate]++
        }
      }
      assert.isAtLeast(covered.falseAccepts, 0.94 * simulations)
      assert.isAtLeast(covered.falseRejects, 0.94 * simulations)
    }).pipe(Random.withSeed("audit"))
  )
})

/** A verdict with what a person says about it. */
const verdict = (
  passed: boolean,
  agrees?: boolean,
  { models = ["judge"], ...rest }: Partial<Verification.Verification> = {}
): Pick<Audit.Sample, "attempt" | "verification"> => {
  const at = DateTime.makeUnsafe(0)
  const verification = {
    ...(passed ? Verification.pass({ models }) : Verification.reject("No.", { models })),
    ...rest,
    ...(agrees === undefined ? undefined : { audit: { agrees, by: "ann", at, comment: "" } })
  }
  return { verification, attempt: { ...attempt, verification } }
}

const attempt: Omit<Attempt.Attempt, "verification"> = {
  taskId: idOf("a"),
  number: 1,
  token: 1 as Attempt.LeaseToken,
  owner: "w",
  startedAt: DateTime.makeUnsafe(0),
  endedAt: DateTime.makeUnsafe(1000),
  execution: Execution.make({ output: "done" }),
  outcome: "completed"
}

describe("the report of an audit", () => {
  it("counts verdicts, audited ones and wrong ones for each judge and its criteria", () => {
    const strict = { criteria: "Prices are in EUR." }
    const { all, judges } = Audit.report([
      verdict(true, true),
      verdict(true, false),
      verdict(true),
      verdict(false, false),
      verdict(true, false, strict),
      verdict(true, true, { models: ["another"] })
    ])
    assert.deepStrictEqual(
      judges.map(({ criteria, falseAccepts: { audited, sampled, wrong }, falseRejects, models }) => ({
        models,
        criteria,
        accepts: [sampled, audited, wrong],
        rejects: [falseRejects.sampled, falseRejects.audited, falseRejects.wrong]
      })),
      [
        { models: ["judge"], criteria: undefined, accepts: [3, 2, 1], rejects: [1, 1, 1] },
        { models: ["judge"], criteria: "Prices are in EUR.", accepts: [1, 1, 1], rejects: [0, 0, 0] },
        { models: ["another"], criteria: undefined, accepts: [1, 1, 0], rejects: [0, 0, 0] }
      ]
    )
    assert.deepStrictEqual([all.sampled, all.audited, all.wrong], [6, 5, 3])
  })
})

describe("Safety.layerAudit", () => {
  const run = Effect.fnUntraced(function* (maxFalseAccept: number) {
    const store = yield* memoryStore
    const safety = Safety.layerAudit({ queues: ["default"], share: 1, maxFalseAccept }).pipe(
      Layer.provide(layerOf(store))
    )
    const made = yield* make({
      store: layerOf(store),
      safety,
      verifier: Verifier.layerPure(() => Verification.pass({ models: ["judge"] }))
    })
    yield* store.add(numbered(40))
    const fiber = yield* Effect.forkChild(made.orchestrator.runForever)
    for (let index = 0; index < 40; index++) yield* made.journal.next("TaskCompleted")
    /** A person audits these outputs and disagrees with each. */
    const disagree = (from: number, to: number) =>
      Effect.forEach(numbered(to).slice(from), ({ id }) =>
        Effect.flatMap(store.attempts(id), ([first]) =>
          audit(store, { taskId: id, token: first!.token, by: "ann", agrees: false })
        )
      )
    return { disagree, fiber }
  })

  it.effect("stops the run once the lower bound of the rate of false accepts exceeds the limit", () =>
    Effect.gen(function* () {
      const { disagree, fiber } = yield* run(0.5)
      // Three of three: the interval begins at 44 %.
      yield* disagree(0, 3)
      yield* TestClock.adjust("1 minute")
      yield* yields()
      assert.isFalse(hasEnded(fiber))
      // Four of four: at 51 %.
      yield* disagree(3, 4)
      yield* TestClock.adjust("1 minute")
      const { reason } = yield* Fiber.join(fiber)
      assert(reason._tag === "LimitReached")
      assert.strictEqual(reason.limit, "false-accepts")
      assert.strictEqual(
        reason.message,
        "People rejected 4 of 4 outputs of the queue default that judge had accepted: the rate of false accepts is between 51% and 100% (95 %), above the limit of 50%."
      )
    })
  )
})
