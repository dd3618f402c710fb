import { Execution, Task, TaskStore, Verification } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { itemOf, lastScroll, refusal, type Review, reviewScreen, reviewTexts } from "../../src/view/review.ts"
import { safe } from "../../src/view/safeText.ts"
import * as Style from "../../src/view/style.ts"
import { displayWidth } from "../../src/view/width.ts"

const size = { columns: 80, rows: 24 }

const hostile = "\u001b[31mred\u001b[0m \u202Ereversed"

/** A task whose second output is in review, as a run leaves it. */
const inReview = (outputs: readonly [string, string]) =>
  Effect.gen(function* () {
    const store = yield* TaskStore.TaskStore
    const id = Task.TaskId.make("notes/1")
    yield* store.add([Task.makeNew({ id, description: `Write the notes. ${hostile}` })])
    for (const output of outputs) {
      const [claim] = yield* store.claim({ owner: "w", limit: 1, lease: Duration.minutes(1) })
      if (claim === undefined) return yield* Effect.die("nothing to claim")
      yield* store.settle([
        {
          _tag: "Review",
          taskId: id,
          token: claim.token,
          execution: Execution.make({ output }),
          verification: Verification.review(
            "The verifier is only 40% sure.",
            Verification.pass({ confidence: 0.4, models: ["judge"] })
          )
        }
      ])
      if (output === outputs[0]) {
        yield* Effect.fromNullishOr(store.reviews).pipe(
          Effect.flatMap(({ decide }) =>
            decide([{ _tag: "Reject", taskId: id, by: "ann", comment: "Name the formats." }])
          )
        )
      }
    }
    const task = Option.getOrThrow(yield* store.get(id))
    return itemOf(task, yield* store.attempts(id))
  }).pipe(Effect.provide(TaskStore.layerMemory))

const screenOf = (item: Review["item"], changes: Partial<Review> = {}): Review => ({
  item,
  texts: reviewTexts,
  place: 1,
  waiting: 3,
  decided: 0,
  scroll: 0,
  comment: undefined,
  message: safe``,
  ...changes
})

describe("the screen of baton review", () => {
  it.effect("shows an output with its task, verdict and difference, within 80 by 24 cells", () =>
    Effect.gen(function* () {
      const item = yield* inReview(["one\ntwo\nthree", "one\ntwo\nfour"])
      const lines = reviewScreen(screenOf(item), size, Style.none)
      assert.strictEqual(lines.length, 24)
      for (const line of lines) assert.isAtMost(displayWidth(line), 80)
      const text = lines.join("\n")
      assert.match(lines[0] ?? "", /^notes\/1 +attempt 2 {2}1 of 3$/)
      assert.include(text, "Feedback on the attempt before\n  Name the formats.")
      assert.include(text, "Output\n  one\n  two\n  four")
      assert.include(text, "The verifier is only 40% sure.\n  accepted, 40% sure (judge)")
      assert.include(lines.at(-1) ?? "", "a approve  r reject  e edit")
    })
  )

  it.effect("scrolls to the difference below a long output", () =>
    Effect.gen(function* () {
      const long = Array.from({ length: 60 }, (_, index) => `line ${index} ${"x".repeat(100)}`).join("\n")
      const item = yield* inReview([`${long}\nthe end`, `${long}\nanother end`])
      const first = reviewScreen(screenOf(item), size, Style.none)
      assert.match(first.at(-3) ?? "", /─ \d+ more lines below $/)
      const scroll = lastScroll(screenOf(item), size, Style.none)
      const last = reviewScreen(screenOf(item, { scroll }), size, Style.none)
      assert.include(last.join("\n"), "-the end\n  +another end")
      for (const line of [...first, ...last]) assert.isAtMost(displayWidth(line), 80)
    })
  )

  it.effect("shows control characters of outputs and prompts as text", () =>
    Effect.gen(function* () {
      const item = yield* inReview(["a", hostile])
      const text = reviewScreen(screenOf(item), size, Style.none).join("\n")
      assert.notInclude(text, "\u001b")
      assert.notInclude(text, "\u202E")
      assert.include(text, "red")
    })
  )

  it.effect("shows the end of a long comment while it is typed", () =>
    Effect.gen(function* () {
      const item = yield* inReview(["a", "b"])
      const lines = reviewScreen(screenOf(item, { comment: `${"word ".repeat(40)}end` }), size, Style.none)
      assert.match(lines.at(-2) ?? "", /^Comment: ….*end▏$/)
      assert.isAtMost(displayWidth(lines.at(-2) ?? ""), 80)
    })
  )

  it.effect("says who was faster", () =>
    Effect.sync(() => {
      const taskId = Task.TaskId.make("a")
      assert.strictEqual(refusal({ taskId }), "The task a does not exist.")
      assert.strictEqual(refusal({ taskId, status: "pending" }), "a is not in review: it is pending.")
    })
  )
})
