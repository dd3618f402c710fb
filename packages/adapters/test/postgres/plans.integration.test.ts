import type * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schema } from "effect"
import { connect } from "../../src/postgres/internal/connection.ts"
import * as Names from "../../src/postgres/internal/names.ts"
import * as Statements from "../../src/postgres/internal/statements.ts"
import * as Postgres from "../servers/postgres.ts"
import { add, client, id, isMissing, names, open, schema, url } from "./postgres.ts"

const text = "text"
const number = "double precision"
const int = "bigint"
const [texts, numbers, booleans] = ["text[]", "double precision[]", "boolean[]"]

/** A connection with the settings of a store's own connections. */
const ownConnection = (url: string, schema: string) =>
  Effect.map(
    connect({
      url,
      schema,
      maxConnections: 1,
      statementTimeout: Duration.minutes(1),
      listen: true,
      applicationName: "baton-test"
    }),
    ({ sql }) => sql
  )

/** Expects parts of the plan that a statement has for any parameters, and that it finds all rows by an index. */
const explaining = (sql: PgClient.PgClient) =>
  Effect.fnUntraced(function* (statement: string, types: ReadonlyArray<string>, ...expected: ReadonlyArray<RegExp>) {
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

describe.skipIf(isMissing)("a search in a PostgreSQL store", () => {
  it.live("goes on after the tasks that one statement looks at", () =>
    Effect.gen(function* () {
      const store = yield* open({ schema: yield* schema() })
      yield* add(store, names(10_001, "other"))
      yield* add(store, names(3, "wanted"))
      const { next, tasks } = yield* store.list({ text: "do WANTED", limit: 2, results: false })
      assert.deepStrictEqual(
        tasks.map(({ id }) => id),
        names(2, "wanted").map(id)
      )
      assert.strictEqual((yield* store.list({ text: "wanted", cursor: next ?? "" })).tasks[0]?.id, "wanted-2")
      assert.deepStrictEqual(yield* store.list({ text: "nowhere", status: "pending" }), { tasks: [] })
    })
  )
})

describe.skipIf(isMissing)("the plans of a PostgreSQL store's statements", () => {
  it.live("find rows by indexes, even if they were made while the tables were empty", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      yield* add(store, names(10))
      const explain = explaining(yield* ownConnection(url, name))
      const statements = Statements.make(Names.make(name))
      const claimable = /using tasks_claimable on tasks/
      const byKey = /using tasks_pkey on tasks/
      const updatedByKey = /Update on tasks[^]*Index Scan using tasks_pkey on tasks/
      const leased = [numbers, numbers, numbers]
      // Not from the beginning of a level, where the index still contains the tasks that were claimed since the last vacuum.
      const fromFirst = /ROW\(available_at, seq\) >= ROW\(l_1.available_at, l_1.seq\)/
      yield* explain(
        statements.claim,
        [int, text, number, number, text, int],
        claimable,
        fromFirst,
        /LockRows/,
        updatedByKey
      )
      yield* explain(
        statements.reclaim,
        [text, numbers, number, int, text, number, int],
        /using tasks_leased on tasks/,
        byKey
      )
      yield* explain(
        statements.outlook,
        [text, int],
        claimable,
        /using tasks_leased on tasks/,
        /using tasks_busy on tasks/
      )
      yield* explain(
        statements.lockKeys,
        [text, int, int, int],
        /using key_turns_in_order/,
        /using tasks_busy on tasks/
      )
      yield* explain(
        statements.claimKeyed,
        [int, text, number, number, text, int, int, int, texts, texts],
        claimable,
        /using tasks_keyed on tasks/,
        /using tasks_busy on tasks/,
        updatedByKey,
        /Update on key_turns[^]*Tid Scan on key_turns/
      )
      yield* explain(
        statements.complete,
        [...leased, texts, texts, texts, texts, booleans, numbers, numbers, texts, texts],
        /Nested Loop\n\s+->  Subquery Scan on x\n\s+->  ProjectSet\n\s+->  Result\n\s+->  Index Scan using tasks_pkey on tasks/
      )
      const outcomes = [texts, texts, texts, numbers, numbers, texts, texts, booleans]
      const results = [texts, texts, texts, texts, texts, numbers, numbers, texts, texts]
      yield* explain(
        statements.settle,
        [...leased, ...outcomes, ...results],
        /LockRows\n\s+->  Sort/,
        byKey,
        /dependencies_pkey/
      )
      const spending = [numbers, numbers, numbers, numbers, numbers, numbers, numbers]
      yield* explain(statements.reserve, [...leased, ...spending], /LockRows\n\s+->  Sort/, byKey, /budgets_pkey/)
      yield* explain(statements.extend, [...leased, number], byKey)
      yield* explain(statements.start, leased, byKey)
      yield* explain(statements.checkpoint, [...leased, texts, texts, texts, texts, texts], byKey)
      yield* explain(statements.locate, [texts, numbers], byKey, /task_inputs_id/)
      yield* explain(statements.explain, [texts, numbers, numbers, numbers], byKey, /task_inputs_id/, /attempts_pkey/)
      yield* explain(statements.sweep, [number, int, text, text, text, int, text, text], /using tasks_leased on tasks/)
      const page = [int, int]
      const list = [int, int, text, "boolean"]
      yield* explain(statements.list.all, list, byKey)
      yield* explain(statements.list.pending, list, /tasks_pending/)
      yield* explain(statements.list.failed, list, /tasks_failed/)
      yield* explain(statements.list.cancelled, list, /tasks_cancelled/)
      yield* explain(statements.list.in_progress, list, /tasks_leased/)
      const search = [...list, text]
      yield* explain(statements.search.all, search, byKey, /task_inputs_pkey/)
      yield* explain(statements.search.failed, search, /tasks_failed/, byKey, /task_inputs_pkey/)
      yield* explain(statements.workers, [], /tasks_leased/)
      yield* explain(statements.get, [texts], /task_inputs_id/, byKey)
      yield* explain(statements.attempts, [text], /task_inputs_id/, /attempts_pkey/)
      yield* explain(statements.dump, [...page, text], byKey)
      yield* explain(statements.dumpAttempts, [numbers], /attempts_pkey/, byKey)
      yield* explain(statements.dumpWaitsFor, [numbers], /dependencies_by_task/)
      yield* explain(statements.prune.ids, [texts, texts, number], /task_inputs_id/, byKey)
      const work = [texts, numbers, texts, texts, texts, texts, numbers, texts, texts]
      yield* explain(statements.revise, work, /LockRows\n\s+->  Sort/, /task_inputs_id/, byKey)
      yield* explain(statements.cancel.status.pending, [int, int, text, text], /tasks_pending/)
    })
  )

  it.live("find claimable tasks by their own index after statistics of a moment without any", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      yield* open({ schema: name })
      const sql = yield* ownConnection(url, name)
      yield* sql.unsafe(`INSERT INTO "${name}".tasks
        (seq, queue, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token)
        SELECT n, 'default', 'completed', 0, now(), 0, 0, 1, 0, false, now(), 1 FROM generate_series(1, 2000) n`)
      yield* sql.unsafe(`VACUUM ANALYZE "${name}".tasks`)
      const explain = explaining(sql)
      const statements = Statements.make(Names.make(name))
      const withoutOthers = /^(?![^]*tasks_pending)[^]*using tasks_claimable on tasks/
      yield* explain(statements.claim, [int, text, number, number, text, int], withoutOthers)
      yield* explain(statements.outlook, [text, int], withoutOthers)
    })
  )
})

const Explained = Schema.decodeUnknownEffect(
  Schema.Array(
    Schema.Struct({ Plan: Schema.Struct({ "Shared Hit Blocks": Schema.Number, "Shared Read Blocks": Schema.Number }) })
  )
)

/** As many as make a table several thousand pages long. */
const many = 200_000

describe.skipIf(!Postgres.isInstalled())("a PostgreSQL store with hundreds of thousands of tasks", () => {
  it.live("claims, sweeps and looks for work in a queue by an index, whatever other queues contain", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.temporary()
      yield* open({ url: server.url, schema: "baton" })
      const sql = yield* client(server.url)
      // Everything of the other queue comes first: its priorities, its times, and the ends of its leases.
      yield* sql.unsafe(`INSERT INTO baton.tasks
          (seq, queue, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token,
            lease, lease_until, owner, claim_call, started_at)
          SELECT n, CASE WHEN n > ${many - 20} THEN 'small' ELSE 'big' END, status,
            CASE WHEN n > ${many - 20} THEN n % 2 ELSE n % 5 + 1 END, now() - (${many + 1} - n) * interval '1 second', 0, 0, 0, 0,
            false, now(), 1, lease, now() - (${many + 1} - n) * interval '1 second', 'worker', lease, now()
          FROM (
            SELECT n, CASE WHEN n % 4 = 0 THEN 'in_progress' ELSE 'pending' END AS status,
              CASE WHEN n % 4 = 0 THEN 1 END AS lease
            FROM generate_series(1, ${many}) n
          ) AS new`)
      yield* sql.unsafe(`INSERT INTO baton.task_inputs (seq, id, description, created_at)
          SELECT seq, seq::text, 'Do it.', now() FROM baton.tasks WHERE queue = 'small' OR seq <= 10000`)
      yield* sql.unsafe("ANALYZE baton.tasks, baton.task_inputs")
      const statements = Statements.make(Names.make("baton"))

      // With the settings of a store's own connections, and with those of a pooler's.
      const own = yield* ownConnection(server.url, "baton")
      for (const connection of [own, sql]) {
        /** The number of pages that a statement reads. */
        const pages = Effect.fnUntraced(function* (statement: string, types: string, values: string) {
          const [row] = yield* connection.withTransaction(
            Effect.gen(function* () {
              yield* connection.unsafe(`PREPARE statement (${types}) AS ${statement}`)
              const rows = yield* connection.unsafe<Record<string, unknown>>(
                `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE statement (${values})`
              )
              yield* connection.unsafe("DEALLOCATE statement")
              return rows
            })
          )
          const [explained] = yield* Explained(row?.["QUERY PLAN"])
          assert.ok(explained)
          return explained.Plan["Shared Hit Blocks"] + explained.Plan["Shared Read Blocks"]
        })
        for (const queue of ["small", "big", "none"]) {
          const outlook = yield* pages(statements.outlook, `${text}, ${int}`, `'${queue}', 1`)
          assert.isBelow(outlook, 200, `outlook of ${queue}`)
          const types = `${int}, ${text}, ${number}, ${number}, ${text}, ${int}`
          const claim = yield* pages(statements.claim, types, `2, 'w', 1000, 5, '${queue}', 1`)
          assert.isBelow(claim, 400, `claim from ${queue}`)
          const reclaim = `${text}, ${numbers}, ${number}, ${int}, ${text}, ${number}, ${int}`
          const reclaimed = yield* pages(statements.reclaim, reclaim, `'w', '{5}', 1000, 9, '${queue}', 6, 1`)
          if (queue !== "big") assert.isBelow(reclaimed, 400, `reclaim from ${queue}`)
          const sweep = `${number}, ${int}, ${text}, ${text}, ${text}, ${int}, ${text}, ${text}`
          const swept = yield* pages(statements.sweep, sweep, `3, 2, 'a', 'b', '${queue}', 1, 'c', 'd'`)
          assert.isBelow(swept, 400, `sweep of ${queue}`)
        }
      }
    })
  )
})
