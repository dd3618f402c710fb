import { Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import * as Style from "../../../src/view/style.ts"
import { displayWidth } from "../../../src/view/width.ts"
import { hasRoom, renderView, type Size } from "../../../src/view/live/renderView.ts"
import type { FailureRow, TaskRow, View } from "../../../src/view/live/View.ts"

const task = (n: number, row: Partial<TaskRow> = {}): TaskRow => ({
  id: `task-${n}`,
  attempt: 1,
  ageMillis: n * 1000,
  doing: "executing",
  waitMillis: 0,
  text: `Name a prime above ${n}`,
  ...row
})

const failure = (n: number, row: Partial<FailureRow> = {}): FailureRow => ({
  id: `task-${n}`,
  attempt: 3,
  ageMillis: 65_000,
  feedback: `${n} is not a prime`,
  isFinal: true,
  ...row
})

const view = (fields: Partial<View> = {}): View => ({
  state: "running",
  completed: 120,
  failed: 4,
  running: 3,
  retrying: 2,
  pending: 271,
  total: 400,
  elapsedMillis: 125_000,
  ratePerSecond: 1.2,
  remainingMillis: 230_000,
  usage: { ...Usage.zero, inputTokens: 1_200_000, outputTokens: 34_567, costUsd: 1.23 },
  safety: {
    limits: { maxCostUsd: 5, maxConsecutiveFailures: 5, maxDurationMillis: 3_600_000 },
    breaker: undefined,
    failuresInARow: 1,
    attempts: 130
  },
  maxAttempts: 3,
  tasks: [
    task(1),
    task(2, { doing: "verifying", attempt: 2 }),
    task(3, { doing: "waiting", waitMillis: 12_000, text: "429: slow down" })
  ],
  failures: [failure(7), failure(8, { isFinal: false, attempt: 1 })],
  idWidth: 6,
  message: undefined,
  hints: [
    ["p", "pause"],
    ["q", "stop"],
    ["?", "help"]
  ],
  help: undefined,
  ...fields
})

const many = view({
  tasks: Array.from({ length: 64 }, (_, n) => task(n)),
  running: 64,
  failures: Array.from({ length: 16 }, (_, n) => failure(n))
})

const plain = (shown: View, size: Size) => renderView(shown, size, Style.none)
// eslint-disable-next-line no-control-regex
const sgr = /\u001B\[\d+m/g

describe("the live view", () => {
  it("shows all parts on 80 columns and 24 rows", () => {
    assert.deepStrictEqual(plain(view(), { columns: 79, rows: 23 }), [
      "running  ████████████████▓░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   31%  124/400",
      "tasks    120 completed     4 failed     3 running     2 retrying   271 pending",
      "time     2m 05s   1.2/s      3m 50s left",
      "used     $1.23 of $5.00   1,234,567 tokens",
      "limits   breaker closed, 1/5 failed in a row   $3.77 left   ends in 57m 55s",
      "",
      "  id      attempt     age  doing         task",
      "  task-1      1/3      1s  executing     Name a prime above 1",
      "  task-2      2/3      2s  verifying     Name a prime above 2",
      "  task-3      1/3      3s  retry 12s     429: slow down",
      "",
      "  latest failures",
      "✗ task-7      3/3  1m 05s  7 is not a prime",
      "↻ task-8      1/3  1m 05s  8 is not a prime",
      "",
      "p pause   q stop   ? help"
    ])
  })

  it("uses the space of 160 columns and 50 rows", () => {
    const lines = plain(many, { columns: 159, rows: 49 })
    assert.strictEqual(lines.length, 49)
    assert.strictEqual(lines.filter((line) => line.includes("executing")).length, 29)
    assert.include(lines, "  and 35 more")
    assert.strictEqual(lines.filter((line) => line.startsWith("✗")).length, 8)
  })

  it("shows the most important parts on 40 columns and 10 rows", () => {
    assert.deepStrictEqual(plain(view(), { columns: 39, rows: 9 }), [
      "running  ████▓░░░░░░░░░░   31%  124/400",
      "120 completed    4 failed    3 running",
      "2m 05s  1.2/s     3m 50s left",
      "$1.23 of $5.00  1,234,567 tokens",
      "breaker closed, 1/5 failed in a row",
      "      1s  executing     Name a prime a…",
      "      2s  verifying     Name a prime a…",
      "      3s  retry 12s     429: slow down",
      "p pause   q stop   ? help"
    ])
  })

  it("never exceeds the terminal, whatever its size", () => {
    for (let columns = 30; columns <= 170; columns += 11) {
      for (let rows = 8; rows <= 52; rows += 3) {
        for (const shown of [view(), many, view({ help: [["x".repeat(20), "y".repeat(200)]] })]) {
          const lines = plain(shown, { columns, rows })
          assert.isAtMost(lines.length, rows, `${columns}x${rows}`)
          for (const line of lines) assert.isAtMost(displayWidth(line), columns, `${columns}x${rows}: ${line}`)
        }
      }
    }
  })

  it("shows nothing on a tiny terminal", () => {
    assert.isFalse(hasRoom({ columns: 29, rows: 24 }))
    assert.isFalse(hasRoom({ columns: 80, rows: 7 }))
    assert.isTrue(hasRoom({ columns: 30, rows: 8 }))
  })

  it("the list of tasks does not change its length when a task fails", () => {
    const rows = (failures: View["failures"]) =>
      plain({ ...many, failures }, { columns: 79, rows: 23 }).filter((line) => line.includes("executing")).length
    assert.strictEqual(rows([]), rows(many.failures))
  })

  it("the help replaces the lists, and nothing else moves", () => {
    const size = { columns: 79, rows: 23 }
    const without = plain(view(), size)
    const shown = plain(view({ help: [["p", "pause: no new tasks"]] }), size)
    assert.strictEqual(shown.length, without.length)
    assert.deepStrictEqual(shown.slice(0, 7), [...without.slice(0, 5), "", "  p  pause: no new tasks"])
    assert.strictEqual(shown.at(-1), without.at(-1))
  })

  it("text from tasks cannot move the cursor, break a line or shift a column", () => {
    const lines = plain(
      view({
        tasks: [
          task(1, {
            id: "\u001B[2Jtask\n1",
            text: "要約してください：四半期報告書の第三章を三行で、それから翻訳する 🎉👩‍👩‍👧"
          }),
          task(2, { text: "tab\there \u001B]0;title\u0007\u001B[31mred\u001B[0m \u202Eback\r\nand more" })
        ],
        failures: [failure(3, { feedback: "\u009B2J\u0007 要約".repeat(40) })],
        idWidth: 40
      }),
      { columns: 79, rows: 23 }
    )
    for (const line of lines) {
      // eslint-disable-next-line no-control-regex
      assert.notMatch(line, /[\u0000-\u001F\u007F-\u009F\u202E]/)
      assert.isAtMost(displayWidth(line), 79)
    }
    const [one = "", two = ""] = lines.slice(7, 9)
    assert.strictEqual(displayWidth(one.slice(0, one.indexOf("executing"))), two.indexOf("executing"))
  })

  it("has no escape sequences without colours, and the same text with colours", () => {
    const size = { columns: 79, rows: 23 }
    const colored = renderView(view(), size, Style.colored)
    assert.match(colored.join("\n"), sgr)
    assert.deepStrictEqual(
      colored.map((line) => line.replace(sgr, "")),
      plain(view(), size)
    )
  })

  it("shows a task that has just ended, and does not count it among the running ones", () => {
    const ended = task(2, { doing: "ended" })
    const lines = plain(view({ tasks: [task(1), ended, task(3)] }), { columns: 79, rows: 23 })
    assert.strictEqual(lines[8], "  task-2      1/3      2s  ended         Name a prime above 2")
    const tasks = [ended, ...Array.from({ length: 20 }, (_, n) => task(n))]
    const cut = plain(view({ tasks, running: 20 }), { columns: 79, rows: 23 })
    assert.include(cut, `  and ${20 - cut.filter((line) => line.includes("executing")).length} more`)
  })

  it("shows a message in place of the tasks if the run waits", () => {
    const lines = plain(view({ tasks: [], message: "next retry in 51s" }), { columns: 79, rows: 23 })
    assert.deepStrictEqual(lines.slice(7, 9), ["  next retry in 51s", ""])
  })

  it("a worker shows no percentage, and no limits if there are none", () => {
    const lines = plain(
      view({
        total: undefined,
        usage: undefined,
        safety: { limits: {}, breaker: undefined, failuresInARow: 0, attempts: 0 }
      }),
      { columns: 79, rows: 23 }
    )
    assert.deepStrictEqual(
      [lines[0], lines[1], lines[3]],
      ["running  until stopped", "tasks    120 completed     4 failed     3 running     2 retrying", ""]
    )
    assert.isFalse(lines.some((line) => line.startsWith("limits")))
  })

  it("shows the reason of an open breaker, and marks an unknown cost", () => {
    const breaker = { state: "open", reason: "5 failures in a row" } as const
    const usage = { ...Usage.zero, inputTokens: 1, costUsd: null }
    const lines = plain(
      view({
        usage,
        safety: { limits: { maxTokens: 100, maxIterations: 500 }, breaker, failuresInARow: 5, attempts: 7 }
      }),
      { columns: 79, rows: 23 }
    )
    assert.deepStrictEqual(lines.slice(3, 5), [
      "used     cost unknown   1 of 100 tokens",
      "limits   breaker open: 5 failures in a row   99 tokens left   7 of 500 attempts"
    ])
  })

  it("shows no remaining time while the run is paused or draining", () => {
    for (const state of ["paused", "draining"] as const) {
      const lines = plain(view({ state }), { columns: 79, rows: 23 })
      assert.isTrue(lines[0]?.startsWith(state))
      assert.notInclude(lines[2], "left")
    }
  })
})
