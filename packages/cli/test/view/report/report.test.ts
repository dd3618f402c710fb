import { assert, describe, it } from "@effect/vitest"
import { Attempt, Report, Task, type TaskRecord } from "@baton/core"
import { DateTime, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Details } from "../../../src/view/report/Details.ts"
import { figures, headline } from "../../../src/view/report/figures.ts"
import { html, timeline } from "../../../src/view/report/html.ts"
import { markdown, text } from "../../../src/view/report/text.ts"
import * as Style from "../../../src/view/style.ts"

const morning = Date.UTC(2026, 0, 5, 9)
const about = { store: "sqlite:x.db", command: "baton" }
const canvas = { style: Style.none, columns: 80 }

const chromium = [process.env["BATON_TEST_CHROMIUM"], "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path !== undefined && existsSync(path)
)

const decodeMeasured = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Schema.Number)))

interface Try {
  readonly outcome: Attempt.AttemptOutcome
  readonly at?: number
  readonly took?: number
  readonly error?: string
  readonly costUsd?: number | null
  readonly model?: string
}

const record = (id: string, status: Task.TaskStatus, tries: ReadonlyArray<Try>, description = `do ${id}`) => {
  const time = (millis: number) => DateTime.makeUnsafe(morning + millis)
  const usageOf = ({ costUsd }: Try) =>
    costUsd === undefined
      ? undefined
      : { usage: { inputTokens: 100, outputTokens: 10, cacheReadTokens: 0, cacheWriteTokens: 0, costUsd } }
  const attempts = tries.map((one, index): Attempt.Attempt => ({
    taskId: Task.TaskId.make(id),
    number: index + 1,
    token: Schema.decodeSync(Attempt.LeaseToken)(index + 1),
    owner: "worker-1",
    startedAt: time(one.at ?? 0),
    ...(one.outcome === "running" ? undefined : { endedAt: time((one.at ?? 0) + (one.took ?? 100)) }),
    execution: {
      output: `output ${index + 1} of ${id}`,
      confidence: 1,
      ...usageOf(one),
      metadata: one.model === undefined ? {} : { model: one.model }
    },
    outcome: one.outcome,
    ...(one.error === undefined ? undefined : { error: one.error }),
    ...usageOf(one)
  }))
  const task: Task.Task = {
    id: Task.TaskId.make(id),
    queue: Task.defaultQueue,
    description,
    overrides: {},
    status,
    ...(status === "completed" ? { result: `output of ${id}` } : undefined),
    attempts: tries.length,
    metadata: {},
    priority: 0,
    availableAt: time(0),
    dependsOn: [],
    feedback: tries.at(-1)?.error,
    verified: true,
    requeues: 0,
    usage: attempts.at(-1)?.usage,
    createdAt: time(0),
    updatedAt: time(0)
  }
  return {
    task,
    token: tries.length,
    waitsFor: [],
    attempts
  } satisfies TaskRecord.TaskRecord
}

const reportOf = (...records: ReadonlyArray<TaskRecord.TaskRecord>) => {
  const now = morning + 10_000
  const counting = Report.makeCounting(DateTime.makeUnsafe(now))
  const details = new Details(now)
  for (const one of records) {
    counting.add(one)
    details.add(one)
  }
  return { ...counting.report(), details }
}

const timelineOf = (...records: ReadonlyArray<TaskRecord.TaskRecord>) => {
  const report = reportOf(...records)
  return timeline(report, report.details)
}

describe("a report", () => {
  it("reports the outcomes of tasks, and the duration and cost of attempts", () => {
    const report = reportOf(
      record("a", "completed", [{ outcome: "completed", took: 1000, costUsd: 0.25, model: "m-1" }]),
      record("b", "failed", [
        { outcome: "retried", took: 2000, error: "no" },
        { outcome: "failed", at: 3000, took: 3000, error: "still no" }
      ]),
      record("c", "pending", [])
    )
    assert.strictEqual(headline(report), "1 of 3 tasks completed, 1 failed, 1 pending.")
    const shown = Object.fromEntries(figures(report))
    assert.match(shown["Total time"] ?? "", /, 2026-01-05 09:00:00Z to 09:0/)
    assert.strictEqual(shown["Success"], "50% of finished tasks")
    assert.strictEqual(shown["Attempts"], "3, 2 failed")
    assert.match(shown["Time per attempt"] ?? "", /^(?:1\.9|2\.0)s median, (?:2\.9|3\.0)s at the 95th percentile$/)
    assert.strictEqual(shown["Tokens"], "110: 100 in, 10 out")
    assert.strictEqual(shown["Cost"], "$0.2500")
  })

  it("does not count attempts that were given back without a cost, such as those of tasks that were claimed ahead", () => {
    const report = reportOf(
      record("a", "completed", [
        { outcome: "released", error: "not started" },
        { outcome: "completed", at: 200 }
      ]),
      record("b", "pending", [{ outcome: "released", costUsd: 0.5 }]),
      record("c", "in_progress", [{ outcome: "claimed" }])
    )
    assert.strictEqual(report.attempts, 2)
    assert.strictEqual(Object.fromEntries(figures(report))["Attempts"], "2")
    assert.deepStrictEqual(report.outcomes, { completed: 1, released: 1 })
    assert.deepStrictEqual(
      report.details.shownHistories().map(({ attempts, id }) => [id, attempts.length]),
      [
        ["c", 0],
        ["a", 1],
        ["b", 1]
      ]
    )
  })

  it("has one name for each figure and each list, on the page, in Markdown and in a terminal", () => {
    const report = reportOf(
      record("a", "completed", [{ outcome: "completed", costUsd: 0.25, model: "small" }]),
      record("b", "failed", [{ outcome: "failed", error: "no", model: "large" }])
    )
    const pages = [html(report, report.details, about), markdown(report, about), text(report, about, canvas).join("\n")]
    const names = figures(report).map(([name]) => name)
    assert.includeMembers(names, ["Attempts", "Tokens", "Cost"])
    for (const name of [...names, "Failures by cause", "Time per attempt", "Models"]) {
      for (const page of pages) assert.include(page, name)
    }
    const [page = ""] = pages
    assert.deepStrictEqual(
      [...page.matchAll(/<thead><tr>(.*?)<\/tr>/g)].map(([, head = ""]) =>
        head.replaceAll(/<[^>]*>/g, " ").match(/\w+/g)
      ),
      [
        ["Cause", "Tasks", "Attempts"],
        ["Model", "Attempts", "Tokens", "Cost"]
      ]
    )
    const [, inMarkdown] = pages
    for (const head of ["| Cause | Tasks | Attempts |", "| Model | Attempts | Cost |"]) assert.include(inMarkdown, head)
  })

  it.skipIf(chromium === undefined)(
    "has no hole in the overview, whatever the number of figures (needs Chromium)",
    () => {
      const report = reportOf(record("a", "completed", [{ outcome: "completed", costUsd: 0.25 }]))
      const page = html(report, report.details, about)
      // Measures the area of the list that its cells do not cover, with each number of cells.
      const measure = `
        const list = document.querySelector("dl"), cells = [...list.children], holes = []
        for (let n = 1; n <= 7; n++) {
          list.replaceChildren(...Array.from({ length: n }, () => cells[0].cloneNode(true)))
          const area = (element) => element.clientWidth * element.clientHeight
          holes.push(1 - [...list.children].reduce((sum, cell) => sum + area(cell), 0) / area(list))
        }
        document.documentElement.textContent = JSON.stringify(holes)`
      const file = join(mkdtempSync(join(tmpdir(), "baton-report-")), "report.html")
      writeFileSync(file, `${page.replace(/<meta http-equiv[^>]*>/, "")}<script>${measure}</script>`)
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,800", "--dump-dom"]
      const { stdout } = spawnSync(chromium ?? "", [...flags, `file://${file}`], { encoding: "utf8" })
      const [measured = ""] = /\[.*\]/.exec(stdout) ?? []
      const holes = decodeMeasured(measured)
      assert.lengthOf(holes, 7)
      for (const [index, hole] of holes.entries()) assert.isBelow(hole, 0.02, `${index + 1} cells`)
    }
  )

  it("never reports an unknown cost as zero", () => {
    const report = reportOf(record("a", "completed", [{ outcome: "completed", costUsd: null }]))
    assert.strictEqual(Object.fromEntries(figures(report))["Cost"], "cost unknown")
    assert.notInclude(html(report, report.details, about), "$0")
  })

  it("groups similar failures, permanent ones first", () => {
    const report = reportOf(
      ...Array.from({ length: 5 }, (_, index) =>
        record(`r${index}`, "completed", [
          { outcome: "retried", error: `rate limited, request req_${index}0a1b2c3d4e5f, ${index} s` },
          { outcome: "completed" }
        ])
      ),
      record("f", "failed", [{ outcome: "failed", error: "It refused.\nAt length." }])
    )
    assert.deepStrictEqual(
      report.causes.map(({ attempts, name, tasks }) => [name, tasks, attempts]),
      [
        ["It refused.", 1, 1],
        ["rate limited, request …, … s", 0, 5]
      ]
    )
  })

  it("lists failed tasks before retried ones, up to a limit", () => {
    const report = reportOf(
      ...Array.from({ length: 1000 }, (_, index) => record(`t${index}`, "completed", [{ outcome: "completed" }])),
      record("late", "failed", [{ outcome: "failed", error: "no" }]),
      record("twice", "completed", [{ outcome: "retried", error: "no" }, { outcome: "completed" }])
    )
    const shown = report.details.shownHistories()
    assert.deepStrictEqual([shown[0]?.id, shown[1]?.id, shown.length], ["late", "twice", 250])
    assert.include(html(report, report.details, about), "752 more tasks are not shown.")
  })

  it("says in every format if the store is empty", () => {
    const empty = reportOf()
    for (const page of [
      html(empty, empty.details, about),
      markdown(empty, about),
      text(empty, about, canvas).join("\n")
    ]) {
      assert.include(page, "There are no tasks.")
      assert.notMatch(page, /NaN|Infinity|undefined/)
    }
  })

  it("treats the text of tasks as plain text", () => {
    const hostile = `</pre><script>alert(1)</script><img src=x onerror=alert(2)> & "quoted" | \u001B[31mred \u202Edlrow`
    const report = reportOf(
      record(hostile, "failed", [{ outcome: "failed", error: hostile, model: hostile, costUsd: 1 }], hostile)
    )
    const page = html(report, report.details, { store: hostile, command: hostile })
    assert.notMatch(page, /<script|<img|onerror=alert\(2\)>(?!&)/)
    assert.notInclude(page, '"quoted"')
    // eslint-disable-next-line no-control-regex
    assert.notMatch(page, /[\u001B\u202E]/)
    assert.include(page, "default-src 'none'")
    const md = markdown(report, { store: hostile, command: hostile })
    assert.notMatch(md, /(?<!\\)<script/)
    for (const line of md.split("\n").filter((line) => line.startsWith("| \\<"))) {
      assert.isAtMost(line.match(/(?<!\\)\|/g)?.length ?? 0, 4, line)
    }
    // eslint-disable-next-line no-control-regex
    assert.notMatch(text(report, about, canvas).join("\n"), /\u001B|\u202E/)
  })
})

describe("a timeline", () => {
  it("puts overlapping attempts into separate lanes and reuses lanes", () => {
    const chart = timelineOf(
      record("a", "completed", [{ outcome: "completed", at: 0, took: 500 }]),
      record("b", "completed", [{ outcome: "completed", at: 100, took: 900 }]),
      record("c", "completed", [{ outcome: "completed", at: 500, took: 500 }])
    )
    assert.isTrue(chart._tag === "Bars")
    if (chart._tag !== "Bars") return
    assert.deepStrictEqual(
      chart.bars.map(({ from, lane, to }) => [lane, from, to]),
      [
        [0, 0, 0.5],
        [1, 0.1, 1],
        [0, 0.5, 1]
      ]
    )
  })

  it("shows how many attempts were running at the same time if they are too many to be drawn separately", () => {
    // Two at a time: each starts 5 ms after the one before, and takes 10 ms. Dozens end in each slice.
    const chart = timelineOf(
      ...Array.from({ length: 4000 }, (_, index) =>
        record(`t${index}`, "completed", [{ outcome: "completed", at: 5 * index, took: 10 }])
      )
    )
    if (chart._tag !== "Slices") return assert.fail("expected slices")
    assert.closeTo(chart.most, 2, 0.01)
    for (const { completed = 0 } of chart.slices.slice(1, -1)) assert.closeTo(completed, 2, 0.01)
  })
})
