/** The conversation of a task: its description, or its own messages with the files that they name. */
import type { AttemptContext } from "@baton/core/AttemptContext"
import { ExecutionError } from "@baton/core/ExecutionError"
import type { Message, Task } from "@baton/core/Task"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { readFile, stat } from "node:fs/promises"
import { basename, extname } from "node:path"
import { attemptPrompt } from "../prompts/attempt.ts"
import type { Turn } from "./MessageRequest.ts"
import { codeOf } from "./transport.ts"

/** The turns of an attempt. After a rejected attempt, its output and the reason follow the last text. */
export const conversationOf = (
  { description, overrides: { messages } }: Pick<Task, "description" | "overrides">,
  previous: AttemptContext["previous"]
): Effect.Effect<ReadonlyArray<Turn>, ExecutionError> =>
  messages === undefined
    ? Effect.succeed([{ role: "user", content: attemptPrompt(description, previous) }])
    : Effect.forEach(messages, (message, index) => {
        const turn = index === messages.length - 1 ? withFeedback(message, previous) : message
        return typeof turn.content === "string"
          ? Effect.succeed(turn)
          : Effect.map(Effect.forEach(turn.content, withFile), (content) => ({ role: turn.role, content }))
      })

const withFeedback = ({ content, role }: Message, previous: AttemptContext["previous"]): Message => {
  if (typeof content === "string") return { role, content: attemptPrompt(content, previous) }
  const feedback = attemptPrompt("", previous).trimStart()
  return { role, content: feedback === "" ? content : [...content, { type: "text", text: feedback }] }
}

const mediaTypes: Readonly<Record<string, string>> = {
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".pdf": "application/pdf"
}

/** The most that the APIs accept in one request. */
const largestFile = 32 * 1024 * 1024

/** A block with the content of the file that it names. Blocks without a path are unchanged. */
const withFile = (block: Schema.JsonObject): Effect.Effect<Schema.JsonObject, ExecutionError> => {
  const { path, ...rest } = block
  if (typeof path !== "string") return Effect.succeed(block)
  const mediaType = mediaTypes[extname(path).toLowerCase()]
  if (mediaType === undefined) return unusable(path, "is not an image (png, jpg, gif, webp) or a PDF")
  const reading = Effect.flatMap(
    attempt(() => stat(path)),
    ({ size }) => (size > largestFile ? Effect.succeed(undefined) : attempt(() => readFile(path)))
  )
  return Effect.matchEffect(reading, {
    onFailure: (code) => unusable(path, `cannot be read${code === undefined ? "" : ` (${code})`}`),
    onSuccess: (bytes) =>
      bytes === undefined
        ? unusable(path, "is larger than 32 MB")
        : Effect.succeed({
            ...rest,
            type: mediaType === "application/pdf" ? "document" : "image",
            ...(mediaType === "application/pdf" && rest["title"] === undefined ? { title: basename(path) } : undefined),
            source: { type: "base64", media_type: mediaType, data: bytes.toString("base64") }
          })
  })
}

/** Fails with the system's error code. */
const attempt = <A>(call: () => Promise<A>): Effect.Effect<A, string | undefined> =>
  Effect.tryPromise({ try: call, catch: (cause) => codeOf(cause) })

const unusable = (path: string, why: string) =>
  Effect.fail(new ExecutionError({ reason: "Permanent", message: `The file ${path} of the task's messages ${why}.` }))
