import * as Brand from "effect/Brand"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import type { SQLOutputValue } from "node:sqlite"
import { type Attempt, AttemptOutcome, type LeaseToken } from "@baton/core/Attempt"
import { Execution } from "@baton/core/Execution"
import { Metadata, type Task, TaskId, TaskStatus } from "@baton/core/Task"
import * as TaskRecord from "@baton/core/TaskRecord"
import type { Claim, Control, Counts } from "@baton/core/TaskStore"
import { Usage } from "@baton/core/Usage"
import { Verification } from "@baton/core/Verification"
import { UnreadableRow } from "./errors.ts"

/** A row as `node:sqlite` returns it. */
export interface Row {
  readonly [column: string]: SQLOutputValue
}

type Column = SQLOutputValue | undefined

/** The last day that a date can name, in epoch milliseconds; a longer delay means "never by itself". */
const endOfTime = 8.64e15

/** A time or duration as the tables hold it; rounded up, so that nothing comes early. */
export const toMillis = (millis: number): number => Math.min(Math.ceil(millis), endOfTime)

/** A string as the tables hold it: lone surrogates do not survive UTF-8, so such a string is kept as UTF-16 bytes. */
export const toText = (text: string): string | Uint8Array => (text.isWellFormed() ? text : Buffer.from(text, "utf16le"))

export const toTextOrNull = (text: string | null): string | Uint8Array | null => (text === null ? null : toText(text))

/**
 * What holds here for every domain type that is kept as JSON: its encoded form is the value itself. That makes this the
 * codec's encoding at a tenth of its price (0.1 us instead of 1.4 us, of the 8 us that a task costs in all).
 */
export const toJson = (value: Execution | Verification | Usage | Metadata | ReadonlyArray<string>): string =>
  JSON.stringify(value)

export const toJsonOrNull = (value: Execution | Verification | Usage | null): string | null =>
  value === null ? null : toJson(value)

const unreadable = (expected: string): never => {
  // Rows are decoded inside a transaction, which has to end with this error and roll back.
  throw new UnreadableRow({ message: `a column holds no ${expected}` })
}

// The tables are STRICT, so that SQLite has checked types already; a Schema for the scalars of a row would cost half of
// what reading it costs.
export const int = (value: Column): number => (typeof value === "number" ? value : unreadable("number"))

export const text = (value: Column): string => {
  if (typeof value === "string") return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString("utf16le")
  return unreadable("text")
}

const orNull =
  <A>(read: (value: Column) => A) =>
  (value: Column): A | null =>
    value === null ? null : read(value)

const fromJson = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(Schema.fromJsonString(schema))
  return (value: Column): S["Type"] => decode(value)
}

const execution = fromJson(Execution)
const verification = fromJson(Verification)
const usage = fromJson(Usage)
const metadata = fromJson(Metadata)
const taskIds = fromJson(Schema.Array(TaskId))
const textOrNull = orNull(text)
const executionOrNull = orNull(execution)
const verificationOrNull = orNull(verification)
const usageOrNull = orNull(usage)
const time = (value: Column): DateTime.Utc => DateTime.makeUnsafe(int(value))
const timeOrNull = orNull(time)
export const status: (value: unknown) => TaskStatus = Schema.decodeUnknownSync(TaskStatus)
const outcome: (value: unknown) => AttemptOutcome = Schema.decodeUnknownSync(AttemptOutcome)

// The file is Baton's own, and ids were checked on their way in.
export const taskId: (id: string) => TaskId = Brand.nominal<TaskId>()
export const leaseToken: (token: number) => LeaseToken = Brand.nominal<LeaseToken>()

/**
 * The columns of a task that statements select, each with its place in the row: these rows come as arrays, because making
 * objects of them takes as long as finding them. `execution` and those after it are not read for a claim.
 */
const column = {
  seq: 0,
  id: 1,
  description: 2,
  metadata: 3,
  depends_on: 4,
  priority: 5,
  available_at: 6,
  attempts: 7,
  requeues: 8,
  feedback: 9,
  usage: 10,
  created_at: 11,
  token: 12,
  checkpoint: 13,
  execution: 14,
  status: 15,
  verified: 16,
  updated_at: 17,
  lease_until: 18
} as const

const columns = Object.keys(column)

/** What `task` and `record` read. */
export const taskColumns = columns.join(", ")

/** What `claim` reads. */
export const claimColumns = columns.slice(0, column.execution).join(", ")

const noMetadata: Metadata = {}
const noDependencies: ReadonlyArray<TaskId> = []

// Most tasks have neither; decoding them all the same would cost as much as the rest of the row.
const metadataOf = (row: Row) => (row[column.metadata] === "{}" ? noMetadata : metadata(row[column.metadata]))
const dependsOn = (row: Row) => (row[column.depends_on] === "[]" ? noDependencies : taskIds(row[column.depends_on]))

export const id = (row: Row): TaskId => taskId(text(row[column.id]))
export const dependency = (row: Row): TaskId => taskId(text(row.dependency))
export const seq = (row: Row): number => int(row[column.seq])

export const task = (row: Row): Task => {
  const found = status(row[column.status])
  return {
    id: id(row),
    description: text(row[column.description]),
    status: found,
    result: found === "completed" ? execution(row[column.execution]).output : null,
    attempts: int(row[column.attempts]),
    metadata: metadataOf(row),
    priority: int(row[column.priority]),
    availableAt: time(row[column.available_at]),
    dependsOn: dependsOn(row),
    feedback: textOrNull(row[column.feedback]),
    verified: row[column.verified] === 1,
    requeues: int(row[column.requeues]),
    usage: usageOrNull(row[column.usage]),
    createdAt: time(row[column.created_at]),
    updatedAt: time(row[column.updated_at])
  }
}

/** A task with what its row and the rows around it say besides. */
export const record = (
  row: Row,
  attempts: ReadonlyArray<Attempt>,
  waitsFor: ReadonlySet<TaskId>
): TaskRecord.TaskRecord => {
  const found = task(row)
  const running = found.status === "in_progress"
  const saved = running ? executionOrNull(row[column.execution]) : null
  return {
    task: found,
    token: int(row[column.token]),
    leaseUntil: running ? time(row[column.lease_until]) : null,
    waitsFor: Array.from(new Set(found.dependsOn)).filter((id) => waitsFor.has(id)),
    checkpoint: saved ?? executionOrNull(row[column.checkpoint]),
    previousOutput: TaskRecord.previousOutput(found.status, attempts),
    attempts
  }
}

/**
 * Makes the claims of pending rows, which are read before they are updated. `previousOutput` is asked only for tasks that
 * had an attempt before.
 */
export const claims = (
  rows: ReadonlyArray<Row>,
  now: number,
  previousOutput: (seq: number) => string | null
): ReadonlyArray<Claim> => {
  const updatedAt = DateTime.makeUnsafe(now)
  const time = memoTime()
  return rows.map((row) => {
    const token = int(row[column.token])
    const createdAt = time(row[column.created_at])
    return {
      task: {
        id: id(row),
        description: text(row[column.description]),
        status: "in_progress",
        result: null,
        attempts: int(row[column.attempts]) + 1,
        metadata: metadataOf(row),
        priority: int(row[column.priority]),
        availableAt: time(row[column.available_at]),
        dependsOn: dependsOn(row),
        feedback: textOrNull(row[column.feedback]),
        verified: false,
        requeues: int(row[column.requeues]),
        usage: usageOrNull(row[column.usage]),
        createdAt,
        updatedAt
      },
      token: leaseToken(token + 1),
      checkpoint: executionOrNull(row[column.checkpoint]),
      previousOutput: token === 0 ? null : previousOutput(seq(row))
    }
  })
}

/** Tasks that were added together share their times: making them anew for each is a fifth of a claim. */
const memoTime = () => {
  let last = DateTime.makeUnsafe(0)
  return (value: Column): DateTime.Utc => {
    if (last.epochMilliseconds !== value) last = time(value)
    return last
  }
}

/** The output in an execution that may not be there; an empty one is none. */
export const output = (row: Row | undefined): string | null =>
  row === undefined ? null : executionOrNull(row.execution)?.output || null

export const attempt =
  (taskId: TaskId) =>
  (row: Row): Attempt => ({
    taskId,
    number: int(row.number),
    token: leaseToken(int(row.token)),
    owner: text(row.owner),
    startedAt: time(row.started_at),
    endedAt: timeOrNull(row.ended_at),
    execution: executionOrNull(row.execution),
    verification: verificationOrNull(row.verification),
    outcome: outcome(row.outcome),
    error: textOrNull(row.error),
    usage: usageOrNull(row.usage)
  })

export const counts = (row: Row): Counts => ({
  pending: int(row.pending),
  in_progress: int(row.in_progress),
  completed: int(row.completed),
  failed: int(row.failed),
  cancelled: int(row.cancelled),
  waiting: int(row.waiting)
})

export const control = (row: Row): Control => ({
  revision: int(row.revision),
  paused: row.paused === 1,
  stops: int(row.stops)
})
