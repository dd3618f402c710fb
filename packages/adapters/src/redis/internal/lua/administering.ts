/**
 * Takes back tasks whose lease has ended. Arguments: the number of attempts with which a task is given up, or 0 to give up
 * all of them; how many at most. Returns for each: id, token, status, owner, attempts.
 */
export const sweep = String.raw`
local maxAttempts = tonumber(ARGV[ARGUMENTS])
local ids = redis.call('ZRANGEBYSCORE', LEASES, '-inf', today, 'LIMIT', 0, ARGV[ARGUMENTS + 1])
load(ids)
local held = {}
for _, id in ipairs(ids) do held[#held + 1] = tasks[id] end
local saved = unverified(held)
local swept = { -1 }
for _, task in ipairs(held) do
  -- The owner is JSON: its quotes are the sentence's.
  local silence = '"Worker ' .. sub(task.owner, 2, -2) .. ' stopped answering."'
  local givenUp = tonumber(task.attempts) >= maxAttempts
  endAttempt(task, 'lease_expired', silence, saved(task))
  if givenUp then
    write('HSET', FEEDBACK, task.id, silence)
    move(task, 'failed')
  else
    task.available = today
    move(task, 'pending')
    lineUp(task)
  end
  for _, value in ipairs({ task.id, task.token, task.status, task.owner, task.attempts }) do
    swept[#swept + 1] = value
  end
end
swept[1] = commit()
return swept
`

/**
 * The tasks that the arguments from `at` on select: `ids` and each id, or `status`, the status, after which
 * `seq` and how many. Returns them with the last `seq`, which is nothing at the end.
 */
const select = String.raw`
local function select(at)
  local ids, last = {}, ''
  if ARGV[at] == 'ids' then
    for index = at + 1, #ARGV do ids[#ids + 1] = ARGV[index] end
  else
    local limit = tonumber(ARGV[at + 3])
    local found = redis.call(
      'ZRANGEBYSCORE', INDEX[ARGV[at + 1]], '(' .. ARGV[at + 2], '+inf', 'WITHSCORES', 'LIMIT', 0, limit
    )
    for index = 1, #found, 2 do ids[#ids + 1] = found[index] end
    if #ids == limit then last = found[#found] end
  end
  load(ids)
  local selected, seen = {}, {}
  for _, id in ipairs(ids) do
    if tasks[id] and not seen[id] then
      seen[id] = true
      selected[#selected + 1] = tasks[id]
    end
  end
  return selected, last
end
`

/** Arguments: a selection. Returns where the next part of it starts, and the ids of those that changed. */
export const requeue = `${select}${String.raw`
local selected, last = select(ARGUMENTS)
local reply = { -1, last }
for _, task in ipairs(selected) do
  if task.status == 'failed' or task.status == 'cancelled' then
    task.attempts = 0
    task.requeues = task.requeues + 1
    task.available = today
    move(task, 'pending')
    lineUp(task)
    reply[#reply + 1] = task.id
  end
end
reply[1] = commit()
return reply
`}`

/** Arguments: a selection. Returns where the next part of it starts, and the ids of those that changed. */
export const cancel = `${select}${String.raw`
local selected, last = select(ARGUMENTS)
local running = {}
for _, task in ipairs(selected) do
  if task.status == 'in_progress' then running[#running + 1] = task end
end
local saved = unverified(running)
local reply = { -1, last }
for _, task in ipairs(selected) do
  if task.status == 'pending' or task.status == 'in_progress' then
    if task.status == 'in_progress' then
      endAttempt(task, 'cancelled', '"The task was cancelled while it ran."', saved(task))
      revised = true
    elseif tonumber(task.blockers) == 0 then
      dequeue(task)
    else
      waiting = waiting - 1
    end
    move(task, 'cancelled')
    reply[#reply + 1] = task.id
  end
end
reply[1] = commit()
return reply
`}`

/**
 * Arguments: statuses between spaces, for how long a task must not have changed, a selection. Returns where the next part
 * of it starts, and how many were deleted.
 */
export const prune = `${select}${String.raw`
local statuses, latest = ARGV[ARGUMENTS], now - ARGV[ARGUMENTS + 1]
local selected, last = select(ARGUMENTS + 2)
local deleted = 0
for _, task in ipairs(selected) do
  if find(statuses, ' ' .. task.status .. ' ', 1, true) and tonumber(task.updated) <= latest then
    deleted = deleted + 1
    for _, key in ipairs({ TASKS, INPUTS, FEEDBACK, USAGE, CHECKPOINTS }) do write('HDEL', key, task.id) end
    for token = 1, task.token do write('HDEL', ATTEMPTS, token .. ' ' .. task.id) end
    write('ZREM', INDEX[task.status], task.id)
    if tonumber(task.blockers) > 0 then
      for _, dependency in ipairs(edges(DEPENDENCIES, task.id)) do
        write('ZREM', DEPENDENCIES, edge(task.id, dependency))
        write('ZREM', DEPENDANTS, edge(dependency, task.id))
      end
    end
  end
end
return { commit(), last, deleted }
`}`

/** Arguments: what is asked of all runs. Returns the control state. */
export const request = String.raw`
local asked = ARGV[ARGUMENTS]
redis.call('HSET', META, 'schema', ARGV[1])
if asked == 'stop' then
  redis.call('HINCRBY', META, 'stops', 1)
else
  redis.call('HSET', META, 'paused', asked == 'pause' and 1 or 0)
end
revised = true
return { commit(), unpack(redis.call('HMGET', META, 'revision', 'paused', 'stops')) }
`
