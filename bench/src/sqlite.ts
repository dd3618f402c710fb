/** The orchestrator on SQLite, compared with bare `node:sqlite` statements that keep the same data: result, attempts, history. */
import { SqliteTaskStore } from "@baton/adapters/sqlite"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Best, report } from "./measurement.ts"
import { describePrefetch, prefetches, runNoop, warmUp } from "./orchestrate.ts"

const folder = mkdtempSync(join(tmpdir(), "baton-bench-"))
const concurrency = 64

let files = 0

const bare = (synchronous: "FULL" | "NORMAL", batch: number, count: number): number => {
  const db = new DatabaseSync(join(folder, `bare-${files++}.db`))
  db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=${synchronous};
    CREATE TABLE task (id TEXT PRIMARY KEY, description TEXT, status TEXT, result TEXT, attempts INTEGER) STRICT;
    CREATE TABLE attempt (task TEXT, number INTEGER, output TEXT, PRIMARY KEY (task, number)) STRICT, WITHOUT ROWID;
    CREATE INDEX pending ON task (id) WHERE status = 'pending'`)
  const insert = db.prepare("INSERT INTO task VALUES (?, ?, 'pending', NULL, 0)")
  db.exec("BEGIN")
  for (let index = 0; index < count; index++) insert.run(`task-${index}`, `the work of task ${index}`)
  db.exec("COMMIT")
  const claim = db.prepare(
    `UPDATE task SET status = 'in_progress', attempts = attempts + 1
     WHERE id IN (SELECT id FROM task WHERE status = 'pending' ORDER BY id LIMIT ?) RETURNING id, attempts`
  )
  const complete = db.prepare("UPDATE task SET status = 'completed', result = ? WHERE id = ?")
  const keep = db.prepare("INSERT INTO attempt VALUES (?, ?, ?)")
  const start = performance.now()
  for (;;) {
    const claimed = claim.all(batch)
    if (claimed.length === 0) break
    db.exec("BEGIN IMMEDIATE")
    for (const { attempts, id } of claimed) {
      const output = `Fake result for: ${id}`
      complete.run(output, id ?? null)
      keep.run(id ?? null, attempts ?? null, output)
    }
    db.exec("COMMIT")
  }
  const perSecond = (count / (performance.now() - start)) * 1000
  db.close()
  return perSecond
}

await warmUp(SqliteTaskStore.layer({ filename: join(folder, "warm-up.db") }))
for (const synchronous of ["FULL", "NORMAL"] as const) {
  report({ what: `bare node:sqlite, ${synchronous}, batch 1`, value: bare(synchronous, 1, 10_000), unit: "tasks/s" })
  const base = `bare node:sqlite, ${synchronous}, batch 100`
  const best = new Best()
  for (let round = 0; round < 2; round++) {
    best.note(base, bare(synchronous, 100, 100_000))
    for (const prefetch of prefetches) {
      const filename = join(folder, `baton-${synchronous}-${prefetch}-${round}.db`)
      const store = SqliteTaskStore.layer({ filename, synchronous })
      const { addPerSecond, runPerSecond } = await runNoop(store, { count: 100_000, concurrency, prefetch })
      best.note(`sqlite store, ${synchronous}, ${concurrency} workers, ${describePrefetch(prefetch)}`, runPerSecond)
      best.note(`  added, ${synchronous}, ${describePrefetch(prefetch)}`, addPerSecond)
    }
  }
  best.report({ unit: "tasks/s", against: base })
}
rmSync(folder, { recursive: true })
