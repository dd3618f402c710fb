import { assert, describe, it } from "vitest"
import * as DateTime from "effect/DateTime"
import { traceOf } from "../src/text/trace.ts"
import { spent } from "../src/text/budget.ts"
import { compare, folded } from "../src/text/difference.ts"
import * as Format from "../src/text/format.ts"
import * as Rate from "../src/text/rate.ts"
import * as Settings from "../src/text/settings.ts"
import { plain, segments } from "../src/text/visible.ts"
import { reasons } from "../src/text/waiting.ts"
import { workText } from "../src/text/workers.ts"

const textOf = (line: { readonly pieces: ReadonlyArray<{ readonly text: string }> } | undefined) =>
  line?.pieces.map(({ text }) => text).join("")

describe("text of programs", () => {
  it("shows terminal sequences and control characters instead of applying them", () => {
    assert.strictEqual(plain("\u001B[31mred\u001B[0m\u0000\u0007\u007F"), "^[[31mred^[[0m^@^G^?")
    assert.strictEqual(plain("\u001B]0;a title\u0007after"), "^[]0;a title^Gafter")
    assert.strictEqual(plain("\u009B2J"), "<U+009B>2J")
  })

  it("shows characters that change the reading order", () => {
    assert.strictEqual(plain("a\u202Eb\u2066c\uFEFF"), "a<U+202E>b<U+2066>c<U+FEFF>")
  })

  it("keeps lines, tabs, and text of any language", () => {
    for (const text of ["a\n\tb", "äöü 中文 עברית 😀 e\u0301", "<b>&amp;</b>"]) {
      assert.deepStrictEqual(segments(text), [{ text, isControl: false }])
    }
    assert.strictEqual(plain("a\r\nb\rc"), "a\nb^Mc")
  })

  it("reads an unfinished sequence in linear time", () => {
    assert.isAbove(plain("\u001B]".repeat(200_000)).length, 200_000)
  })
})

describe("the trace of an attempt", () => {
  it("is in its trace context", () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert.strictEqual(traceOf({ executionMetadata: { traceparent } }), "4bf92f3577b34da6a3ce929d0e0e4736")
    assert.isUndefined(traceOf({ executionMetadata: { traceparent: "none" } }))
    assert.isUndefined(traceOf({ executionMetadata: {} }))
  })
})

describe("settings", () => {
  const saved = { maxCostUsd: "15", maxTokens: "", concurrency: "4" }

  it("change what is typed, and nothing that means the same", () => {
    assert.deepStrictEqual(Settings.changeOf(saved, { maxCostUsd: "$1,020.50", maxTokens: " ", concurrency: "04" }), {
      change: { maxCostUsd: 1020.5 },
      problems: {}
    })
    assert.deepStrictEqual(Settings.changeOf(saved, { maxCostUsd: "", maxTokens: "2,000,000", concurrency: "" }), {
      change: { maxCostUsd: null, maxTokens: 2_000_000, concurrency: null },
      problems: {}
    })
  })

  it("say what was expected in place of a text without an amount", () => {
    const { change, problems } = Settings.changeOf(saved, { maxCostUsd: "1e9", maxTokens: "0", concurrency: "2.5" })
    assert.deepStrictEqual(change, {})
    assert.deepStrictEqual(Object.keys(problems), ["maxCostUsd", "maxTokens", "concurrency"])
    assert.include(problems.maxCostUsd ?? "", "such as 12.50")
  })
})

describe("difference", () => {
  it("pairs the lines of a change and marks the words that changed", () => {
    const [first, second, third] = compare("one\nthe quick fox\nend", "one\nthe slow fox\nend")
    assert.strictEqual(first?.kind, "equal")
    assert.deepStrictEqual(
      second?.before?.pieces.filter(({ isChanged }) => isChanged).map(({ text }) => text),
      ["quick"]
    )
    assert.deepStrictEqual(
      second?.after?.pieces.filter(({ isChanged }) => isChanged).map(({ text }) => text),
      ["slow"]
    )
    assert.strictEqual(third?.after?.number, 3)
  })

  it("keeps every line of both texts", () => {
    const before = "a\nb\nc\n\nd"
    const after = "b\nx\nc\n\n\ne\nd"
    const rows = compare(before, after)
    assert.strictEqual(rows.flatMap((row) => (row.before ? [textOf(row.before)] : [])).join("\n"), before)
    assert.strictEqual(rows.flatMap((row) => (row.after ? [textOf(row.after)] : [])).join("\n"), after)
  })

  it("folds lines that are far from a change", () => {
    const lines = Array.from({ length: 40 }, (_, index) => `line ${index}`)
    const items = folded(compare(lines.join("\n"), lines.with(20, "changed").join("\n")))
    assert.deepStrictEqual(
      items.map((item) => (item.kind === "gap" ? item.rows.length : item.kind)),
      [17, "equal", "equal", "equal", "changed", "equal", "equal", "equal", 16]
    )
  })

  it("compares unrelated large texts", () => {
    const text = (seed: number) =>
      Array.from({ length: 20_000 }, (_, index) => String((index * seed) % 9973)).join("\n")
    assert.isNotEmpty(compare(text(7), text(31)))
  })
})

describe("format", () => {
  it("never shows an unknown cost as zero", () => {
    const usage = { inputTokens: 1, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd: null }
    assert.strictEqual(Format.cost(usage), "cost unknown")
    assert.strictEqual(Format.cost({ ...usage, bounds: { minUsd: 0, maxUsd: 0.5, maxTokens: 9 } }), "at most $0.5000")
    assert.strictEqual(Format.cost({ ...usage, costUsd: 1234.5 }), "$1,234.50")
    assert.strictEqual(Format.usd(0.00001), "< $0.0001")
  })

  it("shows 100% only when everything has ended", () => {
    assert.deepStrictEqual(
      [Format.percent(0, 0), Format.percent(1, 5000), Format.percent(4999, 5000), Format.percent(5, 5)],
      ["0%", "1%", "99%", "100%"]
    )
  })
})

describe("budget", () => {
  it("shows the amounts spent and reserved of each limit", () => {
    const budget = {
      limit: { nanoUsd: 5e9, tokens: 1000 },
      committed: { nanoUsd: 2e9, tokens: 100 },
      reserved: { nanoUsd: 5e8, tokens: 0 }
    }
    assert.deepStrictEqual(spent(budget), [
      { text: "$2.00 of $5.00 spent, $0.5000 reserved", committed: 0.4, reserved: 0.1 },
      { text: "100 of 1,000 tokens used", committed: 0.1, reserved: 0 }
    ])
    assert.deepStrictEqual(
      spent({ ...budget, limit: {} }).map(({ text }) => text),
      ["$2.00 spent, no limit"]
    )
  })
})

describe("rate", () => {
  it("measures the last minute, and starts again when tasks are requeued", () => {
    const samples = [0, 10, 20].reduce<ReadonlyArray<Rate.Sample>>(
      (known, second) => Rate.add(known, { at: second * 1000, done: second * 2 }),
      []
    )
    assert.strictEqual(Rate.perMinute(samples), 120)
    assert.isUndefined(Rate.perMinute(Rate.add(samples, { at: 30_000, done: 1 })))
  })
})

describe("waiting", () => {
  const queue = {
    queue: "a",
    pending: 5,
    in_progress: 0,
    in_review: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    waiting: 2,
    workers: { total: 0, first: [] }
  }

  it("says why pending tasks do not run", () => {
    assert.deepStrictEqual(reasons(queue, true), ["5 tasks pending until you resume."])
    assert.lengthOf(reasons(queue, false), 2)
    const none = { nanoUsd: 0, tokens: 0 }
    const budget = { limit: { nanoUsd: 5 }, committed: { ...none, nanoUsd: 5 }, reserved: none }
    assert.deepStrictEqual(reasons({ ...queue, budget }, false), [
      "5 tasks pending. The budget is spent: raise it in the settings."
    ])
    assert.deepStrictEqual(reasons({ ...queue, in_progress: 1, waiting: 0 }, false), [])
    const pause = {
      cause: "usage-limit",
      until: DateTime.makeUnsafe(723_000),
      reason: "The five-hour limit is reached."
    } as const
    assert.deepStrictEqual(reasons({ ...queue, pause }, false, 0), [
      `Waiting for a usage limit for ${Format.elapsed(723_000)} more: The five-hour limit is reached.`
    ])
  })
})

describe("workers", () => {
  const worker = { name: "build-7:4312", running: 4, claimed: 0, since: DateTime.makeUnsafe(0), isLost: false }

  it("says how many tasks a worker runs and for how long, how many it has claimed, and that it stopped responding", () => {
    assert.strictEqual(workText(worker, 185_000), "4 tasks, the first for 3m 05s")
    assert.strictEqual(
      workText({ ...worker, running: 1, claimed: 1_200 }, 185_000),
      "1 task for 3m 05s, 1,200 more claimed"
    )
    const { since: _, ...idle } = worker
    assert.strictEqual(workText({ ...idle, running: 0, claimed: 1 }, 0), "1 task claimed")
    assert.strictEqual(workText({ ...worker, isLost: true }, 0), "stopped responding with 4 tasks")
  })
})
