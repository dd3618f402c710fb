import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { statements as claiming } from "../../src/postgres/internal/claiming.ts"
import { connect } from "../../src/postgres/internal/connect.ts"
import { statements as leases } from "../../src/postgres/internal/leases.ts"
import * as Names from "../../src/postgres/internal/names.ts"
import { statements as reading } from "../../src/postgres/internal/reading.ts"
import { statements as settling } from "../../src/postgres/internal/settling.ts"
import { statements as sweeping } from "../../src/postgres/internal/sweeping.ts"
import { statements as waiting } from "../../src/postgres/internal/waiting.ts"
import { add, isMissing, names, open, schema, url } from "./postgres.ts"

const text = "text"
const number = "double precision"
const int = "bigint"
const [texts, numbers, booleans] = ["text[]", "double precision[]", "boolean[]"]

describe.skipIf(isMissing)("the plans of a PostgreSQL store's statements", () => {
  it.live("find rows by their indexes, also when they were made while the tables were empty", () =>
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
      const own = Names.make(name)
      const explain = Effect.fnUntraced(function* (
        statement: string,
        types: ReadonlyArray<string>,
        ...expected: ReadonlyArray<RegExp>
      ) {
        // As the driver prepares it: for any parameters.
        yield* sql.unsafe(`PREPARE statement ${types.length === 0 ? "" : `(${types.join(", ")})`} AS ${statement}`)
        const nulls = types.map(() => "NULL").join(", ")
        const rows = yield* sql.unsafe<Record<string, string>>(
          `EXPLAIN (COSTS OFF) EXECUTE statement ${types.length === 0 ? "" : `(${nulls})`}`
        )
        yield* sql.unsafe("DEALLOCATE statement")
        const plan = rows.map((row) => row["QUERY PLAN"]).join("\n")
        // The differences that counts consist of, and the one row of requests, are read as a whole.
        assert.notMatch(plan, /Seq Scan on (?!count_changes|control)/, plan)
        assert.notMatch(plan, /Hash Join|Merge Join/, plan)
        for (const part of expected) assert.match(plan, part, plan)
      })
      const claimable = /using tasks_claimable on tasks/
      const byKey = /using tasks_pkey on tasks/
      yield* explain(claiming(own).claim, [int, text, number, number], claimable, /LockRows/, byKey)
      yield* explain(waiting(own).outlook, [], claimable, /using tasks_leased on tasks/)
      yield* explain(
        settling(own).complete,
        [numbers, numbers, texts, texts, texts, texts, booleans],
        /Nested Loop\n\s+->  Function Scan on x\n\s+->  Index Scan using tasks_pkey on tasks/
      )
      const all = [numbers, numbers, texts, texts, texts, texts, texts, booleans, texts, texts, numbers, texts]
      yield* explain(settling(own).settle, all, /LockRows\n\s+->  Sort/, byKey, /dependencies_pkey/)
      yield* explain(leases(own).extend, [numbers, numbers, number], byKey)
      yield* explain(leases(own).checkpoint, [numbers, numbers, texts, texts, texts], byKey)
      yield* explain(leases(own).stand, [texts, numbers, numbers], byKey, /task_inputs_id/, /attempts_pkey/)
      yield* explain(sweeping(own).sweep, [number, "boolean", int], /using tasks_leased on tasks/)
      const page = [int, int]
      yield* explain(reading(own).page, page, byKey)
      yield* explain(reading(own).pageOf.pending, page, /tasks_pending/)
      yield* explain(reading(own).pageOf.failed, page, /tasks_failed/)
      yield* explain(reading(own).pageOf.cancelled, page, /tasks_cancelled/)
      yield* explain(reading(own).pageOf.in_progress, page, /tasks_leased/)
      yield* explain(reading(own).task, [text], /task_inputs_id/, byKey)
      yield* explain(reading(own).attempts, [text], /task_inputs_id/, /attempts_pkey/)
    })
  )
})
