import { members, queues, ranked } from "./indexes.ts"
import { edges, previousExecutions, tasks } from "./library.ts"
import { pauses } from "./pauses.ts"
import { check, formerVersions, script, uncheckedScript } from "./prelude.ts"

/**
 * Whether there is a store, or `former` for one that has to be migrated. Fails where the keys belong to something else, and for a user who is denied a command that a
 * script uses: if that command failed half-way, half of the script's work would remain.
 */
export const open = uncheckedScript(
  [],
  String.raw`
local commands = {
  { 'HSET', META, '', '' }, { 'HGET', META, '' }, { 'HDEL', META, '' }, { 'HINCRBY', META, '', 1 }, { 'HMGET', META, '' },
  { 'ZADD', READY, 0, '' }, { 'ZREM', READY, '' }, { 'ZREMRANGEBYLEX', READY, '-', '+' }, { 'ZCARD', READY },
  { 'ZRANGEBYLEX', READY, '-', '+' }, { 'ZLEXCOUNT', READY, '-', '+' }, { 'ZRANGEBYSCORE', READY, 0, 0 },
  { 'HKEYS', META }, { 'HGETALL', META }, { 'HEXISTS', META, '' }, { 'PUBLISH', CHANNEL, '' }
}
for _, command in ipairs(commands) do
  if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(command)) then
    return redis.error_reply('NOPERM it may not do ' .. command[1])
  end
end
${formerVersions.map((version) => `if schema == '${version}' then return 'former' end`).join("\n")}
${check}
return schema and 1 or 0
`
)

/** Returns revision, paused, stops. */
export const control = script([], `return redis.call('HMGET', META, 'revision', 'paused', 'stops')`)

/**
 * Returns for each queue that has tasks: its name, the numbers of tasks that are pending, running, in review, completed, failed
 * and cancelled, and of pending tasks that wait; and the sum of their usage.
 */
export const counts = script(
  [members, queues],
  String.raw`
local counted = {}
local KEYS_OF_TASKS = { PENDING, LEASES, IN_REVIEW, COMPLETED, FAILED, CANCELLED }
for _, key in ipairs(KEYS_OF_TASKS) do
  for _, name in ipairs(queuesIn(key)) do counted[name] = true end
end
local function running(prefix)
  local sum = 0
  for _, count in ipairs(mget(LEASE_COUNTS, membersOf(LEASES, prefix))) do sum = sum + (count or 0) end
  return sum
end
local rows = {}
for name in pairs(counted) do
  local prefix = prefixOf(name)
  local function count(key)
    return redis.call('ZLEXCOUNT', key, '[' .. prefix, '(' .. behind(prefix))
  end
  local row = { name }
  for index, key in ipairs(KEYS_OF_TASKS) do row[index + 1] = key == LEASES and running(prefix) or count(key) end
  -- The others wait for none.
  row[#row + 1] = row[2] - count(READY) - count(KEYED) - count(DELAYED)
  row[#row + 1] = redis.call('HGET', QUEUE_USAGE, name)
  rows[#rows + 1] = row
end
return rows
`
)

/**
 * Returns for each queue and each owner of tasks in progress: both names, the numbers of tasks that are started and that are
 * only claimed, when the first of them started, and in how many milliseconds the last lease ends.
 */
export const workers = script(
  [tasks],
  String.raw`
local running, ids, attempts = redis.call('HGETALL', RUNNING), {}, {}
for at = 1, #running, 2 do
  ids[#ids + 1] = running[at]
  attempts[#ids] = running[at + 1]
end
local byQueue = {}
for index, line in ipairs(mget(TASKS, ids)) do
  local name, attempt = parse(ids[index], line or '')[Queue], parseAttempt(attempts[index])
  byQueue[name] = byQueue[name] or {}
  local worker = byQueue[name][attempt.owner]
  if not worker then
    worker = { running = 0, claimed = 0, leaseEnd = -math.huge }
    byQueue[name][attempt.owner] = worker
  end
  local started = tonumber(attempt.started)
  if started then
    worker.running, worker.started = worker.running + 1, math.min(worker.started or started, started)
  else
    worker.claimed = worker.claimed + 1
  end
  worker.leaseEnd = math.max(worker.leaseEnd, tonumber(attempt.leaseEnd))
end
local rows = {}
for name, byOwner in pairs(byQueue) do
  for owner, worker in pairs(byOwner) do
    rows[#rows + 1] = {
      name, owner, worker.running, worker.claimed, worker.started and text(worker.started) or false,
      text(worker.leaseEnd - now)
    }
  end
end
return rows
`
)

/**
 * Arguments: a queue, and how many tasks of a concurrency key may be in progress. Returns in how many milliseconds there is something to do, or nothing; whether it is drained; the control
 * state.
 */
export const outlook = script(
  [members, pauses],
  String.raw`
local prefix = prefixOf(ARGV[FIRST])
-- Whether a key that is not busy has a task.
local function isKeyClaimable()
  local from, max = prefix, format('%06.0f', math.min(tonumber(ARGV[FIRST + 1]), 999999))
  while true do
    local member = redis.call('ZRANGEBYLEX', TURNS, '[' .. from, '(' .. behind(prefix), 'LIMIT', 0, 1)[1]
    if not member then return false end
    local start = #prefix + WORD
    if sub(member, start + 1, start + #max) < max then return true end
    from = sub(member, 1, start) .. '\255'
  end
end

local function firstIn(key)
  local first = membersOf(key, prefix, 1)[1]
  -- Behind the sign: both times are in the future of something that has happened.
  local time = first and tonumber(sub(first, #prefix + 2, #prefix + WORD), 16)
  return time and time - now
end
local claimable = (membersOf(READY, prefix, 1)[1] or isKeyClaimable()) and 0 or firstIn(DELAYED)
local lease = firstIn(LEASES)
local isDrained = not claimable and not lease
local pause = claimable and pauseOf(ARGV[FIRST])
if pause then claimable = math.max(claimable, endOfPause(pause) - now) end
local due = math.min(claimable or math.huge, lease or math.huge)
return {
  due < math.huge and math.min(due, END_OF_TIME), isDrained and 1 or 0,
  unpack(redis.call('HMGET', META, 'revision', 'paused', 'stops'))
}
`
)

/** Describes tasks: id, line, inputs, feedback, usage, the execution of the attempt that completed it, when it started. */
const describe = String.raw`
local function describe(ids, withoutResults)
  load(ids)
  local inputs, feedback, usage, rows, executions = mget(INPUTS, ids), mget(FEEDBACK, ids), mget(USAGE, ids), {}, {}
  for _, id in ipairs(ids) do
    local task = tasks[id]
    if task and task[Status] == 'completed' and not withoutResults then
      local field = task[Rows] .. ' ' .. id
      if task.row then executions[field] = executionOf(task.row) else rows[#rows + 1] = field end
    end
  end
  for index, row in ipairs(mget(ATTEMPTS, rows)) do executions[rows[index]] = row and executionOf(row) end
  local described = {}
  for index, id in ipairs(ids) do
    local task = tasks[id]
    described[index] = task and {
      id, print(task), inputs[index], feedback[index], usage[index], executions[task[Rows] .. ' ' .. id] or false,
      task[Attempt] and task[Attempt].started ~= '-' and task[Attempt].started or false
    }
  end
  return described
end
`

/** Argument: an id. Returns the task or nothing. */
export const get = script([tasks, previousExecutions, describe], `return describe({ ARGV[FIRST] })[1]`)

/** Arguments: a status or nothing, a queue or nothing, after which `seq`, limit, 0 for no results. Returns the tasks. */
export const list = script(
  [members, tasks, queues, ranked, previousExecutions, describe],
  `
local ids = ranked(ARGV[FIRST], ARGV[FIRST + 1], tonumber(ARGV[FIRST + 2]), tonumber(ARGV[FIRST + 3]))
return describe(ids, ARGV[FIRST + 4] == '0')`
)

/**
 * The ledger of a task: for each attempt that ended its numbers, execution, verification, usage, owner and error; when the
 * attempt under way started, or was claimed, whether it has checkpointed, its owner, and whether it has started; the
 * checkpoint.
 */
const ledger = String.raw`
local function ledger(id)
  local task = tasks[id]
  local fields = {}
  for row = 1, task[Rows] do fields[row] = row .. ' ' .. id end
  local ended, rows = {}, mget(ATTEMPTS, fields)
  if task.row then rows[#rows] = task.row end
  for index, row in ipairs(rows) do
    local numbers, execution, verification, usage, rest =
      match(row or '', '^([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
    local length = tonumber(match(numbers or '', '[^ ]+$'))
    if not length then unreadable() end
    local failure = #rest > length and sub(rest, length + 2)
    ended[index] = { numbers, execution, verification, usage, sub(rest, 1, length), failure }
  end
  local attempt = task[Attempt]
  local isStarted = attempt and attempt.started ~= '-'
  return {
    ended, attempt and {
      isStarted and attempt.started or attempt.updated, attempt.saved and 1 or 0, attempt.owner, isStarted and 1 or 0
    } or false,
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
 * Arguments: after which `seq`, limit, a queue or nothing. Returns for each task: itself, its ledger, the end of its lease, and the ids that it
 * waits for.
 */
export const dump = script(
  [members, tasks, queues, ranked, previousExecutions, edges, describe, ledger],
  String.raw`
local ids = ranked('', ARGV[FIRST + 2], tonumber(ARGV[FIRST]), tonumber(ARGV[FIRST + 1]))
local records = {}
for index, described in ipairs(describe(ids)) do
  local id = ids[index]
  records[index] = {
    described, ledger(id), tasks[id][Attempt] and tasks[id][Attempt].leaseEnd or false,
    tonumber(tasks[id][Blockers]) > 0 and edges(DEPENDENCIES, id) or {}
  }
end
return records
`
)
