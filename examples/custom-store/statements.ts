/** The tables and statements of the MariaDB store. All of it is constant text; values are parameters. */

/** The server's clock in epoch milliseconds: workers' clocks do not matter. */
const now = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
/** The given number of milliseconds from now, at most the last date that can be written. */
const later = (millis: string) => `LEAST(${now} + ${millis}, 8640000000000000)`
export const idBytes = 700
/** `NOPAD` and `BIN`, because names that differ in case or in trailing spaces are different names. */
const types = {
  name: `VARCHAR(${idBytes}) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin`,
  word: "VARCHAR(16)",
  text: "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
  int: "BIGINT"
} as const
type Columns = { readonly [column: string]: keyof typeof types }
const columns = (type: keyof typeof types, ...names: ReadonlyArray<string>): Columns =>
  Object.fromEntries(names.map((name) => [name, type]))
const names = (columns: Columns) => `\`${Object.keys(columns).join("`, `")}\``

/** The rows of a JSON array, as the table `x`: a batch is one statement with one parameter. */
const batch = (columns: Columns) =>
  `JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, ${Object.entries(columns)
    .map(([name, type]) => `\`${name}\` ${types[type]} PATH '$.${name}'`)
    .join(", ")})) x`

export const tables = [
  `CREATE TABLE IF NOT EXISTS baton_tasks (
    seq BIGINT PRIMARY KEY AUTO_INCREMENT, id ${types.name} NOT NULL UNIQUE, queue ${types.name} NOT NULL,
    description ${types.text} NOT NULL, payload ${types.text}, overrides ${types.text}, maxAttempts BIGINT,
    metadata ${types.text}, dependsOn ${types.text}, status ${types.word} NOT NULL, priority BIGINT NOT NULL,
    availableAt BIGINT NOT NULL, blockers INT NOT NULL, attempts INT NOT NULL, requeues INT NOT NULL,
    verified BOOLEAN NOT NULL, feedback ${types.text}, \`usage\` ${types.text}, execution ${types.text},
    checkpoint ${types.text}, previousExecution ${types.text}, createdAt BIGINT NOT NULL, updatedAt BIGINT NOT NULL,
    token BIGINT NOT NULL, owner ${types.text}, claimCall BIGINT, startedAt BIGINT, leaseUntil BIGINT,
    savedExecution ${types.text}, savedUsage ${types.text}, isNew BOOLEAN AS (startedAt IS NULL) STORED,
    INDEX claimable (queue, status, blockers, priority DESC, isNew, availableAt, seq), INDEX leased (status, queue, leaseUntil))`,
  `CREATE TABLE IF NOT EXISTS baton_attempts (
    task BIGINT NOT NULL, token BIGINT NOT NULL, number INT NOT NULL, owner ${types.text} NOT NULL,
    startedAt BIGINT NOT NULL, endedAt BIGINT, outcome ${types.word} NOT NULL, error ${types.text},
    execution ${types.text}, verification ${types.text}, \`usage\` ${types.text}, PRIMARY KEY (task, token))`,
  // By id and not by seq, because a task that was pruned can be added again.
  `CREATE TABLE IF NOT EXISTS baton_dependencies (
    dependency ${types.name} NOT NULL, task BIGINT NOT NULL, PRIMARY KEY (dependency, task), INDEX of_task (task))`,
  `CREATE TABLE IF NOT EXISTS baton_store (
    one BOOLEAN PRIMARY KEY, revision BIGINT NOT NULL, paused BOOLEAN NOT NULL, stops BIGINT NOT NULL,
    tokenFloor BIGINT NOT NULL)`,
  "INSERT IGNORE INTO baton_store VALUES (TRUE, 0, FALSE, 0, 0)"
]
const added: Columns = {
  ...columns("name", "id", "queue"),
  ...columns("text", "description", "payload", "overrides", "metadata", "dependsOn"),
  ...columns("int", "maxAttempts", "priority")
}
const task: Columns = {
  ...added,
  status: "word",
  ...columns("text", "feedback", "usage", "execution", "checkpoint", "previousExecution"),
  ...columns("int", "attempts", "availableAt", "verified", "requeues", "createdAt", "updatedAt", "token")
}
const outcome: Columns = { outcome: "word", ...columns("text", "error", "execution", "verification") }
const taskColumns = `seq, ${names(task)}, IF(status = 'in_progress', startedAt, NULL) AS startedAt`
export const present = `SELECT seq, ${names(added)}, status FROM baton_tasks WHERE id IN (?) ORDER BY seq FOR UPDATE`
export const floor = "SELECT tokenFloor FROM baton_store LOCK IN SHARE MODE"
export const add = `
  INSERT INTO baton_tasks (${names(added)}, availableAt, status, blockers, attempts, requeues, verified, createdAt,
    updatedAt, token)
  SELECT ${names(added)}, COALESCE(availableAt, ${now}), 'pending', 0, 0, 0, FALSE, ${now}, ${now}, ?
  FROM ${batch({ ...added, availableAt: "int" })} ORDER BY n`
export const addDependencies = `INSERT INTO baton_dependencies
  SELECT dependency, seq FROM ${batch({ dependency: "name", seq: "int" })}`
export const block = `
  UPDATE baton_tasks t
  JOIN (SELECT task, COUNT(*) AS n FROM baton_dependencies WHERE task IN (?) GROUP BY task) d ON d.task = t.seq
  SET t.blockers = d.n`
const restored: Columns = {
  ...task,
  ...columns("text", "owner", "savedExecution", "savedUsage"),
  ...columns("int", "startedAt", "leaseUntil")
}
export const restoreTasks = `INSERT INTO baton_tasks (${names(restored)}, blockers)
  SELECT ${names(restored)}, 0 FROM ${batch(restored)} ORDER BY n`
const attempt: Columns = { token: "int", number: "int", owner: "text", startedAt: "int", endedAt: "int", ...outcome }
export const restoreAttempts = `INSERT INTO baton_attempts
  SELECT t.seq, x.token, x.number, x.owner, x.startedAt, x.endedAt, x.outcome, x.error, x.execution, x.verification, x.usage
  FROM ${batch({ id: "name", ...attempt, usage: "text" })} JOIN baton_tasks t ON t.id = x.id`
/** Rows that another call is claiming are passed over. */
export const claimable = `SELECT seq FROM baton_tasks WHERE queue = ? AND status = 'pending' AND blockers = 0 AND availableAt <= ${now}
  ORDER BY priority DESC, isNew, availableAt, seq LIMIT ? FOR UPDATE SKIP LOCKED`
export const claim = `
  UPDATE baton_tasks SET status = 'in_progress', attempts = attempts + 1, token = token + 1, owner = ?, claimCall = ?,
    leaseUntil = ${later("?")}, startedAt = ${now}, updatedAt = ${now} WHERE seq IN (?)`
export const claimedBefore = `
  SELECT seq FROM baton_tasks WHERE status = 'in_progress' AND owner = ? AND claimCall IN (?)
  ORDER BY seq LIMIT ? FOR UPDATE`
export const renew = `UPDATE baton_tasks SET claimCall = ?, leaseUntil = ${later("?")} WHERE seq IN (?)`
export const claimed = `SELECT ${taskColumns} FROM baton_tasks WHERE seq IN (?)
  ORDER BY priority DESC, EXISTS (SELECT 1 FROM baton_attempts WHERE task = seq) DESC, availableAt, seq`
/** The rows of a batch of leases, which of them are current, and how the attempts of the others ended. */
export const lock = `
  SELECT x.n - 1 AS \`index\`, t.seq, t.status, a.outcome,
    COALESCE(t.status = ? AND t.token = x.token, FALSE) AS isCurrent
  FROM ${batch({ id: "name", token: "int" })} LEFT JOIN baton_tasks t ON t.id = x.id
  LEFT JOIN baton_attempts a ON a.task = t.seq AND a.token = x.token ORDER BY t.seq FOR UPDATE`
export const extend = `UPDATE baton_tasks SET leaseUntil = ${later("?")} WHERE seq IN (?)`
export const checkpoint = `UPDATE baton_tasks t
  JOIN ${batch({ seq: "int", ...columns("text", "execution", "executionUsage", "usage") })} ON x.seq = t.seq
  SET t.savedExecution = x.execution, t.savedUsage = x.executionUsage, t.usage = x.usage, t.updatedAt = ${now}`
const settlement = batch({
  ...outcome,
  status: "word",
  ...columns("text", "feedback", "attemptUsage", "usage", "checkpoint"),
  ...columns("int", "seq", "attemptsReturned", "availableInMillis", "verified")
})
/** A released attempt leaves its saved output; the next one verifies it. One in review is in the ledger already. */
const unlessReleased = (released: string, otherwise: string) => `IF(x.outcome = 'released', ${released}, ${otherwise})`
export const endSettled = `REPLACE INTO baton_attempts
  SELECT t.seq, t.token, t.attempts, t.owner, t.startedAt, ${now}, x.outcome, x.error,
    ${unlessReleased("t.savedExecution", "x.execution")}, x.verification,
    ${unlessReleased("COALESCE(x.attemptUsage, t.savedUsage)", "x.attemptUsage")}
  FROM ${settlement} JOIN baton_tasks t ON t.seq = x.seq`
export const amend = `REPLACE INTO baton_attempts
  SELECT a.task, a.token, a.number, a.owner, a.startedAt, a.endedAt, a.outcome, a.error, a.execution, ?, a.usage
  FROM baton_attempts a JOIN baton_tasks t ON t.seq = a.task WHERE t.id = ? AND a.token = ? AND a.verification = ?
  RETURNING task`
/** MariaDB assigns from left to right: a column is read before it is changed. */
export const settle = `UPDATE baton_tasks t JOIN ${settlement} ON x.seq = t.seq SET
  t.checkpoint = ${unlessReleased("COALESCE(t.savedExecution, t.checkpoint)", "x.checkpoint")},
  t.feedback = ${unlessReleased("t.feedback", "x.feedback")}, t.usage = COALESCE(x.usage, t.usage),
  t.previousExecution = CASE WHEN x.outcome IN ('released', 'in_review') THEN t.previousExecution
    WHEN x.outcome <> 'completed' THEN x.execution END,
  t.execution = IF(x.outcome = 'completed', x.execution, NULL), t.verified = x.verified,
  t.availableAt = IF(x.status = 'pending', COALESCE(${later("x.availableInMillis")}, t.availableAt), t.availableAt),
  t.attempts = GREATEST(0, t.attempts - COALESCE(x.attemptsReturned, 0)), t.status = x.status, t.updatedAt = ${now},
  t.savedExecution = NULL, t.savedUsage = NULL, t.leaseUntil = NULL`
export const free = `
  UPDATE baton_tasks t
  JOIN (SELECT task, COUNT(*) AS n FROM baton_dependencies WHERE dependency IN (?) GROUP BY task) d ON d.task = t.seq
  SET t.blockers = t.blockers - d.n`
export const forgetDependencies = "DELETE FROM baton_dependencies WHERE dependency IN (?)"
/** Checked in the transaction that ends the lease: a heartbeat that was just in time wins. */
export const expired = `
  SELECT seq FROM baton_tasks WHERE queue = ? AND status = 'in_progress' AND leaseUntil <= ${now}
  ORDER BY leaseUntil, seq LIMIT ? FOR UPDATE SKIP LOCKED`
export const endInterrupted = `INSERT INTO baton_attempts
  SELECT seq, token, attempts, owner, startedAt, ${now}, ?, CONCAT(?, COALESCE(CONCAT(owner, ?), '')), savedExecution,
    NULL, savedUsage
  FROM baton_tasks WHERE seq IN (?)`
const keepSaved =
  "checkpoint = COALESCE(savedExecution, checkpoint), savedExecution = NULL, savedUsage = NULL, leaseUntil = NULL"
export const sweep = `
  UPDATE baton_tasks SET status = IF(attempts >= IF(? = 0, 0, COALESCE(maxAttempts, ?)), 'failed', 'pending'),
    feedback = IF(status = 'failed', CONCAT(?, owner, ?), feedback),
    availableAt = IF(status = 'failed', availableAt, ${now}), ${keepSaved}, updatedAt = ${now} WHERE seq IN (?)`
export const swept = "SELECT id, token, status, owner, attempts, TRUE AS started FROM baton_tasks WHERE seq IN (?)"
/** Those of one queue, with one status, or all. */
const page = "seq > ? AND (? IS NULL OR status = ?) AND (? IS NULL OR queue = ?) ORDER BY seq LIMIT ?"
const selected = `SELECT seq, id, status, token, ${now} - updatedAt AS age, EXISTS (SELECT 1 FROM baton_dependencies d
  JOIN baton_tasks w ON w.seq = d.task WHERE d.dependency = t.id AND w.status = 'pending') AS awaited FROM baton_tasks t`
export const selectIds = `${selected} WHERE id IN (?) AND status IN (?) ORDER BY seq FOR UPDATE`
export const selectPage = `${selected} WHERE ${page} FOR UPDATE`
export const requeue = `
  UPDATE baton_tasks SET status = 'pending', attempts = 0, requeues = requeues + 1, availableAt = ${now},
    updatedAt = ${now} WHERE seq IN (?)`
export const cancel = `UPDATE baton_tasks SET status = 'cancelled', ${keepSaved}, updatedAt = ${now} WHERE seq IN (?)`
export const revise = "UPDATE baton_store SET revision = revision + 1"
/** Tokens of an id that is added again start above those of the pruned task. */
export const raiseFloor = "UPDATE baton_store SET tokenFloor = GREATEST(tokenFloor, ?)"
export const prune = `DELETE t, a, d FROM baton_tasks t LEFT JOIN baton_attempts a ON a.task = t.seq
  LEFT JOIN baton_dependencies d ON d.task = t.seq WHERE t.seq IN (?)`
export const get = `SELECT ${taskColumns} FROM baton_tasks WHERE id IN (?)`
export const list = `SELECT ${taskColumns}, leaseUntil FROM baton_tasks WHERE ${page}`
/** The ledger, and the attempt under way, which is in the row of its task. */
export const attempts = `
  SELECT task, ${names(attempt)}, \`usage\` FROM baton_attempts WHERE task IN (SELECT seq FROM baton_tasks WHERE id IN (?))
  UNION ALL
  SELECT seq, token, attempts, owner, startedAt, NULL, 'running', NULL, savedExecution, NULL, savedUsage
  FROM baton_tasks WHERE id IN (?) AND status = 'in_progress' ORDER BY task, token`
export const waitsFor = "SELECT task, dependency FROM baton_dependencies WHERE task IN (?)"
const count = (status: string) => `SUM(status = '${status}') AS ${status}`
export const counts = `
  SELECT queue, ${["pending", "in_progress", "in_review", "completed", "failed", "cancelled"].map(count).join(", ")},
    SUM(status = 'pending' AND blockers > 0) AS waiting FROM baton_tasks GROUP BY queue`
export const usages = "SELECT queue, `usage` FROM baton_tasks WHERE `usage` IS NOT NULL"
export const workers = `SELECT queue, owner, COUNT(*) AS running, 0 AS claimed, MIN(startedAt) AS startedAt,
  MAX(leaseUntil) - ${now} AS leaseEndsInMillis FROM baton_tasks WHERE status = 'in_progress' GROUP BY queue, owner`
export const outlook = `
  SELECT LEAST(COALESCE(p.at, l.at), COALESCE(l.at, p.at)) - ${now} AS dueInMillis,
    p.at IS NULL AND l.at IS NULL AS drained, s.revision, s.paused, s.stops
  FROM (SELECT MIN(availableAt) AS at FROM baton_tasks WHERE queue = ? AND status = 'pending' AND blockers = 0) p,
    (SELECT MIN(leaseUntil) AS at FROM baton_tasks WHERE queue = ? AND status = 'in_progress') l, baton_store s`
export const control = "SELECT revision, paused, stops FROM baton_store"
export const request = {
  pause: "UPDATE baton_store SET revision = revision + 1, paused = TRUE",
  resume: "UPDATE baton_store SET revision = revision + 1, paused = FALSE",
  stop: "UPDATE baton_store SET revision = revision + 1, stops = stops + 1"
}
