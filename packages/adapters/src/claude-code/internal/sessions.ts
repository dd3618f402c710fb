import type { AttemptContext } from "@baton/core/AttemptContext"
import { idInQueue, localId, type Task } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"

/** How a session of Claude Code begins. */
export interface Beginning {
  /** The id of the session; undefined leaves it to Claude Code. */
  readonly id: string | undefined
  /** The session that it continues. */
  readonly resumes: string | undefined
}

/** A new session with an id that Claude Code chooses. */
export const unnamed: Beginning = { id: undefined, resumes: undefined }

/**
 * The id of the session of an attempt, as a UUID. It follows from the task and the lease, so the next attempt knows it although
 * the worker that started the session died, and the store has to keep nothing.
 */
export const sessionId = (task: Task, leaseToken: number): string => {
  const { createdAt, queue } = task
  const seed = JSON.stringify([idInQueue(queue, localId(task)), createdAt.epochMilliseconds, leaseToken])
  const hex = hash("sha256", `@baton/adapters/claude-code/${seed}`)
  // With the marks of a random UUID, which every validator accepts.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The beginning of the session of an attempt: it continues the session of the attempt before it if its worker died. */
export const beginning = (task: Task, context: AttemptContext): Effect.Effect<Beginning> =>
  Effect.map(context.leaseToken === 1 ? Effect.succeed([]) : context.earlierAttempts, (attempts) => {
    const last = attempts.at(-1)
    const isResumed = last?.outcome === "lease_expired" && last.execution === undefined
    return {
      id: sessionId(task, context.leaseToken),
      resumes: isResumed ? sessionId(task, last.token) : undefined
    }
  })

/** The flags of a session. One that continues another gets a separate id, because the other may still be in use. */
export const flagsOf = ({ id, resumes }: Beginning): ReadonlyArray<string> => [
  ...(resumes === undefined ? [] : ["--resume", resumes, "--fork-session"]),
  ...(id === undefined ? [] : ["--session-id", id])
]

/** Arguments with which the user chooses the session, or keeps none. */
const own = new Set(["--session-id", "--resume", "-r", "--continue", "-c", "--no-session-persistence"])

export const choosesSession = (args: ReadonlyArray<string>): boolean =>
  args.some((arg) => own.has(arg.replace(/=.*$/s, "")))

/** What Claude Code writes to stderr when it has no such session: it was cut off before it began, or ran on another machine. */
export const isUnknownSession = (stderr: string): boolean => /no conversation found/i.test(stderr)

/** The prompt of a session that continues another one. */
export const resumePrompt = (prompt: string): string =>
  `This session was interrupted before the task was done. Continue where it ended. The task was:\n\n${prompt}`
