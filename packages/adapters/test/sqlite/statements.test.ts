import { assert, describe, it } from "@effect/vitest"
import { DatabaseSync } from "node:sqlite"
import { format } from "../../src/sqlite/internal/migrations.ts"
import { preparedOn } from "../../src/sqlite/internal/preparing.ts"
import { make } from "../../src/sqlite/internal/statements.ts"

const db = new DatabaseSync(":memory:")
format.migrate(db, 0)

/** The texts of all statements. */
const texts: Array<string> = []
const statements = make((sql, returnArrays) => {
  texts.push(sql)
  return preparedOn(db)(sql, returnArrays)
})

/** How SQLite runs a statement, a line for each loop. */
const plan = (sql: string) =>
  db
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all()
    .map(({ detail }) => String(detail))

const textOf = (...words: ReadonlyArray<string>) => {
  const found = texts.filter((text) => words.every((word) => text.includes(word)))
  assert.lengthOf(found, 1, `one statement has ${words.join(" and ")}`)
  return found[0] ?? ""
}

const planOf = (...words: ReadonlyArray<string>) => plan(textOf(...words))

/** Whether a statement runs a trigger. */
const hasTrigger = (sql: string) =>
  db
    .prepare(`EXPLAIN ${sql}`)
    .all()
    .some(({ opcode }) => opcode === "Program")

describe("the statements of a SQLite store", () => {
  it("claim from an index that contains only claimable tasks, those of a queue in its order", () => {
    for (const index of ["tasks_started", "tasks_claimable"]) {
      assert.deepStrictEqual(planOf(`INDEXED BY ${index} CROSS JOIN`), [
        `SEARCH t USING INDEX ${index} (queue=? AND priority=? AND available_at<?)`,
        "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"
      ])
      assert.deepStrictEqual(planOf("SELECT priority, available_at", `INDEXED BY ${index}\n`), [
        `SEARCH tasks USING COVERING INDEX ${index} (queue=? AND priority<?)`
      ])
    }
    assert.include(planOf("token = MAX(token, ?4) + 1"), "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)")
  })

  it("claim tasks with a concurrency key in the order of turns, from an index that contains only these", () => {
    const busy = "SEARCH t USING COVERING INDEX tasks_busy (queue=? AND concurrency_key=?)"
    assert.deepStrictEqual(planOf("ORDER BY turn LIMIT +?5"), [
      "SEARCH key_turns USING COVERING INDEX key_turns_in_order (queue=? AND priority=?)",
      "CORRELATED SCALAR SUBQUERY 1",
      busy,
      "CORRELATED SCALAR SUBQUERY 1",
      busy
    ])
    for (const index of ["tasks_keyed_started", "tasks_keyed"]) {
      assert.deepStrictEqual(planOf(`INDEXED BY ${index} CROSS JOIN`), [
        `SEARCH t USING INDEX ${index} (queue=? AND concurrency_key=? AND priority=? AND available_at<?)`,
        "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)"
      ])
    }
    assert.deepStrictEqual(planOf("priority DESC, turn LIMIT 1"), [
      "SEARCH key_turns USING COVERING INDEX key_turns_in_order (queue=?)",
      "CORRELATED SCALAR SUBQUERY 1",
      busy
    ])
  })

  it("find expired leases of a queue in an index that contains only leases", () => {
    assert.deepStrictEqual(planOf("lease_until <= ?"), [
      "SEARCH tasks USING INDEX tasks_leased (queue=? AND lease_until<?)",
      "SEARCH task_inputs USING INTEGER PRIMARY KEY (rowid=?)"
    ])
    assert.deepStrictEqual(planOf("SELECT lease_until"), ["SEARCH tasks USING COVERING INDEX tasks_leased (queue=?)"])
  })

  it("settle by id, and find dependants without reading other tasks", () => {
    const amend = "UPDATE attempts SET verification"
    for (const text of texts.filter((text) => text.includes("token = ?") && !text.includes(amend))) {
      assert.deepStrictEqual(plan(text), ["SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)"], text)
    }
    assert.deepStrictEqual(planOf(amend), [
      "SEARCH attempts USING INDEX attempts_by_task (task=?)",
      "SCALAR SUBQUERY 1",
      "SEARCH tasks USING COVERING INDEX sqlite_autoindex_tasks_1 (id=?)"
    ])
    assert.include(planOf("COUNT(*) AS count"), "SEARCH tasks USING INDEX sqlite_autoindex_tasks_1 (id=?)")
    assert.deepStrictEqual(planOf("blockers = blockers - 1"), [
      "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)",
      "LIST SUBQUERY 1",
      "SEARCH dependencies USING PRIMARY KEY (dependency=?)"
    ])
  })

  it("run the trigger for concurrency keys where a task can become claimable, and not where it is claimed or settled", () => {
    const withTrigger = texts.filter((text) => /UPDATE (OR FAIL )?tasks\b/.test(text) && hasTrigger(text))
    assert.sameMembers(withTrigger, [
      textOf("SET blockers = ?"),
      textOf("blockers = blockers - 1"),
      textOf("SET available_at = ? WHERE id"),
      textOf("checkpoint = COALESCE(execution, checkpoint)"),
      textOf("requeues = requeues + 1, available_at"),
      textOf("requeues = requeues + 1, feedback"),
      textOf("UPDATE tasks", "status = 'in_review'")
    ])
    // Each of the others that names the status gives it another value, or is followed by one of these.
    const without = texts.filter((text) => /UPDATE (OR FAIL )?tasks SET\s+status = /.test(text) && !hasTrigger(text))
    assert.sameMembers(without, [
      textOf("token = MAX(token, ?4) + 1"),
      textOf("feedback = ?, usage = ?, checkpoint = ?"),
      textOf("UPDATE tasks SET status = 'failed'")
    ])
  })

  it("find failed and cancelled tasks among a million completed ones by an index", () => {
    for (const status of ["failed", "cancelled"]) {
      for (const text of texts.filter((text) => text.includes(`status = '${status}' AND seq > ?`))) {
        assert.isTrue(
          plan(text).some((line) => line.includes(`INDEX tasks_${status} (`)),
          text
        )
      }
    }
  })

  it("never scan a whole table of tasks or attempts", () => {
    assert.isAbove(texts.length, Object.keys(statements).length - 1)
    // The repair of a damaged file looks at everything.
    const isRepair = (text: string) => /status NOT IN|seq NOT IN|TOTAL\(/.test(text)
    for (const text of texts.filter((text) => !isRepair(text))) {
      for (const line of plan(text)) {
        assert.notMatch(line, /^SCAN (tasks|t|attempts|a|task_inputs|i)$/, text)
      }
    }
  })
})
