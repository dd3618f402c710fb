import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Schema } from "effect"
import { Attempt, Execution, SafetyStop, Task, Usage, Verification, VerificationError, Verifier } from "@baton/core"
import { get, make, tasks } from "./harness.ts"

const service = (layer: Layer.Layer<Verifier.Verifier>) =>
  Effect.flatMap(Layer.build(layer), (context) => Effect.provide(Verifier.Verifier, context))

const now = DateTime.makeUnsafe(0)
const task: Task.Task = {
  id: Task.TaskId.make("a"),
  queue: "default",
  description: "do a",
  overrides: {},
  status: "in_progress",
  attempts: 1,
  metadata: {},
  priority: 0,
  availableAt: now,
  dependsOn: [],
  verified: false,
  requeues: 0,
  createdAt: now,
  updatedAt: now
}
const judge = (layer: Layer.Layer<Verifier.Verifier>) =>
  Effect.flatMap(service(layer), ({ verify }) =>
    verify(task, Execution.make({ output: "x" }), {
      attempt: 1,
      leaseToken: Attempt.LeaseToken.make(1),
      idempotencyKey: "a/1",
      dependencies: Effect.succeed([]),
      progress: () => Effect.void,
      earlierAttempts: Effect.succeed([]),
      spend: ({ call }) => call
    })
  )

const cost = (costUsd: number): Usage.Usage => ({ ...Usage.zero, costUsd })
const pass = (confidence = 1) => Verifier.layer(() => Effect.succeed(Verification.pass({ confidence, usage: cost(1) })))
const reject = (feedback = "no") =>
  Verifier.layer(() => Effect.succeed(Verification.reject(feedback, { issues: [`${feedback}!`], usage: cost(1) })))
const broken = (reason: VerificationError["reason"] = "Failed", message: string = reason) =>
  Verifier.layer(() => Effect.fail(new VerificationError({ reason, message, usage: cost(1) })))
const stop = new SafetyStop({ limit: "cost", message: "used up" })
const stopping = Verifier.layer(() => Effect.fail(stop))

describe("Verifier.layerAll", () => {
  it.effect("passes when all pass, with the lowest confidence", () =>
    Effect.gen(function* () {
      const verdict = yield* judge(Verifier.layerAll(pass(0.9), pass(0.6), pass(0.8)))
      assert.deepStrictEqual(verdict, Verification.pass({ confidence: 0.6, usage: cost(3) }))
    })
  )

  it.effect("rejects when one rejects, and joins their feedback", () =>
    Effect.gen(function* () {
      const verdict = yield* judge(Verifier.layerAll(reject("too long"), pass(), reject("too dry")))
      assert.isFalse(verdict.passed)
      assert.strictEqual(verdict.feedback, "too long\ntoo dry")
      assert.deepStrictEqual(verdict.issues, ["too long!", "too dry!"])
    })
  )

  it.effect("fails when one that could have rejected fails", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(judge(Verifier.layerAll(pass(), broken()))))._tag, "VerificationError")
    })
  )

  it.effect("rejects when another one rejects, because the missing vote changes nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* judge(Verifier.layerAll(broken(), reject("too long")))).feedback, "too long")
    })
  )
})

describe("Verifier.layerAny", () => {
  it.effect("passes when one passes, with its feedback", () =>
    Effect.gen(function* () {
      const verdict = yield* judge(Verifier.layerAny(reject(), pass(0.7), broken()))
      assert.deepStrictEqual(verdict, Verification.pass({ confidence: 0.7, usage: cost(3) }))
    })
  )

  it.effect("rejects when all reject, and fails when one that could have passed fails", () =>
    Effect.gen(function* () {
      assert.isFalse((yield* judge(Verifier.layerAny(reject(), reject()))).passed)
      yield* Effect.flip(judge(Verifier.layerAny(reject(), broken())))
    })
  )
})

describe("Verifier.layerQuorum", () => {
  it.effect("lists all models that judged, each of them once", () =>
    Effect.gen(function* () {
      const by = (model: string, passed = true) =>
        Verifier.layer(() => Effect.succeed({ ...Verification.pass({ models: [model] }), passed }))
      const verdict = yield* judge(Verifier.layerQuorum(2, by("a"), by("b", false), by("a")))
      assert.deepStrictEqual(verdict.models, ["a", "b"])
    })
  )

  it.effect("passes with the required number of votes, and rejects with fewer", () =>
    Effect.gen(function* () {
      const four = [pass(), pass(), reject(), reject()] as const
      assert.isTrue((yield* judge(Verifier.layerQuorum(2, ...four))).passed)
      assert.isFalse((yield* judge(Verifier.layerQuorum(3, ...four))).passed)
    })
  )

  it.effect("an error is not a vote", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* judge(Verifier.layerQuorum(2, pass(), pass(), broken()))).passed)
      assert.isFalse((yield* judge(Verifier.layerQuorum(2, reject(), reject(), broken()))).passed)
      const undecided = yield* Effect.flip(judge(Verifier.layerQuorum(2, pass(), reject(), broken("Transient"))))
      assert.deepInclude(undecided, { _tag: "VerificationError", reason: "Transient" })
      yield* Effect.flip(judge(Verifier.layerQuorum(1, broken(), broken())))
    })
  )

  it.effect("Fatal and SafetyStop override any majority", () =>
    Effect.gen(function* () {
      const fatal = yield* Effect.flip(judge(Verifier.layerQuorum(1, pass(), pass(), broken("Fatal", "bad key"))))
      assert.deepInclude(fatal, { reason: "Fatal", message: "bad key" })
      assert.strictEqual(yield* Effect.flip(judge(Verifier.layerQuorum(1, pass(), stopping))), stop)
      assert.strictEqual(yield* Effect.flip(judge(Verifier.layerAny(pass(), stopping))), stop)
    })
  )

  it.effect("counts the usage of all verifiers, including those that failed, even without a verdict", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* judge(Verifier.layerQuorum(1, pass(), reject(), broken()))).usage, cost(3))
      const undecided = yield* Effect.flip(judge(Verifier.layerQuorum(2, pass(), reject(), broken())))
      assert.deepStrictEqual(undecided._tag === "VerificationError" ? undecided.usage : undefined, cost(3))
    })
  )

  it.effect("keeps the retryAfter of an error", () =>
    Effect.gen(function* () {
      const limited = Verifier.layer(() =>
        Effect.fail(
          new VerificationError({
            reason: "Transient",
            message: "429",
            retryAfter: Duration.seconds(7),
            usage: cost(1),
            cause: "headers"
          })
        )
      )
      const error = yield* Effect.flip(judge(Verifier.layerAll(limited, pass())))
      assert.deepInclude(error, { message: "429", retryAfter: Duration.seconds(7), cause: "headers" })
    })
  )

  it.effect("never passes without a vote, or with a larger quorum than there are votes", () =>
    Effect.gen(function* () {
      assert.isFalse((yield* judge(Verifier.layerQuorum(0, reject(), reject()))).passed)
      assert.isFalse((yield* judge(Verifier.layerQuorum(3, pass(), pass()))).passed)
    })
  )

  it.effect.prop(
    "agrees with a count of the votes",
    [
      Schema.Array(Schema.Literals(["pass", "reject", "error"])).check(Schema.isMinLength(1), Schema.isMaxLength(7)),
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 }))
    ],
    ([votes, quorum]) =>
      Effect.gen(function* () {
        const count = (kind: (typeof votes)[number]) => votes.filter((vote) => vote === kind).length
        const layers = votes.map((vote) => (vote === "pass" ? pass() : vote === "reject" ? reject() : broken()))
        const result = yield* Effect.result(judge(Verifier.layerQuorum(quorum, ...layers)))
        const expected =
          count("pass") >= quorum
            ? true
            : count("pass") + count("error") >= quorum && count("error") > 0
              ? "error"
              : false
        assert.strictEqual(result._tag === "Success" ? result.success.passed : "error", expected)
      })
  )
})

describe("Verifier.layerMinConfidence", () => {
  it.effect("rejects a pass with too little confidence, and adds that to the feedback", () =>
    Effect.gen(function* () {
      const verdict = yield* judge(Verifier.layerMinConfidence(0.8, pass(0.79)))
      assert.isFalse(verdict.passed)
      assert.strictEqual(verdict.feedback, "The verifier passed this with confidence 0.79, below the required 0.8.")
      assert.deepStrictEqual(verdict.usage, cost(1))
    })
  )

  it.effect("keeps a pass with enough confidence, a rejection, and an error", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* judge(Verifier.layerMinConfidence(0.8, pass(0.8)))).passed)
      assert.strictEqual((yield* judge(Verifier.layerMinConfidence(0.8, reject("too long")))).feedback, "too long")
      yield* Effect.flip(judge(Verifier.layerMinConfidence(0.8, broken())))
    })
  )
})

describe("the kind of a combination", () => {
  const kindOf = (layer: Layer.Layer<Verifier.Verifier>) => Effect.map(service(layer), ({ kind }) => kind)
  const pure = Verifier.layerPure(() => Verification.pass())

  it.effect("is pure when all are pure, and effectful when one is", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* kindOf(Verifier.layerAll(pure, Verifier.layerAlwaysPass)), "pure")
      assert.strictEqual(yield* kindOf(Verifier.layerAny(pure, pass())), "effectful")
      assert.strictEqual(yield* kindOf(Verifier.layerMinConfidence(0.5, pure)), "pure")
      assert.strictEqual(yield* kindOf(Verifier.layerMinConfidence(0.5, pass())), "effectful")
    })
  )

  it.effect("is none when all are none, so that nothing is reported as verified", () =>
    Effect.gen(function* () {
      const nobody = [
        Verifier.layerAll(),
        Verifier.layerAny(),
        Verifier.layerQuorum(0),
        Verifier.layerAll(Verifier.layerNone),
        Verifier.layerMinConfidence(0.5, Verifier.layerNone)
      ]
      for (const layer of nobody) {
        assert.strictEqual(yield* kindOf(layer), "none")
        const { orchestrator, store } = yield* make({ verifier: layer })
        yield* store.add(tasks("a"))
        assert.strictEqual((yield* orchestrator.run).stats.tasksUnverified, 1)
        assert.isFalse((yield* get(store, "a")).verified)
      }
    })
  )

  it.effect("ignores verifiers of kind none, which have no vote", () =>
    Effect.gen(function* () {
      const layer = Verifier.layerAll(Verifier.layerNone, pass(0.9))
      assert.strictEqual(yield* kindOf(layer), "effectful")
      assert.strictEqual((yield* judge(layer)).confidence, 0.9)
    })
  )
})
