import { type Event, type StopReason, Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import type { ModelUse } from "../../src/view/summary.ts"
import * as Style from "../../src/view/style.ts"
import { Progress } from "../../src/view/Progress.ts"
import { exitCode, summary } from "../../src/view/summary.ts"
import * as events from "./events.ts"

const drained: StopReason.StopReason = { _tag: "Drained", waiting: 0 }

const options = {
  style: Style.none,
  columns: 80,
  command: "baton",
  again: "baton run tasks.txt --exec ./work",
  endless: false,
  noVerify: false,
  isTransient: false
}

const lines = (
  end: {
    readonly reason?: StopReason.StopReason
    readonly counts: Parameters<typeof events.counts>[0]
    readonly stats?: Parameters<typeof events.stats>[0]
    readonly events?: ReadonlyArray<Event.Event>
    readonly models?: ReadonlyArray<ModelUse>
  },
  overrides?: Partial<typeof options>
) => {
  const progress = new Progress(events.counts({}), 0)
  for (const event of end.events ?? []) progress.on(event)
  return summary(
    {
      reason: end.reason ?? drained,
      exitCode: 0,
      imported: null,
      models: end.models ?? [],
      stats: events.stats(end.stats),
      counts: events.counts(end.counts)
    },
    progress,
    { ...options, ...overrides }
  )
}

describe("summary", () => {
  it("is one line after a successful run, with the command to export the results", () => {
    assert.deepStrictEqual(lines({ counts: { completed: 400 }, stats: { tasksStarted: 400, tasksCompleted: 400 } }), [
      "✓ 400 of 400 tasks completed in 10.0s (40/s)",
      "",
      "  baton export --format csv  export the results"
    ])
  })

  it("groups failures by cause, the most frequent first, and suggests commands", () => {
    assert.deepStrictEqual(
      lines({
        counts: { completed: 7, failed: 3 },
        stats: { tasksStarted: 16, tasksCompleted: 7, tasksFailed: 3, tasksRetried: 6 },
        events: [events.failed(1, "a", "one\nmore"), events.failed(1, "b", "two"), events.failed(1, "c", "two")]
      }),
      [
        "✗ 7 of 10 tasks completed in 10.0s (1.0/s)",
        "  attempts  16, 9 failed",
        "  time      p50 1.0s, p95 1.0s per attempt",
        "  failed    3 tasks, in the dead-letter queue",
        "    2  two",
        "    1  one…",
        "",
        "  baton dlq list             list failed tasks and the causes",
        "  baton dlq requeue --all    make failed tasks pending again",
        "  baton export --format csv  export the results"
      ]
    )
  })

  it("has a line for each model, the most expensive first, and marks uncertain costs", () => {
    const used = (outputTokens: number, costUsd: number): Usage.Usage => ({ ...Usage.zero, outputTokens, costUsd })
    const broke = Usage.add(used(100, 0.5), Usage.atMost({ costUsd: 0.25, tokens: 50 })) ?? Usage.zero
    const shown = lines({
      counts: { completed: 2 },
      stats: { tasksStarted: 2, tasksCompleted: 2, usage: broke },
      models: [
        { model: "judge", requests: 1, cached: 0, usage: used(1, 0.01) },
        { model: "worker", requests: 12, cached: 3, usage: broke }
      ]
    })
    assert.deepStrictEqual(shown.slice(1, 4), [
      "  used  100 tokens (100 out), $0.5000 to $0.7500",
      "        worker: 12 requests, 3 of them from the cache, 100 tokens, $0.5000 to $0.7500",
      "        judge: 1 request, 1 token, $0.0100"
    ])
  })

  it("counts reasons beyond the first five together", () => {
    const shown = lines({
      counts: { failed: 8 },
      stats: { tasksStarted: 8, tasksFailed: 8 },
      events: Array.from({ length: 8 }, (_, n) => events.failed(1, `t${n}`, `reason ${"abcdefgh"[n]}`))
    })
    assert.include(shown, "    3  for other reasons")
  })

  it("groups failures that differ only in the request id", () => {
    const shown = lines({
      counts: { failed: 8 },
      stats: { tasksStarted: 8, tasksFailed: 8 },
      events: Array.from({ length: 8 }, (_, n) => events.failed(1, `t${n}`, `The API is down [req_0${n}aB].`))
    })
    assert.include(shown, "    8  The API is down […].")
  })

  it("shows the last line of a traceback as the reason", () => {
    const traceback =
      'The command exited with code 1: Traceback (most recent call last):\n  File "f.py", line 3\nKeyError: 7\n'
    const shown = lines({ counts: { failed: 1 }, events: [events.failed(1, "a", traceback)] })
    assert.include(shown, "    1  The command exited with code 1: KeyError: 7")
  })

  it("shows the last failure and the waiting retries if consecutive failures stop a run", () => {
    const message = "3 failures in a row (last: exit code 1: Traceback (most recent call last):\n  ...\nKeyError: 7)"
    assert.deepStrictEqual(
      lines({
        reason: { _tag: "LimitReached", limit: "consecutive-failures", message },
        counts: { pending: 3 },
        stats: { tasksStarted: 3, tasksRetried: 3 },
        events: ["a", "b", "c"].map((id) => events.retried(1, id, 1, 1000))
      }).slice(0, 2),
      [
        "✗ Stopped: 3 failures in a row (last: exit code 1: KeyError: 7). 0 of 3 tasks completed in 10.0s",
        "  attempts  3, all failed; 3 tasks wait for a retry"
      ]
    )
  })

  it("shows what this run completed if other runs completed more", () => {
    assert.strictEqual(
      lines({ counts: { completed: 3 }, stats: { tasksStarted: 1, tasksCompleted: 1 } })[0],
      "✓ 1 completed in 10.0s (6/min); 3 of 3 tasks in all"
    )
  })

  it("reports unverified tasks, unless verification is disabled", () => {
    const end = { counts: { completed: 1 }, stats: { tasksStarted: 1, tasksCompleted: 1, tasksUnverified: 1 } }
    const hint = "! 1 task completed without verification."
    assert.include(lines(end), hint)
    assert.notInclude(lines(end, { noVerify: true }), hint)
  })

  it("a stopped run shows its limit, the remaining tasks, and how to resume", () => {
    assert.deepStrictEqual(
      lines({
        reason: { _tag: "LimitReached", limit: "iterations", message: "The limit of 10 attempts was reached." },
        counts: { completed: 10, pending: 5, waiting: 2 },
        stats: { tasksStarted: 10, tasksCompleted: 10, tasksReleased: 1 }
      }).slice(0, 6),
      [
        "✗ Stopped: the limit of 10 attempts was reached. 10 of 15 tasks completed in 10.0s (1.0/s)",
        "  released  1 task, pending again; the attempt does not count",
        "  left      3 pending, 2 depend on tasks that did not complete",
        "",
        "  Run the same command again to resume:",
        "    baton run tasks.txt --exec ./work"
      ]
    )
  })

  it("a run with nothing to do explains why", () => {
    assert.deepStrictEqual(lines({ counts: { completed: 400 } }), [
      "✓ Nothing to do: all 400 tasks are already completed"
    ])
    assert.deepStrictEqual(lines({ counts: {} }), ["! Nothing to do: there are no tasks"])
  })

  it("suggests no commands for a store in memory", () => {
    const end = { counts: { completed: 1 }, stats: { tasksStarted: 1, tasksCompleted: 1 } }
    assert.strictEqual(lines(end, { isTransient: true }).length, 1)
  })

  it("a worker reports its own tasks", () => {
    assert.deepStrictEqual(
      lines(
        {
          reason: { _tag: "Stopped" },
          counts: { completed: 900, pending: 4 },
          stats: { tasksStarted: 20, tasksCompleted: 20 }
        },
        { endless: true }
      ).slice(0, 2),
      ["✓ Stopped as requested: 20 tasks completed in 10.0s (2.0/s)", "  left  4 pending"]
    )
  })
})

describe("exitCode", () => {
  const of = (reason: StopReason.StopReason, counts: Parameters<typeof events.counts>[0], endless = false) =>
    exitCode({ reason, counts: events.counts(counts) }, { endless })

  it("is 0 if every task completed or was cancelled", () => {
    assert.strictEqual(of(drained, { completed: 3, cancelled: 1 }), 0)
  })

  it("is 2 if a task is a dead letter or can never run", () => {
    assert.strictEqual(of(drained, { completed: 3, failed: 1 }), 2)
    assert.strictEqual(of({ _tag: "Drained", waiting: 1 }, { pending: 1, waiting: 1, cancelled: 1 }), 2)
  })

  it("is 3 if a limit stopped the run, with or without dead letters", () => {
    assert.strictEqual(of({ _tag: "LimitReached", limit: "cost", message: "" }, { failed: 1, pending: 1 }), 3)
  })

  it("is not 0 for a stopped run with tasks left, but 0 for a stopped worker", () => {
    assert.strictEqual(of({ _tag: "Stopped" }, { pending: 1 }), 143)
    assert.strictEqual(of({ _tag: "Stopped" }, { completed: 1 }), 0)
    assert.strictEqual(of({ _tag: "Stopped" }, { pending: 1 }, true), 0)
  })

  it("is decided by the signal or error that ended the run", () => {
    assert.isNull(of({ _tag: "Interrupted" }, { pending: 1 }))
    assert.isNull(of({ _tag: "Failed", message: "" }, { pending: 1 }))
  })
})
