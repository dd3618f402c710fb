import { createHash } from "node:crypto"

/** The layout of the keys. A store with another number is refused, or migrated if it is one of `formerVersions`. */
export const schemaVersion = "10"

/**
 * A store has the second, the fourth or the last but one of these while it is being migrated, so that workers of both
 * versions are refused.
 */
export const formerVersions = ["2", "3", "4", "5", "6", "7", "8", "9"] as const

/**
 * The keys of a store. Every script gets all of them, in this order, and names them in capitals.
 *
 * - `meta`: schema version, control state, the texts that processes share, the last `seq`, the token floor
 * - hashes with a field per task: `tasks` (what changes, see `parse`), `inputs` (what does not), `running` (the attempt of
 *   a task in progress), `feedback`, `usage`, `checkpoints`
 * - `attempts`: the ledger, with a field `<n> <id>` for the nth attempt of a task that ended. A short row of the attempt that
 *   completed a task is in `tasks` instead: see `rowBehind`
 * - `verifications`: verifications that groups of tasks share, both by number and by text, and their count: see `settling.ts`
 * - `budgets`: a field for each queue with a budget; `spending`: what attempts under way have spent and hold, in these queues
 * - `queue_usage`: a field with the sum of the usage of all tasks for each queue that has some, see `usage.ts`
 * - `pauses`: a field for each queue that was paused
 * - `progress`: a field for each attempt under way that has reported some, and for some that have ended
 * - `batches`, `batch_keys`: the journal of batches, see `batches.ts`
 * - sorted sets: `ready` in the order of claiming; `delayed` by `availableAt`; one for each status but `in_progress`, by `seq`;
 *   `dependants` and `dependencies`, who waits for whom, both ways
 * - `leases`: a sorted set of the ends of leases, one for all tasks of a queue whose leases end in the same millisecond;
 *   `lease_counts` has a field for each of them, the number of these tasks
 * - tasks with a concurrency key: `keyed` has them instead of `ready`, by key; `turns` has the keys with tasks there, in the
 *   order in which they take turns; `key_states` has a field for each key with such tasks or with tasks in progress
 *
 * All members of a sorted set have the same score, so that they are ordered by their text. It begins with the queue, and in
 * `dependants` and `dependencies` with an id: a range is the part of one queue, which is found and counted in logarithmic
 * time. The name of a queue is not part of a key, because a script may only use keys that it was given.
 */
const keyNames = [
  "meta",
  "tasks",
  "inputs",
  "running",
  "attempts",
  "feedback",
  "usage",
  "checkpoints",
  "ready",
  "keyed",
  "turns",
  "key_states",
  "delayed",
  "leases",
  "lease_counts",
  "dependants",
  "dependencies",
  "pending",
  "in_review",
  "completed",
  "failed",
  "cancelled",
  "budgets",
  "spending",
  "pauses",
  "progress",
  "batches",
  "batch_keys",
  "queue_usage",
  "verifications"
] as const

export interface Keys {
  readonly all: ReadonlyArray<string>
  /** The channel for notifications. */
  readonly channel: string
}

/** The braces are a hash tag: a cluster keeps all keys of a store on one node. */
export const keys = (prefix: string): Keys => {
  const key = (name: string) => `{${prefix}}:${name}`
  return { all: keyNames.map(key), channel: key("changes") }
}

/** A program that the server runs as one step. The server keeps it and then knows it by its hash. */
export interface Script {
  readonly text: string
  readonly hash: string
}

/** A script that begins with parts of `library.ts`. It refuses keys that do not have this layout. */
export const script = (parts: ReadonlyArray<string>, body: string): Script => uncheckedScript([check, ...parts], body)

/** A script that has to look at the layout itself. */
export const uncheckedScript = (parts: ReadonlyArray<string>, body: string): Script => {
  const text = [prelude, ...parts, body].join("\n")
  return { text, hash: createHash("sha1").update(text).digest("hex") }
}

export const check = String.raw`
if schema ~= SCHEMA and (schema or redis.call('EXISTS', unpack(KEYS)) > 0) then
  return redis.error_reply('BATONSCHEMA ' .. (schema or 'none'))
end
`

/**
 * The beginning of every script. The arguments of all scripts start with the schema version, the channel and the sender.
 *
 * Texts and JSON documents are opaque here; documents contain no line breaks.
 */
const prelude = String.raw`
local ARGV = ARGV
local ${keyNames.map((name) => name.toUpperCase()).join(", ")} = unpack(KEYS)
-- Those in progress are in 'leases'.
local INDEX = { pending = PENDING, in_review = IN_REVIEW, completed = COMPLETED, failed = FAILED, cancelled = CANCELLED }
local SCHEMA, CHANNEL, SENDER = ARGV[1], ARGV[2], ARGV[3]
-- The first argument of the script itself.
local FIRST = 4
-- The stack of unpack() holds 8 000 values.
local CHUNK = 4000
local END_OF_TIME = 8.64e15
-- Waiting processes look on their own every 3 seconds, so a later moment is not worth a notification.
local NOTIFIED_MILLIS = 3000
local format, concat, byte, find, sub, match = string.format, table.concat, string.byte, string.find, string.sub, string.match

local schema = redis.call('HGET', META, 'schema')

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Lua itself rounds numbers of more than 14 digits.
local function text(number)
  return format('%.0f', number)
end
local nowText = text(now)

-- The values of many fields, in their order; false for a missing one.
local function mget(key, fields)
  if #fields <= CHUNK then
    return #fields == 0 and {} or redis.call('HMGET', key, unpack(fields))
  end
  local values = {}
  for from = 1, #fields, CHUNK do
    local part = redis.call('HMGET', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
    for index = 1, #part do values[from + index - 1] = part[index] end
  end
  return values
end
`
