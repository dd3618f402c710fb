import { ranked } from "./reading.ts"

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
  local silence = '"Worker ' .. sub(task[Owner], 2, -2) .. ' stopped answering."'
  local givenUp = tonumber(task[Attempts]) >= maxAttempts
  endAttempt(task, 'lease_expired', silence, saved(task))
  if givenUp then
    write(HSET, FEEDBACK, task[Id], silence)
    move(task, 'failed')
  else
    task[Available] = today
    move(task, 'pending')
    lineUp(task)
  end
  for _, value in ipairs({ task[Id], task[Token], task[Status], task[Owner], task[Attempts] }) do
    swept[#swept + 1] = value
  end
end
swept[1] = commit()
return swept
`

/**
 * The tasks that the arguments from `at` on select: `ids` and each id, or `status`, the status, after which
 * `seq` and how many. Returns them, and where the next part starts; nothing at the end.
 */
const select = `${ranked}${String.raw`
local function select(at)
  local ids, last = {}, ''
  if ARGV[at] == 'ids' then
    for index = at + 1, #ARGV do ids[#ids + 1] = ARGV[index] end
  else
    ids, last = ranked(ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3]))
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
`}`

/** Arguments: a selection. Returns where the next part of it starts, and the ids of those that changed. */
export const requeue = `${select}${String.raw`
local selected, last = select(ARGUMENTS)
local reply = { -1, last }
for _, task in ipairs(selected) do
  if task[Status] == 'failed' or task[Status] == 'cancelled' then
    task[Attempts] = 0
    task[Requeues] = task[Requeues] + 1
    task[Available] = today
    move(task, 'pending')
    lineUp(task)
    reply[#reply + 1] = task[Id]
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
  if task[Status] == 'in_progress' then running[#running + 1] = task end
end
local saved = unverified(running)
local reply = { -1, last }
for _, task in ipairs(selected) do
  if task[Status] == 'pending' or task[Status] == 'in_progress' then
    if task[Status] == 'in_progress' then
      endAttempt(task, 'cancelled', '"The task was cancelled while it ran."', saved(task))
      revised = true
    elseif tonumber(task[Blockers]) == 0 then
      dequeue(task)
    else
      waiting = waiting - 1
    end
    move(task, 'cancelled')
    reply[#reply + 1] = task[Id]
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
  if find(statuses, ' ' .. task[Status] .. ' ', 1, true) and tonumber(task[Updated]) <= latest then
    deleted = deleted + 1
    for _, key in ipairs({ TASKS, INPUTS, FEEDBACK, USAGE, CHECKPOINTS }) do remove(key, task[Id]) end
    for token = 1, task[Token] do write(HDEL, ATTEMPTS, token .. ' ' .. task[Id]) end
    write(ZREM, INDEX[task[Status]], task[Id])
    if tonumber(task[Blockers]) > 0 then
      for _, dependency in ipairs(edges(DEPENDENCIES, task[Id])) do
        write(ZREM, DEPENDENCIES, edge(task[Id], dependency))
        write(ZREM, DEPENDANTS, edge(dependency, task[Id]))
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
