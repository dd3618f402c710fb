/**
 * A store with many completed tasks: what `baton status`, `baton list` and `baton dlq` read, and the cost of a task. The size
 * is an option: `large --postgres 10000000 --sqlite 1000000`; 0 leaves a store out.
 */
import { Task, TaskStore } from "@baton/core"
import { Duration, Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { parseArgs } from "node:util"
import { Client } from "pg"
import { read } from "../../packages/cli/src/view/status.ts"
import { report } from "./measurement.ts"
import { runNoop } from "./orchestrate.ts"
import { storeLayer, withPostgres, withSqlite } from "./temporaryStores.ts"

const { values } = parseArgs({
  options: { postgres: { type: "string", default: "1000000" }, sqlite: { type: "string", default: "1000000" } }
})
const count = 20_000
const failed = 1_000
const reads = 9

/** Repeats the rows of the completed tasks `times` times, under other ids: adding each takes a hundred times as long. */
type Multiply = (url: string, times: number) => Promise<void>

const places = 1_024

const inPostgres: Multiply = async (url, times) => {
  const client = new Client({ connectionString: url })
  await client.connect()
  const columns = async (table: string, changed: Readonly<Record<string, string>>) => {
    const { rows } = await client.query<{ column_name: string }>(
      "SELECT column_name FROM information_schema.columns WHERE table_schema = 'baton' AND table_name = $1",
      [table]
    )
    const names = rows.map(({ column_name }) => column_name)
    return [names.join(", "), names.map((name) => changed[name] ?? `t.${name}`).join(", ")] as const
  }
  const seq = `t.seq + k * (SELECT (max(seq) / ${places} + 1) * ${places} FROM baton.tasks)`
  const completed = "SELECT FROM baton.tasks c WHERE c.seq = t.seq AND c.status = 'completed'"
  for (const [table, changed] of [
    ["task_inputs", { seq, id: "t.id || '-' || k" }],
    ["tasks", { seq }]
  ] as const) {
    const [into, from] = await columns(table, changed)
    const copied = `SELECT ${from} FROM baton.${table} t, generate_series(1, ${times}) k WHERE EXISTS (${completed})`
    await client.query(`INSERT INTO baton.${table} (${into}) ${copied}`)
  }
  await client.query(`INSERT INTO baton.count_changes (queue, pending, in_progress, in_review, completed, failed, cancelled, waiting, usage)
    SELECT 'default', 0, 0, 0, ${times} * sum(completed), 0, 0, 0, '{}' FROM baton.count_changes`)
  await client.query(`SELECT setval('baton.task_seq', (SELECT max(seq) / ${places} + 1 FROM baton.tasks))`)
  await client.query("VACUUM ANALYZE")
  await client.query("CHECKPOINT")
  await client.end()
}

const inSqlite: Multiply = async (url, times) => {
  const db = new DatabaseSync(url.replace("sqlite:", ""))
  const columns = (table: string, changed: Readonly<Record<string, string>>) => {
    const names = db
      .prepare(`SELECT name FROM pragma_table_info('${table}')`)
      .all()
      .map(({ name }) => String(name))
    return [names.join(", "), names.map((name) => changed[name] ?? `t.${name}`).join(", ")] as const
  }
  const last = Number(db.prepare("SELECT MAX(seq) AS last FROM tasks").get()?.["last"])
  const seq = `t.seq + k * ${last}`
  const numbers = `WITH RECURSIVE n (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < ${times})`
  db.exec("BEGIN")
  for (const [table, changed] of [
    ["task_inputs", { seq }],
    ["tasks", { seq, id: "t.id || '-' || k" }]
  ] as const) {
    const [into, from] = columns(table, changed)
    const completed = `SELECT 1 FROM tasks c WHERE c.seq = t.seq AND c.status = 'completed' AND t.seq <= ${last}`
    db.exec(`INSERT INTO ${table} (${into}) ${numbers} SELECT ${from} FROM ${table} t, n WHERE EXISTS (${completed})`)
  }
  db.exec(`UPDATE queues SET completed = completed * ${times + 1}; COMMIT`)
  db.close()
}

/** The median time, in milliseconds. */
const timeOf = (work: Effect.Effect<unknown, unknown, TaskStore.TaskStore>, url: string): Promise<number> =>
  Effect.gen(function* () {
    // The first one opens the store.
    yield* work
    const times: Array<number> = []
    for (let round = 0; round < reads; round++) {
      const began = performance.now()
      yield* work
      times.push(performance.now() - began)
    }
    return times.sort((left, right) => left - right)[Math.floor(reads / 2)] ?? NaN
  }).pipe(Effect.provide(storeLayer(url)), Effect.runPromise)

const list = (status?: Task.TaskStatus) =>
  Effect.flatMap(TaskStore.TaskStore, (store) => store.list({ status, limit: 100 }))

let added = 0

/** The best of four runs, because a shared machine can only slow a run down. */
const rate = async (url: string): Promise<number> => {
  let best = 0
  for (let round = 0; round < 4; round++) {
    const { runPerSecond } = await runNoop(storeLayer(url), { count, concurrency: 64, from: added })
    added += count
    best = Math.max(best, runPerSecond)
  }
  return best
}

/** Adds tasks and fails them, for the dead-letter queue. */
const fail = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  yield* store.add(
    Array.from({ length: failed }, (_, index) => Task.makeNew({ id: `bad-${index}`, description: "bad" }))
  )
  const claims = yield* store.claim({ limit: failed, owner: "bench", lease: Duration.minutes(1) })
  yield* store.settle(
    claims.map(({ task, token }) => ({
      _tag: "Fail",
      taskId: task.id,
      token,
      feedback: "It did not work."
    }))
  )
})

for (const [name, withStore, multiply, size] of [
  ["sqlite", withSqlite, inSqlite, Number(values.sqlite)],
  ["postgres", withPostgres, inPostgres, Number(values.postgres)]
] as const) {
  if (size === 0) continue
  added = 0
  await withStore(async (url) => {
    await runNoop(storeLayer(url), { count, concurrency: 64, from: added })
    added += count
    const few = await rate(url)
    await multiply(url, Math.ceil(size / added) - 1)
    await Effect.runPromise(Effect.provide(fail, storeLayer(url)))
    const rows = size.toLocaleString("en").replaceAll(",", " ")
    for (const [what, work] of [
      ["what baton status reads", read],
      ["what baton list reads", list()],
      ["what baton dlq reads", list("failed")]
    ] as const) {
      report({
        what: `${name}, ${rows} tasks, ${what}`,
        value: await timeOf(work, url),
        unit: "ms",
        target: "<= 200 ms"
      })
    }
    const base = `${name}, ${count} tasks run, with ${added - 4 * count} completed tasks`
    report({ what: base, value: few, unit: "tasks/s" })
    report({
      what: `${name}, ${count} tasks run, with ${rows} completed tasks`,
      value: await rate(url),
      unit: "tasks/s",
      against: base,
      target: ">= 0.8 x"
    })
  })
}
