import { edges, previousExecutions, ranked, tasks } from "./library.ts"
import { script } from "./prelude.ts"

/**
 * Whether there is a store. Fails where the keys belong to something else, and for a user who is denied a command that a
 * script uses: if that command failed half-way, half of the script's work would remain.
 */
export const open = script(
  [],
  String.raw`
local commands = {
  { 'HSET', META, '', '' }, { 'HGET', META, '' }, { 'HDEL', META, '' }, { 'HINCRBY', META, '', 1 }, { 'HMGET', META, '' },
  { 'ZADD', READY, 0, '' }, { 'ZREM', READY, '' }, { 'ZREMRANGEBYRANK', READY, 0, 0 }, { 'ZRANGE', READY, 0, 0 },
  { 'ZRANGEBYSCORE', READY, 0, 0 }, { 'ZRANGEBYLEX', READY, '-', '+' }, { 'ZCARD', READY }, { 'ZSCORE', READY, '' },
  { 'PUBLISH', CHANNEL, '' }
}
for _, command in ipairs(commands) do
  if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(command)) then
    return redis.error_reply('NOPERM it may not do ' .. command[1])
  end
end
return schema and 1 or 0
`
)

/** Returns revision, paused, stops. */
export const control = script([], `return redis.call('HMGET', META, 'revision', 'paused', 'stops')`)

/** Returns the numbers of pending, running, completed, failed and cancelled tasks, and of pending tasks that wait. */
export const counts = script(
  [],
  String.raw`
return {
  redis.call('ZCARD', PENDING), redis.call('ZCARD', LEASES), redis.call('ZCARD', COMPLETED),
  redis.call('ZCARD', FAILED), redis.call('ZCARD', CANCELLED), redis.call('HGET', META, 'waiting') or 0
}
`
)

/** Returns in how many milliseconds there is something to do or nothing for never, whether all is done, the control state. */
export const outlook = script(
  [],
  String.raw`
local due
if redis.call('ZCARD', READY) > 0 then
  due = 0
else
  for _, key in ipairs({ DELAYED, LEASES }) do
    local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]
    if first then due = math.min(due or END_OF_TIME, tonumber(first) - now) end
  end
end
return { due or false, isDrained() and 1 or 0, unpack(redis.call('HMGET', META, 'revision', 'paused', 'stops')) }
`
)

/** Describes tasks: id, line, inputs, feedback, usage, the execution of the attempt that completed it. */
const describe = String.raw`
local function describe(ids)
  load(ids)
  local inputs, feedback, usage, rows, executions = mget(INPUTS, ids), mget(FEEDBACK, ids), mget(USAGE, ids), {}, {}
  for _, id in ipairs(ids) do
    local task = tasks[id]
    if task and task[Status] == 'completed' then rows[#rows + 1] = task[Rows] .. ' ' .. id end
  end
  for index, row in ipairs(mget(ATTEMPTS, rows)) do executions[rows[index]] = row and executionOf(row) end
  local described = {}
  for index, id in ipairs(ids) do
    local task = tasks[id]
    described[index] = task and {
      id, print(task), inputs[index], feedback[index], usage[index], executions[task[Rows] .. ' ' .. id] or false
    }
  end
  return described
end
`

/** Argument: an id. Returns the task or nothing. */
export const get = script([tasks, previousExecutions, describe], `return describe({ ARGV[FIRST] })[1]`)

/** Arguments: a status or nothing, after which `seq`, limit. Returns the tasks. */
export const list = script(
  [tasks, ranked, previousExecutions, describe],
  `
return describe((ranked(ARGV[FIRST], ARGV[FIRST + 1], tonumber(ARGV[FIRST + 2]))))`
)

/**
 * The ledger of a task: for each attempt that ended its numbers, execution, verification, usage, owner and error; when the
 * attempt under way started, whether it has checkpointed, and its owner; the checkpoint.
 */
const ledger = String.raw`
local function ledger(id)
  local task = tasks[id]
  local fields = {}
  for row = 1, task[Rows] do fields[row] = row .. ' ' .. id end
  local ended = {}
  for index, row in ipairs(mget(ATTEMPTS, fields)) do
    local numbers, execution, verification, usage, rest =
      match(row or '', '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
    local length = tonumber(match(numbers or '', '[^ ]+$'))
    if not length then unreadable() end
    local failure = #rest > length and sub(rest, length + 2)
    ended[index] = { numbers, execution, verification, usage, sub(rest, 1, length), failure }
  end
  local attempt = task[Attempt]
  return {
    ended, attempt and { attempt.started, attempt.saved and 1 or 0, attempt.owner } or false,
    redis.call('HGET', CHECKPOINTS, id)
  }
end
`

/** Argument: an id. Returns the line and the ledger, or nothing for an unknown id. */
export const attempts = script(
  [tasks, ledger],
  `
local id = ARGV[FIRST]
load({ id })
return tasks[id] and { print(tasks[id]), ledger(id) }`
)

/**
 * Arguments: after which `seq`, limit. Returns for each task: itself, its ledger, the end of its lease, and the ids that it
 * waits for.
 */
export const dump = script(
  [tasks, ranked, previousExecutions, edges, describe, ledger],
  String.raw`
local ids = ranked('', ARGV[FIRST], tonumber(ARGV[FIRST + 1]))
local records = {}
for index, described in ipairs(describe(ids)) do
  local id = ids[index]
  records[index] = {
    described, ledger(id), redis.call('ZSCORE', LEASES, id),
    tonumber(tasks[id][Blockers]) > 0 and edges(DEPENDENCIES, id) or {}
  }
end
return records
`
)
