import * as Brand from "effect/Brand"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { LeaseToken } from "@baton/core/Attempt"
import { Execution } from "@baton/core/Execution"
import { Metadata, TaskId } from "@baton/core/Task"
import { Usage } from "@baton/core/Usage"
import { Verification } from "@baton/core/Verification"
import * as Replies from "./replies.ts"

/** The last day that a date can name, in epoch milliseconds; a longer delay means "never by itself". */
const endOfTime = 8.64e15

/** A time or duration as the store holds it; rounded up, so that nothing comes early. */
export const millis = (value: number): string => String(Math.min(Math.ceil(value), endOfTime))

export const duration = (value: Duration.Duration): string => millis(Duration.toMillis(value))

export const time = (text: string | undefined): DateTime.Utc => DateTime.makeUnsafe(Replies.number(text))

const broken = "\0"

/**
 * An id as the store names it. What is no text in UTF-8 would come back as another, so such an id is written as JSON; so
 * is one that could be taken for that.
 */
export const key = (id: string): string =>
  id.isWellFormed() && !id.startsWith(broken) ? id : broken + JSON.stringify(id)

// Ids were checked on their way in.
const taskId: (id: string) => TaskId = Brand.nominal<TaskId>()
export const leaseToken: (token: number) => LeaseToken = Brand.nominal<LeaseToken>()

export const id = (key: string): TaskId => taskId(key.startsWith(broken) ? string(key.slice(broken.length)) : key)

/**
 * What holds here for every domain type that is kept as JSON: its encoded form is the value itself. That makes this the
 * codec's encoding at a tenth of its price. No JSON has a line break, which is why lines of JSON can be told apart.
 */
export const json = (
  value: Execution | Verification | Usage | Metadata | ReadonlyArray<string> | string | null
): string => JSON.stringify(value)

/** Nothing instead of `null`, for what is kept only where there is something. */
export const jsonOrNothing = (value: Execution | Usage | string | null): string => (value === null ? "" : json(value))

const fromJson = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownSync(Schema.fromJsonString(schema))
  return (text: string | undefined): S["Type"] => decode(text)
}

const orNull =
  <A>(read: (text: string | undefined) => A) =>
  (text: string | undefined): A | null =>
    text === "null" ? null : read(text)

const anyString = fromJson(Schema.String)

/** Most strings need no decoding, which is 20 times the price of looking whether they do. */
export const string = (text: string | undefined): string =>
  text !== undefined && !text.includes("\\") && text.startsWith('"') ? text.slice(1, -1) : anyString(text)

export const stringOrNull = orNull(string)
export const executionOrNull = orNull(fromJson(Execution))
export const verificationOrNull = orNull(fromJson(Verification))
export const usageOrNull = orNull(fromJson(Usage))

const anyMetadata = fromJson(Metadata)
const anyTaskIds = fromJson(Schema.Array(TaskId))
const noMetadata: Metadata = {}
const noTaskIds: ReadonlyArray<TaskId> = []

// Most tasks have neither; decoding them all the same would cost as much as the rest of a task.
export const metadata = (text: string | undefined): Metadata => (text === "{}" ? noMetadata : anyMetadata(text))
export const taskIds = (text: string | undefined): ReadonlyArray<TaskId> =>
  text === "[]" ? noTaskIds : anyTaskIds(text)
