import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { connect } from "../../src/postgres/internal/connection.ts"
import * as Names from "../../src/postgres/internal/names.ts"
import * as Statements from "../../src/postgres/internal/statements.ts"
import { add, isMissing, names, open, schema, url } from "./postgres.ts"

const text = "text"
const number = "double precision"
const int = "bigint"
const [texts, numbers, booleans] = ["text[]", "double precision[]", "boolean[]"]

describe.skipIf(isMissing)("the plans of a PostgreSQL store's statements", () => {
  it.live("find rows by indexes, even if they were made while the tables were empty", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      yield* add(store, names(10))
      const { sql } = yield* connect({
        url,
        schema: name,
        maxConnections: 1,
        statementTimeout: Duration.seconds(10),
        listen: true,
        applicationName: "baton-test"
      })
      const statements = Statements.make(Names.make(name))
      const explain = Effect.fnUntraced(function* (
        statement: string,
        types: ReadonlyArray<string>,
        ...expected: ReadonlyArray<RegExp>
      ) {
        // The driver prepares it for any parameters, too.
        yield* sql.unsafe(`PREPARE statement ${types.length === 0 ? "" : `(${types.join(", ")})`} AS ${statement}`)
        const nulls = types.map(() => "NULL").join(", ")
        const rows = yield* sql.unsafe<Record<string, string>>(
          `EXPLAIN (COSTS OFF) EXECUTE statement ${types.length === 0 ? "" : `(${nulls})`}`
        )
        yield* sql.unsafe("DEALLOCATE statement")
        const plan = rows.map((row) => row["QUERY PLAN"]).join("\n")
        // The rows of count changes and the one row of control are read completely.
        assert.notMatch(plan, /Seq Scan on (?!count_changes|control)/, plan)
        assert.notMatch(plan, /Hash Join|Merge Join/, plan)
        for (const part of expected) assert.match(plan, part, plan)
      })
      const claimable = /using tasks_claimable on tasks/
      const byKey = /using tasks_pkey on tasks/
      const leased = [numbers, numbers, numbers]
      yield* explain(statements.claim, [int, text, number, number], claimable, /LockRows/, byKey)
      yield* explain(statements.reclaim, [text, numbers, number, int], /using tasks_leased on tasks/, byKey)
      yield* explain(statements.outlook, [], claimable, /using tasks_leased on tasks/)
      yield* explain(
        statements.complete,
        [...leased, texts, texts, texts, texts, booleans],
        /Nested Loop\n\s+->  Function Scan on x\n\s+->  Index Scan using tasks_pkey on tasks/
      )
      const outcomes = [texts, texts, texts, numbers, numbers, texts, texts, booleans]
      const results = [texts, texts, texts, texts, texts]
      yield* explain(
        statements.settle,
        [...leased, ...outcomes, ...results],
        /LockRows\n\s+->  Sort/,
        byKey,
        /dependencies_pkey/
      )
      yield* explain(statements.extend, [...leased, number], byKey)
      yield* explain(statements.checkpoint, [...leased, texts, texts, texts], byKey)
      yield* explain(statements.locate, [texts, numbers], byKey, /task_inputs_id/)
      yield* explain(statements.explain, [texts, numbers, numbers, numbers], byKey, /task_inputs_id/, /attempts_pkey/)
      yield* explain(statements.sweep, [number, int, text, text], /using tasks_leased on tasks/)
      const page = [int, int]
      yield* explain(statements.list.all, page, byKey)
      yield* explain(statements.list.pending, page, /tasks_pending/)
      yield* explain(statements.list.failed, page, /tasks_failed/)
      yield* explain(statements.list.cancelled, page, /tasks_cancelled/)
      yield* explain(statements.list.in_progress, page, /tasks_leased/)
      yield* explain(statements.get, [text], /task_inputs_id/, byKey)
      yield* explain(statements.attempts, [text], /task_inputs_id/, /attempts_pkey/)
      yield* explain(statements.dump, page, byKey)
      yield* explain(statements.dumpAttempts, [numbers], /attempts_pkey/, byKey)
      yield* explain(statements.dumpWaitsFor, [numbers], /dependencies_by_task/)
      yield* explain(statements.prune.ids, [texts, texts, number], /task_inputs_id/, byKey)
      yield* explain(statements.cancel.status.pending, [int, int, text], /tasks_pending/)
    })
  )
})
