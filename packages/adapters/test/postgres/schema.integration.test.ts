import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { Attempt, Task, TaskStore, Usage } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Latch, Layer, Option, Redacted } from "effect"
import { randomUUID } from "node:crypto"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { migrate, type Migration, migrations } from "../../src/postgres/internal/migrations.ts"
import * as Postgres from "../servers/postgres.ts"
import { add, claim, client, complete, id, isMissing, open, patient, schema, untilAnswered, url } from "./postgres.ts"

const secret = "s3cr3t-pass"

/** The error of opening a store. It is one line and contains no secret. */
const refusal = Effect.fnUntraced(function* (options: PostgresTaskStore.Options) {
  const error = yield* Effect.flip(Effect.scoped(PostgresTaskStore.make(options)))
  assert.equal(error._tag, "TaskStoreError")
  assert.notInclude(inspect(error, { depth: 10, showHidden: true }), secret)
  assert.notInclude(error.message, "\n")
  return `${error.reason}: ${error.message}`
})

const placeAt = (schemaName: string) => ({ schemaName, server: "PostgreSQL at here", database: "test", user: "me" })

const versions = Effect.fnUntraced(function* (name: string) {
  const sql = yield* client()
  const rows = yield* sql.unsafe<{ readonly version: number; readonly name: string }>(
    `SELECT version, name FROM "${name}".baton_migrations ORDER BY version`
  )
  return rows.map(({ name, version }) => `${version} ${name}`)
})

/** The history of a new schema. */
const existing = migrations.map(({ name }, index) => `${index + 1} ${name}`)

const added: Migration = {
  name: "9998_add_color",
  statements: (schema) => [`ALTER TABLE ${schema}.tasks ADD COLUMN color text`]
}

describe.skipIf(isMissing)("the schema of a PostgreSQL store", () => {
  it.live("is created by one of many stores that open at the same time", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const stores = yield* Effect.forEach(Array.from({ length: 8 }), () => open({ schema: name }), { concurrency: 8 })
      yield* Effect.forEach(stores, (store, index) => add(store, [`task-${index}`]), { concurrency: 8 })
      for (const store of stores) assert.equal((yield* store.counts).pending, 8)
      assert.deepEqual(yield* versions(name), existing)
    })
  )

  it.live("is deleted with all tasks by remove, and nothing else is", () =>
    Effect.gen(function* () {
      const [gone, kept, foreign] = [yield* schema(), yield* schema(), yield* schema()]
      for (const name of [gone, kept])
        yield* Effect.scoped(Effect.flatMap(open({ schema: name }), (store) => add(store, ["a"])))
      const sql = yield* client()
      yield* sql.unsafe(`CREATE SCHEMA "${foreign}"`)
      yield* sql.unsafe(`CREATE TABLE "${foreign}".theirs (a int)`)
      yield* PostgresTaskStore.remove({ url, schema: gone })
      const refused = yield* Effect.flip(PostgresTaskStore.remove({ url, schema: foreign }))
      assert.include(refused.message, "do not belong to Baton")
      const missing = yield* Effect.flip(PostgresTaskStore.remove({ url, schema: gone }))
      assert.include(missing.message, "There is no store")
      assert.equal((yield* (yield* open({ schema: kept })).counts).pending, 1)
      assert.equal((yield* sql.unsafe(`SELECT * FROM "${foreign}".theirs`)).length, 0)
    })
  )

  it.live("can have any name, and a database can have several", () =>
    Effect.gen(function* () {
      const sql = yield* client()
      const unique = randomUUID()
      for (const name of [`"quoted" '$1' ü ${unique}`, unique.padEnd(63, "x")]) {
        yield* Effect.acquireRelease(Effect.void, () =>
          Effect.ignore(sql.unsafe(`DROP SCHEMA IF EXISTS "${name.replaceAll('"', '""')}" CASCADE`), { log: true })
        )
        const [store, other] = yield* Effect.all([open({ schema: name }), open({ schema: name })])
        const waiting = yield* Effect.forkChild(other.awaitWork({ untilDrained: false }), { startImmediately: true })
        yield* add(store, ["a"])
        assert.equal(yield* Fiber.join(waiting), "claimable")
        assert.lengthOf(yield* claim(other), 1)
      }
    })
  )

  it.live("is migrated with its contents, also by many stores at the same time", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      yield* Effect.scoped(Effect.flatMap(open({ schema: name }), (store) => add(store, ["a"])))
      const options = { place: placeAt(name), mustExist: true, migrations: [...migrations, added] }
      yield* Effect.forEach(
        Array.from({ length: 4 }),
        () => Effect.scoped(Effect.flatMap(client(), (sql) => migrate(sql, options))),
        { concurrency: 4 }
      )
      assert.deepEqual(yield* versions(name), [...existing, `${migrations.length + 1} 9998_add_color`])
      const sql = yield* client()
      assert.lengthOf(yield* sql.unsafe(`SELECT color FROM "${name}".tasks`), 1)
    })
  )

  it.live("keeps dependencies and leases when an earlier version created it", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      yield* migrate(sql, { place: placeAt(name), mustExist: false, migrations: migrations.slice(0, 1) })
      const run = (statement: string) => sql.unsafe(statement.replaceAll("baton.", `"${name}".`))
      yield* run(`INSERT INTO baton.task_inputs (seq, id, description, depends_on, created_at)
        VALUES (1, 'a', 'Do a.', NULL, now()), (2, 'b', 'Do b.', ARRAY['a', 'with "quotes"'], now())`)
      yield* run(`INSERT INTO baton.tasks
        (seq, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token, lease,
          lease_until, owner, claim_call, started_at)
        VALUES (1, 'in_progress', 0, now(), 0, 1, 1, 0, false, now(), 7, 7, now() + interval '1 hour', 'w', 5, now()),
          (2, 'pending', 0, now(), 1, 0, 0, 0, false, now(), 0, NULL, NULL, NULL, NULL, NULL)`)
      yield* run("INSERT INTO baton.dependencies (task, dependency) VALUES (2, 'a')")
      const store = yield* open({ schema: name })
      const b = Option.getOrThrow(yield* store.get(id("b")))
      assert.deepEqual(b.dependsOn.map(String), ["a", 'with "quotes"'])
      const [a] = (yield* store.dump()).records
      assert.ok(a)
      const claimed = { task: a.task, token: Attempt.LeaseToken.make(a.token) }
      assert.deepEqual((yield* store.settle([complete(claimed)])).lost, [])
      assert.deepEqual(
        (yield* claim(store)).map(({ task }) => String(task.id)),
        ["b"]
      )
    })
  )

  it.live("has all its tasks in the queue default when a version without queues created it", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      yield* migrate(sql, { place: placeAt(name), mustExist: false, migrations: migrations.slice(0, 2) })
      const run = (statement: string) => sql.unsafe(statement.replaceAll("baton.", `"${name}".`))
      yield* run(`INSERT INTO baton.task_inputs (seq, id, description, created_at)
        SELECT n, 'task-' || n, 'Do ' || n || '.', now() FROM generate_series(1, 6) n`)
      yield* run(`INSERT INTO baton.tasks
        (seq, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token, lease,
          lease_until, owner, claim_call, started_at)
        SELECT n, CASE WHEN n < 5 THEN 'pending' ELSE 'in_progress' END, n, now(), 0, 0, n, 0, false, now(), 7,
          CASE WHEN n < 5 THEN NULL ELSE 7 END, CASE WHEN n < 5 THEN NULL ELSE now() END, 'gone', 5, now()
        FROM generate_series(1, 6) n`)
      const countSome = "INSERT INTO baton.count_changes VALUES (2, 1, 0, 0, 0, 0)"
      yield* run(countSome)
      yield* run(countSome)

      const store = yield* open({ schema: name })
      const nothing = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
      assert.deepEqual<ReadonlyArray<object>>(yield* store.queues, [
        { queue: "default", ...nothing, pending: 4, in_progress: 2 }
      ])
      const task = Option.getOrThrow(yield* store.get(id("task-1")))
      assert.deepEqual([task.queue, task.payload, task.overrides], ["default", undefined, {}])
      assert.lengthOf((yield* store.list({ queue: "default" })).tasks, 6)
      yield* store.add([Task.makeNew({ id: "task-7", description: "Do 7.", queue: "other", priority: 9 })])
      assert.equal((yield* add(store, ["task-8"])).added.length, 1)
      assert.lengthOf(yield* store.sweep(patient), 2)
      assert.deepEqual(
        (yield* claim(store)).map(({ task }) => String(task.id)),
        ["task-6", "task-5", "task-4", "task-3", "task-2", "task-1", "task-8"]
      )

      const old = yield* Effect.flip(run(countSome))
      assert.equal(old.reason._tag, "ConstraintError", "a worker of that version changes nothing any more")
    })
  )

  it.live("has the sum of the usage of all tasks when a version without sums created it", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      yield* migrate(sql, { place: placeAt(name), mustExist: false, migrations: migrations.slice(0, 13) })
      const run = (statement: string) => sql.unsafe(statement.replaceAll("baton.", `"${name}".`))
      yield* run(`INSERT INTO baton.task_inputs (seq, id, description, created_at)
        SELECT n, 'task-' || n, 'Do it.', now() FROM generate_series(1, 6) n`)
      const known = JSON.stringify({ ...Usage.zero, inputTokens: 3, outputTokens: 4, costUsd: 0.000_000_1 })
      const limits = { minUsd: 1, maxUsd: 2, maxTokens: 50 }
      const bounded = JSON.stringify({ ...Usage.zero, cacheReadTokens: 5, costUsd: null, bounds: limits })
      const unpriced = JSON.stringify({ ...Usage.zero, cacheWriteTokens: 6, costUsd: null })
      yield* run(`INSERT INTO baton.tasks
        (seq, queue, status, priority, available_at, blockers, parent, attempts, requeues, verified, updated_at, token, usage)
        SELECT n, CASE WHEN n < 4 THEN 'a' ELSE 'b' END, 'failed', 0, now(), 0, 0, 1, 0, false, now(), 1,
          (ARRAY['${known}', NULL, '${bounded}', '${unpriced}', '${known}', '${known}'])[n]
        FROM generate_series(1, 6) n`)
      yield* run(`INSERT INTO baton.count_changes (queue, pending, in_progress, in_review, completed, failed, cancelled, waiting)
        VALUES ('a', 0, 0, 0, 0, 3, 0, 0), ('b', 0, 0, 0, 0, 3, 0, 0)`)
      const store = yield* open({ schema: name })
      const usages = Effect.map(store.queues, (queues) => queues.map(({ queue, usage }) => [queue, usage]))
      const b = { ...Usage.zero, inputTokens: 6, outputTokens: 8 }
      assert.deepEqual(yield* usages, [
        [
          "a",
          {
            ...Usage.zero,
            inputTokens: 3,
            outputTokens: 4,
            cacheReadTokens: 5,
            costUsd: null,
            bounds: { minUsd: 1.0000001, maxUsd: 2.0000001, maxTokens: 57 }
          }
        ],
        [
          "b",
          { ...b, cacheWriteTokens: 6, costUsd: null, bounds: { minUsd: 0.000_000_2, maxUsd: null, maxTokens: 20 } }
        ]
      ])
      yield* store.prune({ statuses: ["failed"], ids: [id("task-1"), id("task-2"), id("task-3"), id("task-4")] })
      assert.deepEqual(yield* usages, [["b", { ...b, costUsd: 0.000_000_2 }]])
    })
  )

  it.live("is migrated although a worker of an earlier version holds locks in the opposite order", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      const place = placeAt(name)
      yield* migrate(sql, { place, mustExist: false, migrations: migrations.slice(0, 2) })
      const worker = yield* client()
      const isLocked = Latch.makeUnsafe(false)
      const migrating = yield* Effect.forkScoped(
        Effect.andThen(isLocked.await, migrate(sql, { place, mustExist: true }))
      )
      const working = worker.withTransaction(
        Effect.gen(function* () {
          yield* worker.unsafe(`LOCK TABLE "${name}".task_inputs IN ROW EXCLUSIVE MODE`)
          yield* isLocked.open
          const waiting = `SELECT FROM pg_locks WHERE NOT granted AND relation = '"${name}".task_inputs'::regclass`
          yield* Effect.repeat(worker.unsafe(waiting), { until: (rows) => rows.length > 0 })
          yield* worker.unsafe(`LOCK TABLE "${name}".tasks IN ROW EXCLUSIVE MODE`)
        })
      )
      // The server ends one of the two: usually the migration, which waits for longer.
      yield* Effect.ignore(working)
      yield* Fiber.join(migrating)
      assert.deepEqual(yield* versions(name), existing)
    })
  )

  it.live("is unchanged after a migration that fails", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      yield* Effect.scoped(open({ schema: name }))
      const broken: Migration = { name: "9999_break", statements: () => ["SELECT 1 / 0"] }
      const sql = yield* client()
      const error = yield* Effect.flip(
        migrate(sql, { place: placeAt(name), mustExist: true, migrations: [...migrations, added, broken] })
      )
      assert.equal(error.reason, "Unusable")
      assert.deepEqual(yield* versions(name), existing)
      assert.isDefined(yield* open({ schema: name }))
    })
  )

  it.live("is refused when it is of a newer version", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      yield* Effect.scoped(open({ schema: name }))
      const sql = yield* client()
      yield* migrate(sql, { place: placeAt(name), mustExist: true, migrations: [...migrations, added] })
      assert.match(
        yield* refusal({ url, schema: name }),
        new RegExp(
          `^Unusable: The store in schema ".*" of database ".*" was written by a newer version of Baton \\(schema ${migrations.length + 1}; this version knows ${migrations.length}\\): update Baton\\.$`
        )
      )
    })
  )

  it.live("is refused and unchanged when its tables do not belong to Baton", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      yield* sql.unsafe(`CREATE SCHEMA "${name}"`)
      yield* sql.unsafe(`CREATE TABLE "${name}".tasks (id int)`)
      assert.match(
        yield* refusal({ url, schema: name }),
        /holds tables that do not belong to Baton: name another schema\.$/
      )
      assert.deepEqual(yield* sql.unsafe(`SELECT id FROM "${name}".tasks`), [])
    })
  )

  it.live("is used when it exists and is empty, and not created with mustExist", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const sql = yield* client()
      assert.match(
        yield* refusal({ url, schema: name, mustExist: true }),
        /^Unusable: There is no store in schema ".*" of database ".*" on PostgreSQL at .*: check the store's URL/
      )
      assert.deepEqual(yield* sql.unsafe("SELECT FROM pg_namespace WHERE nspname = $1", [name]), [])
      yield* sql.unsafe(`CREATE SCHEMA "${name}"`)
      assert.equal((yield* (yield* open({ schema: name })).counts).pending, 0)
      assert.equal((yield* (yield* open({ schema: name, mustExist: true })).counts).pending, 0)
    })
  )

  it.live("that was changed by hand is reported as unusable, not as unavailable", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const store = yield* open({ schema: name })
      const sql = yield* client()
      yield* add(store, ["a"])
      yield* sql.unsafe(`UPDATE "${name}".task_inputs SET metadata = '[1]'`)
      const unreadable = yield* Effect.flip(store.get(id("a")))
      assert.equal(unreadable.reason, "Unusable")
      assert.match(
        unreadable.message,
        /^The store in schema ".*" holds a value that Baton cannot read \(.*\): restore a backup/
      )
      yield* sql.unsafe(`DROP TABLE "${name}".attempts`)
      const gone = yield* Effect.flip(store.attempts(id("a")))
      assert.equal(gone.reason, "Unusable")
      assert.match(gone.message, /is not as Baton made it \(relation ".*" does not exist\)/)
    })
  )

  it.live("works on the application's own client, including its transactions", () =>
    Effect.gen(function* () {
      const name = yield* schema()
      const context = yield* Layer.build(
        PostgresTaskStore.layerWith({ schema: name }).pipe(
          Layer.provideMerge(PgClient.layer({ url: Redacted.make(url) }))
        )
      )
      const store = Context.get(context, TaskStore.TaskStore)
      const sql = Context.get(context, PgClient.PgClient)
      const addBoth = (fails: boolean) =>
        sql.withTransaction(
          Effect.andThen(
            store.add([Task.makeNew({ id: `${fails}`, description: "Do it." })]),
            fails ? Effect.fail("no" as const) : Effect.void
          )
        )
      yield* Effect.ignore(addBoth(true))
      yield* addBoth(false)
      assert.deepEqual(
        (yield* claim(store)).map(({ task }) => String(task.id)),
        ["false"]
      )
    })
  )
})

describe("opening a PostgreSQL store is refused in one sentence", () => {
  it.live("when the URL or the schema name is invalid, or the server cannot be reached", () =>
    Effect.gen(function* () {
      const refusals: ReadonlyArray<readonly [string, RegExp]> = [
        ["mysql://me@here/db", /^Unusable: Not a PostgreSQL URL: write it as postgres:\/\/USER:PASSWORD@/],
        [`postgres://me:${secret}@:not-a-port/`, /^Unusable: Not a PostgreSQL URL/],
        [
          `postgres://me:${secret}@127.0.0.1:1/db`,
          /^Unavailable: PostgreSQL at 127\.0\.0\.1:1 does not accept connections: start the server, or check the host and the port/
        ],
        [
          `postgres://me:${secret}@no-such-host.invalid/db`,
          /^Unavailable: The host of PostgreSQL at no-such-host\.invalid:5432 is unknown: check the host/
        ],
        [
          `postgres:///db?host=/no/such/folder&user=me&password=${secret}`,
          /^Unavailable: PostgreSQL at \/no\/such\/folder/
        ]
      ]
      for (const [place, sentence] of refusals) {
        assert.match(yield* refusal({ url: place }), sentence)
        assert.match(yield* refusal({ url: Redacted.make(place) }), sentence)
      }
      assert.match(
        yield* refusal({ url: "postgres://me@here/db", schema: "x".repeat(64) }),
        /^Unusable: "x{64}" is not a valid schema name: use 1 to 63 bytes\.$/
      )
    })
  )
})

/** A server that asks every user but its superuser for a password, and admits only known users. */
const strictServer = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "baton-test-hba-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const hba = join(folder, "pg_hba.conf")
  writeFileSync(hba, "host all postgres 127.0.0.1/32 trust\nhost all worker,reader,ghost 127.0.0.1/32 scram-sha-256\n")
  chmodSync(folder, 0o755)
  chmodSync(hba, 0o644)
  return yield* Postgres.temporary({ hba_file: hba, max_connections: "8", superuser_reserved_connections: "3" })
})

describe.skipIf(!Postgres.isInstalled())("a PostgreSQL server refuses in one sentence", () => {
  it.live("a user, a password, missing rights, a database, an encoding, and one connection too many", () =>
    Effect.gen(function* () {
      const server = yield* strictServer
      const sql = yield* client(server.url)
      const as = (login: string, database = "postgres") => `postgres://${login}@127.0.0.1:${server.port}/${database}`
      yield* sql.unsafe(`CREATE ROLE worker LOGIN PASSWORD '${secret}'`)
      yield* sql.unsafe(`CREATE ROLE reader LOGIN PASSWORD '${secret}'`)
      yield* sql.unsafe("ALTER ROLE reader SET default_transaction_read_only = on")
      yield* sql.unsafe("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")

      assert.match(
        yield* refusal({ url: as(`worker:not-${secret}`) }),
        /^Unusable: PostgreSQL at .* refused user "worker": check the user name and the password in the store's URL\.$/
      )
      assert.match(yield* refusal({ url: as("worker") }), /^Unusable: .* user "worker" do not agree on a password/)
      assert.match(yield* refusal({ url: as(`ghost:${secret}`) }), /^Unusable: .* refused user "ghost"/)
      assert.match(
        yield* refusal({ url: as(`worker:${secret}`) }),
        /^Unusable: User "worker" lacks rights for schema "baton" in database "postgres" \(permission denied for database postgres\): let its owner run GRANT CREATE ON DATABASE "postgres" TO "worker"/
      )
      assert.match(
        yield* refusal({ url: as(`stranger:${secret}`) }),
        /^Unusable: PostgreSQL at .* does not let user "stranger" into database "postgres" from here \(no pg_hba\.conf entry .*\): add sslmode=require to the store's URL if/
      )
      assert.match(
        yield* refusal({ url: as(`worker:${secret}`, "missing") }),
        /^Unusable: PostgreSQL at .* has no database "missing": create it with "createdb missing"/
      )
      assert.match(
        yield* refusal({ url: as("postgres", "latin") }),
        /^Unusable: Database "latin" stores text as LATIN1, which cannot hold every text: create one with ENCODING 'UTF8'\.$/
      )
      yield* Effect.scoped(open({ url: server.url, schema: "baton" }))
      assert.match(
        yield* refusal({ url: as(`worker:${secret}`) }),
        /^Unusable: User "worker" lacks rights for schema "baton"/
      )

      yield* sql.unsafe("GRANT CREATE ON DATABASE postgres TO reader")
      assert.match(
        yield* refusal({ url: as(`reader:${secret}`), schema: "readonly" }),
        /^Unavailable: PostgreSQL at .* accepts no writes, as a standby does: name the primary in the store's URL/
      )

      yield* sql.unsafe("GRANT CREATE ON DATABASE postgres TO worker")
      assert.match(
        yield* refusal({ url: `${as(`worker:${secret}`)}?sslmode=require` }),
        /^Unusable: PostgreSQL at .* offers no encryption: set ssl to on there, or correct sslmode in the store's URL\.$/
      )
      const store = yield* open({ url: as(`worker:${secret}`), schema: "own", maxConnections: 4, listen: false })
      const hog = yield* Effect.forEach([1, 2, 3, 4], () => client(as(`worker:${secret}`)))
      yield* Effect.forEach(hog, (each) => Effect.ignore(each.reserve))
      const error = yield* Effect.flip(
        Effect.scoped(PostgresTaskStore.make({ url: as(`worker:${secret}`), schema: "own" }))
      )
      assert.match(error.message, /has no connection left: raise its max_connections, or run fewer workers/)
      assert.equal(error.reason, "Unavailable")
      assert.equal((yield* store.counts).pending, 0)
    })
  )

  it.live("a statement that takes too long, and works again afterwards", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.temporary()
      const sql = yield* client(server.url)
      yield* add(yield* open({ url: server.url, schema: "baton" }), ["a"])
      // On a busy machine, any statement can take that long, and its connection be given up.
      const store = yield* untilAnswered(
        open({ url: server.url, schema: "baton", statementTimeout: Duration.millis(200) })
      )
      const refusal =
        /took too long and stopped the statement: find out why it is slow, or which session locks the tables\.$/
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql.unsafe("LOCK TABLE baton.tasks IN ACCESS EXCLUSIVE MODE")
          const error = yield* Effect.repeat(Effect.flip(claim(store)), {
            until: ({ message, reason }) => reason !== "Unavailable" || refusal.test(message)
          })
          assert.equal(error.reason, "Unavailable")
        })
      )
      assert.lengthOf(yield* untilAnswered(claim(store)), 1)
      assert.ok(Option.isSome(yield* untilAnswered(store.get(id("a")))))
    })
  )
})
