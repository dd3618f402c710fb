import { keys, members, places, queue, queues, ranked } from "./indexes.ts"
import { budgets } from "./budgets.ts"
import { edges, endings, moving, rows, saving, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

/**
 * The tasks that a selection names and whose status is one of `from`. Its arguments: the statuses between spaces; `ids` and
 * each id, or `status`, the status, the queue or nothing, after which `seq` and the limit. Also returns the `seq` at which
 * the next part starts.
 */
const select = String.raw`
local function select(at)
  local ids, last = {}, false
  if ARGV[at + 1] == 'ids' then
    for index = at + 2, #ARGV do ids[#ids + 1] = ARGV[index] end
  else
    ids, last = ranked(ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  end
  load(ids)
  local selected = {}
  for _, id in ipairs(ids) do
    local task = tasks[id]
    if task and find(ARGV[at], ' ' .. task[Status] .. ' ', 1, true) then selected[#selected + 1] = task end
  end
  return selected, last
end
`

/** Arguments: a selection. Returns where the next part of it starts, and the ids of the tasks that changed. */
export const requeue = script(
  [members, tasks, writes, places, keys, queue, saving, moving, queues, ranked, select],
  String.raw`
local selected, last = select(FIRST)
local ids = {}
for _, task in ipairs(selected) do
  task[Attempts] = 0
  task[Requeues] = task[Requeues] + 1
  task[Available] = nowText
  move(task, 'pending')
  lineUp(task)
  ids[#ids + 1] = task[Id]
end
saveKeys()
commit()
return { last, ids }
`
)

/**
 * Arguments: the statuses between spaces; for each task: id; its last token or nothing; feedback after `=`, or nothing; its
 * limit of attempts or `-`; its metadata; the rest of its inputs, without the dependencies, or nothing to keep its work.
 * Returns the ids of the tasks that changed.
 */
export const revise = script(
  [members, tasks, writes, places, keys, queue, saving, moving],
  String.raw`
local revisions, ids = {}, {}
for at = FIRST + 1, #ARGV, 6 do
  ids[#ids + 1] = ARGV[at]
  revisions[#ids] = at
end
load(ids)
local inputs = mget(INPUTS, ids)
local revised = {}
for index, id in ipairs(ids) do
  local task, at = tasks[id], revisions[index]
  local token, feedback, limit, metadata, rest = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
  if task and find(ARGV[FIRST], ' ' .. task[Status] .. ' ', 1, true) and
      (token == '' or tonumber(token) == tonumber(task[Token])) then
    if rest ~= '' then
      local dependencies = match(inputs[index] or '', '^[^\n]*\n([^\n]*)\n')
      if not dependencies then unreadable() end
      write(HSET, INPUTS, id, metadata .. '\n' .. dependencies .. '\n' .. rest)
      local key = keyOf(task)
      task[Limit] = key and limit .. '/' .. key or limit
    end
    -- A claim reads feedback and the previous output only of tasks that had an attempt.
    if task[Status] == 'completed' then
      task[Previous] = task[Rows]
    elseif task[Previous] == '-' and feedback ~= '' then
      task[Previous] = 'f'
    end
    if feedback == '' then write(HDEL, FEEDBACK, id) else write(HSET, FEEDBACK, id, sub(feedback, 2)) end
    write(HDEL, CHECKPOINTS, id)
    task[Attempts], task[Verified], task[Requeues] = 0, '0', task[Requeues] + 1
    if task[Status] == 'pending' then
      task[Updated] = nowText
      save(task)
    else
      task[Available] = nowText
      move(task, 'pending')
      lineUp(task)
    end
    revised[#revised + 1] = id
  end
end
saveKeys()
commit()
return revised
`
)

/**
 * Fails pending tasks that wait for others. Arguments: the feedback, a selection of ids. Returns the ids of the tasks that
 * changed.
 */
export const failWaiting = script(
  [members, tasks, writes, places, saving, moving, queues, ranked, select],
  String.raw`
local ids = {}
for _, task in ipairs((select(FIRST + 1))) do
  if tonumber(task[Blockers]) > 0 then
    write(HSET, FEEDBACK, task[Id], ARGV[FIRST])
    -- A claim reads the feedback only of tasks that had an attempt, or have feedback without one.
    if task[Previous] == '-' then task[Previous] = 'f' end
    move(task, 'failed')
    ids[#ids + 1] = task[Id]
  end
end
commit()
return ids
`
)

/**
 * Arguments: the reason, a selection. Returns where the next part of it starts, the ids of the tasks that changed, and how
 * many of them were in progress.
 */
export const cancel = script(
  [members, tasks, writes, places, keys, saving, moving, rows, endings, queues, ranked, select, budgets],
  String.raw`
local selected, last = select(FIRST + 1)
local running = {}
for _, task in ipairs(selected) do
  if task[Attempt] then running[#running + 1] = task end
end
local resultOf = checkpointedBy(running)
local ids = {}
for _, task in ipairs(selected) do
  if task[Attempt] then
    endAttempt(task, 'cancelled', ARGV[FIRST], resultOf(task[Id]))
    endSpending(task[Id], text(task[Token]), task[Queue])
    revised = true
  elseif tonumber(task[Blockers]) == 0 then
    local key = keyOf(task)
    if key then
      leaveKey(task, key)
    else
      write(ZREM, READY, readyMember(task))
    end
    write(ZREM, DELAYED, delayedMember(task))
  end
  move(task, 'cancelled')
  ids[#ids + 1] = task[Id]
end
saveBudgets()
saveKeys()
commit()
return { last, ids, #running }
`
)

/**
 * Deletes tasks. Arguments: for how many milliseconds a task must not have changed, a selection. Returns where the next
 * part of it starts, and the ids of the tasks that were deleted.
 */
export const prune = script(
  [members, tasks, writes, places, edges, queues, ranked, select, usage],
  String.raw`
local latest = now - ARGV[FIRST]
local selected, last = select(FIRST + 1)
local isUsed = {}
for _, key in ipairs({ FEEDBACK, USAGE, CHECKPOINTS }) do isUsed[key] = redis.call('EXISTS', key) == 1 end
local haveDependants = redis.call('EXISTS', DEPENDANTS) == 1
local function isAwaited(id)
  if not haveDependants then return false end
  local dependants = edges(DEPENDANTS, id)
  load(dependants)
  for _, dependant in ipairs(dependants) do
    if tasks[dependant] and tasks[dependant][Status] == 'pending' then return true end
  end
  return false
end
local ids, greatestToken = {}, 0
for _, task in ipairs(selected) do
  if tonumber(task[Updated]) <= latest and not isAwaited(task[Id]) then
    local id = task[Id]
    ids[#ids + 1] = id
    greatestToken = math.max(greatestToken, task[Token])
    write(HDEL, TASKS, id)
    write(HDEL, INPUTS, id)
    for key, used in pairs(isUsed) do
      if used then write(HDEL, key, id) end
    end
    for row = 1, task[Rows] do write(HDEL, ATTEMPTS, row .. ' ' .. id) end
    write(ZREM, INDEX[task[Status]], statusMember(task))
    if tonumber(task[Blockers]) > 0 then
      for _, dependency in ipairs(edges(DEPENDENCIES, id)) do
        write(ZREM, DEPENDENCIES, edge(id, dependency))
        write(ZREM, DEPENDANTS, edge(dependency, id))
      end
    end
  end
end
for index, used in ipairs(isUsed[USAGE] and mget(USAGE, ids) or {}) do usages.meter(tasks[ids[index]][Queue], used, -1) end
-- Freeing memory must be possible when the memory is full, and HSET would be refused before the first deletion.
commit()
usages.save()
flushAll()
-- Only completed tasks have rows with the numbers of verifications.
if redis.call('EXISTS', COMPLETED) == 0 then
  for _, field in ipairs(redis.call('HKEYS', VERIFICATIONS)) do redis.call('HDEL', VERIFICATIONS, field) end
end
if greatestToken > tonumber(redis.call('HGET', META, 'floor') or 0) then
  redis.call('HSET', META, 'floor', text(greatestToken))
end
return { last, ids }
`
)

/** Argument: the name of a text. */
export const readText = script([], `return redis.call('HGET', META, 'text/' .. ARGV[FIRST])`)

/** Arguments: the name, the text, the one before or '', whether the control revision grows. Returns whether it was written. */
export const writeText = script(
  [members, writes],
  String.raw`
local field = 'text/' .. ARGV[FIRST]
local before = redis.call('HGET', META, field) or ''
if before ~= ARGV[FIRST + 2] then return 0 end
redis.call('HSET', META, 'schema', SCHEMA, field, ARGV[FIRST + 1])
revised = ARGV[FIRST + 3] == '1'
commit()
return 1
`
)

/** Argument: the request to all runs. Returns the control state. */
export const request = script(
  [members, writes],
  String.raw`
local request = ARGV[FIRST]
if request == 'stop' then
  redis.call('HINCRBY', META, 'stops', 1)
else
  redis.call('HSET', META, 'paused', request == 'pause' and 1 or 0)
end
revised = true
commit()
return redis.call('HMGET', META, 'revision', 'paused', 'stops')
`
)
