import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import { type Attempt, AttemptOutcome } from "@baton/core/Attempt"
import type { NewTask, Task, TaskId } from "@baton/core/Task"
import { TaskStatus } from "@baton/core/Task"
import type { TaskRecord } from "@baton/core/TaskRecord"
import type { Claim, Control, Counts, SweptTask } from "@baton/core/TaskStore"
import * as Replies from "./replies.ts"
import * as Texts from "./texts.ts"

const status: (text: unknown) => TaskStatus = Schema.decodeUnknownSync(TaskStatus)
const outcome: (text: unknown) => AttemptOutcome = Schema.decodeUnknownSync(AttemptOutcome)
const sweptStatus: (text: unknown) => "pending" | "failed" = Schema.decodeUnknownSync(
  Schema.Literals(["pending", "failed"])
)

/** The line that scripts keep of a task, in words; the owner is the rest of it. See `LINE` in `lua/prelude.ts`. */
const parseLine = (line: string | undefined) => {
  const words = Replies.text(line).split(" ")
  return {
    seq: Replies.number(words[0]),
    priority: Replies.number(words[2]),
    created: words[3],
    updated: words[4],
    available: words[5],
    status: words[6],
    attempts: Replies.number(words[7]),
    token: Replies.number(words[8]),
    requeues: Replies.number(words[9]),
    verified: words[10] === "1",
    output: Replies.number(words[11]),
    saved: Replies.number(words[12]),
    started: words[13],
    owner: words.slice(15).join(" ")
  }
}

interface Line extends ReturnType<typeof parseLine> {}

/** What does not change of a task, as three lines, and how many bytes of them are the description with its line break. */
export const inputs = ({
  dependsOn = [],
  description,
  metadata = {}
}: Pick<NewTask, "description" | "metadata" | "dependsOn">) => {
  const head = `${Texts.json(description)}\n`
  return { lines: `${head}${Texts.json(metadata)}\n${Texts.json(dependsOn)}`, head: Buffer.byteLength(head) }
}

/** Tasks that were added together share their times: making them anew for each is a fifth of a claim. */
const memoTime = () => {
  let text: string | undefined
  let last = DateTime.makeUnsafe(0)
  return (found: string | undefined): DateTime.Utc => {
    if (found !== text) {
      last = Texts.time(found)
      text = found
    }
    return last
  }
}

/** What the store tells of a task, in lines and words. */
interface Parts {
  readonly id: TaskId
  readonly line: Line
  readonly status: TaskStatus
  readonly result: string | null
  readonly inputs: ReadonlyArray<string>
  readonly feedback: string | undefined
  readonly usage: string | undefined
}

const toTask = ({ feedback, id, inputs, line, result, status, usage }: Parts, time = Texts.time): Task => ({
  id,
  description: Texts.string(inputs[0]),
  status,
  result,
  attempts: line.attempts,
  metadata: Texts.metadata(inputs[1]),
  priority: line.priority,
  availableAt: time(line.available),
  dependsOn: Texts.taskIds(inputs[2]),
  feedback: Texts.stringOrNull(feedback),
  verified: line.verified,
  requeues: line.requeues,
  usage: Texts.usageOrNull(usage),
  createdAt: time(line.created),
  updatedAt: time(line.updated)
})

/** A task with its `seq`, as `describe` in `lua/reading.ts` writes it: the id comes last, because it can have line breaks. */
export const task = (reply: Replies.Reply): { readonly seq: number; readonly task: Task } => {
  const [words, description, metadata, dependsOn, feedback, usage, execution, ...id] = Replies.text(reply).split("\n")
  const line = parseLine(words)
  const found = status(line.status)
  return {
    seq: line.seq,
    task: toTask({
      id: Texts.id(id.join("\n")),
      line,
      status: found,
      result: found === "completed" ? (Texts.executionOrNull(execution)?.output ?? null) : null,
      inputs: [description ?? "", metadata ?? "", dependsOn ?? ""],
      feedback,
      usage
    })
  }
}

/** Claims as `claim` in `lua/working.ts` writes them. */
export const claims = (replies: ReadonlyArray<Replies.Reply>): ReadonlyArray<Claim> => {
  const time = memoTime()
  const updatedAt = memoTime()
  return Replies.grouped(replies, 4).map(([key, words, inputs, left]) => {
    const line = parseLine(Replies.text(words))
    const [feedback, usage, checkpoint, execution] = left === "" ? nothingLeft : Replies.text(left).split("\n")
    const parts: Parts = {
      id: Texts.id(Replies.text(key)),
      line,
      status: "in_progress",
      result: null,
      inputs: Replies.text(inputs).split("\n"),
      feedback,
      usage
    }
    return {
      task: { ...toTask(parts, time), updatedAt: updatedAt(line.updated) },
      token: Texts.leaseToken(line.token),
      checkpoint: Texts.executionOrNull(checkpoint),
      previousOutput: Texts.executionOrNull(execution)?.output || null
    }
  })
}

const nothingLeft = ["null", "null", "null", "null"]

/** The row of an attempt that ended, as `endAttempt` in `lua/prelude.ts` writes it. */
const endedAttempt = (taskId: TaskId, token: number, reply: Replies.Reply): Attempt => {
  const lines = Replies.text(reply).split("\n")
  const [number, started, ended, how] = Replies.text(lines[0]).split(" ")
  const execution = Texts.executionOrNull(lines[3])
  return {
    taskId,
    number: Replies.number(number),
    token: Texts.leaseToken(token),
    owner: Texts.string(lines[1]),
    startedAt: Texts.time(started),
    endedAt: Texts.time(ended),
    execution,
    verification: Texts.verificationOrNull(lines[4]),
    outcome: outcome(how),
    error: Texts.stringOrNull(lines[2]),
    usage: lines[5] === usageOfExecution ? (execution?.usage ?? null) : Texts.usageOrNull(lines[5])
  }
}

const usageOfExecution = "@"

/** The attempt under way is in the task's line, and what it has saved in the task's checkpoint. */
const runningAttempt = (taskId: TaskId, line: Line, checkpoint: Replies.Reply): Attempt => {
  const execution = line.saved === line.token ? Texts.executionOrNull(Replies.text(checkpoint)) : null
  return {
    taskId,
    number: line.attempts,
    token: Texts.leaseToken(line.token),
    owner: Texts.string(line.owner),
    startedAt: Texts.time(line.started),
    endedAt: null,
    execution,
    verification: null,
    outcome: "running",
    error: null,
    usage: execution?.usage ?? null
  }
}

/** A ledger as `ledger` in `lua/reading.ts` writes it. */
export const attempts = (taskId: TaskId, reply: Replies.Reply): ReadonlyArray<Attempt> => {
  const [first, checkpoint, ...rows] = Replies.array(reply)
  const line = parseLine(Replies.text(first))
  const ended = Replies.grouped(rows, 2).map(([token, row]) => endedAttempt(taskId, Replies.number(token), row))
  return line.status === "in_progress" ? [...ended, runningAttempt(taskId, line, checkpoint)] : ended
}

/** A record as `dump` in `lua/reading.ts` writes it. */
export const record = (reply: Replies.Reply): { readonly seq: number; readonly record: TaskRecord } => {
  const [described, ledger, lease, waitsFor] = Replies.array(reply)
  const found = task(described)
  const { dependsOn, id } = found.task
  const [first, checkpoint] = Replies.array(ledger)
  const line = parseLine(Replies.text(first))
  const history = attempts(id, ledger)
  const unmet = new Set(Replies.array(waitsFor).map((key) => Texts.id(Replies.text(key))))
  return {
    seq: found.seq,
    record: {
      task: found.task,
      token: line.token,
      leaseUntil: lease === "" ? null : Texts.time(Replies.text(lease)),
      waitsFor: Array.from(new Set(dependsOn.filter((dependency) => unmet.has(dependency)))),
      checkpoint: Texts.executionOrNull(Replies.text(checkpoint)),
      previousOutput: history.find(({ token }) => token === line.output)?.execution?.output || null,
      attempts: history
    }
  }
}

/** What `restore` in `lua/adding.ts` takes of a record. */
export const recordParameters = ({
  attempts,
  checkpoint,
  task,
  token,
  waitsFor
}: TaskRecord): ReadonlyArray<string> => {
  const running = task.status === "in_progress" ? attempts.at(-1) : undefined
  const failed = attempts.findLast(({ outcome }) => outcome === "retried" || outcome === "failed")
  const line = [
    task.priority,
    Texts.millis(task.createdAt.epochMilliseconds),
    Texts.millis(task.updatedAt.epochMilliseconds),
    Texts.millis(task.availableAt.epochMilliseconds),
    task.status,
    task.attempts,
    token,
    task.requeues,
    task.verified ? 1 : 0,
    task.status === "completed" || !failed?.execution ? 0 : failed.token,
    running?.execution ? token : 0,
    running === undefined ? 0 : Texts.millis(running.startedAt.epochMilliseconds),
    "-",
    running === undefined ? "" : Texts.json(running.owner)
  ]
  const dependencies = new Set(waitsFor)
  const ended = attempts.flatMap((attempt) =>
    attempt.endedAt === null ? [] : [String(attempt.token), attemptRow(attempt, attempt.endedAt)]
  )
  return [
    Texts.key(task.id),
    inputs(task).lines,
    Texts.jsonOrNothing(task.feedback),
    Texts.jsonOrNothing(task.usage),
    Texts.jsonOrNothing(checkpoint),
    line.join(" "),
    String(dependencies.size),
    ...Array.from(dependencies, Texts.key),
    String(ended.length / 2),
    ...ended
  ]
}

const attemptRow = (attempt: Attempt, endedAt: DateTime.Utc): string =>
  [
    `${attempt.number} ${Texts.millis(attempt.startedAt.epochMilliseconds)} ${Texts.millis(endedAt.epochMilliseconds)} ${attempt.outcome} -`,
    Texts.json(attempt.owner),
    Texts.json(attempt.error),
    Texts.json(attempt.execution),
    Texts.json(attempt.verification),
    Texts.json(attempt.usage)
  ].join("\n")

export const sweptTask = ([id, token, found, owner, attempts]: ReadonlyArray<Replies.Reply>): SweptTask => ({
  taskId: Texts.id(Replies.text(id)),
  token: Texts.leaseToken(Replies.number(token)),
  status: sweptStatus(found),
  owner: Texts.string(Replies.text(owner)),
  attempts: Replies.number(attempts)
})

export const counts = (reply: Replies.Reply): Counts => {
  const [pending, in_progress, completed, failed, cancelled, waiting] = Replies.array(reply).map(Replies.number)
  return {
    pending: Replies.number(pending),
    in_progress: Replies.number(in_progress),
    completed: Replies.number(completed),
    failed: Replies.number(failed),
    cancelled: Replies.number(cancelled),
    waiting: Replies.number(waiting)
  }
}

const orZero = (reply: Replies.Reply): number => Replies.optional(Replies.number)(reply) ?? 0

export const control = ([revision, paused, stops]: ReadonlyArray<Replies.Reply>): Control => ({
  revision: orZero(revision),
  paused: orZero(paused) === 1,
  stops: orZero(stops)
})

export const lostStatus = (reply: Replies.Reply): TaskStatus | null => (reply === "" ? null : status(reply))
