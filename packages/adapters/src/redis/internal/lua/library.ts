/**
 * Functions that several scripts use. The server creates the functions of a script in each call, and each costs it a tenth of
 * a microsecond, so a script contains only the parts that it needs.
 */

/** The stored form of tasks. */
export const tasks = String.raw`
-- A task is a table of the words of its line, with its id before them and the attempt under way behind them.
--   Available, Updated: '=' in a line for the same time as Created
--   Blockers: the number of dependencies that have yet to complete
--   Rows: the number of attempts that ended
--   Limit: the number of attempts that the task itself allows, or '-'; with a concurrency key, '/' and the key follow
--   Queue: its name, which can contain spaces
--   Previous: the row of the last attempt that was rejected, 0 if it has no execution; before the end of the first
--   attempt '-', or 'f' if the task has feedback anyway
-- A claim does not change the line, and writes an attempt; both together are what 'load' makes of a task in progress.
local Id, Seq, Priority, Created, Requeues, Blockers, Available, Attempts, Token, Rows, Verified, Status, Updated,
  Limit, Queue, Previous, Attempt = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17

-- The length of a 'seq'.
local SEQ = 15
-- A set of characters is matched twice as fast as a class.
local LINE = '^' .. string.rep('([^ ]+) ', 13) .. '(.+) ([^ ]+)$'

local function unreadable()
  error('BATONVALUE')
end

-- A row of the ledger. A short one of the attempt that completed a task is behind its line, which saves a field. It leaves
-- out what the line says, and begins with how long the attempt took. A verification that is '@' and a number is in
-- 'verifications'. Earlier versions left nothing out.
local verifications = {}
local function rowBehind(task, written)
  local taken, execution, verification, usage, owner =
    match(written, '^(-?%d+)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  if not taken then return written end
  if byte(verification) == 64 then
    local known = verifications[verification] or redis.call('HGET', VERIFICATIONS, verification)
    verifications[verification] = known
    verification = known or verification
  end
  local started = text(task[Updated] - taken)
  local numbers = { task[Attempts], task[Token], started, task[Updated], task[Status], #owner }
  return concat({ concat(numbers, ' '), execution, verification, usage, owner }, '\n')
end

-- Tasks that were added together have the same words behind the 'seq'.
local wordsByState = {}
local function parse(id, line)
  local state = sub(line, SEQ + 1)
  local words = wordsByState[state]
  if words then return { id, sub(line, 1, SEQ), unpack(words, Priority, Previous) } end
  -- No word contains a line break.
  local lineEnd = find(line, '\n', 1, true)
  local task = { id, match(lineEnd and sub(line, 1, lineEnd - 1) or line, LINE) }
  if not task[Previous] then unreadable() end
  if task[Available] == '=' then task[Available] = task[Created] end
  if task[Updated] == '=' then task[Updated] = task[Created] end
  if lineEnd then
    task.row = rowBehind(task, sub(line, lineEnd + 1))
  elseif #task[Seq] == SEQ then
    wordsByState[state] = { unpack(task) }
  end
  return task
end

local function print(task)
  local created, available, updated = task[Created], task[Available], task[Updated]
  if available == created then task[Available] = '=' end
  if updated == created then task[Updated] = '=' end
  local line = concat(task, ' ', Seq, Previous)
  task[Available], task[Updated] = available, updated
  return line
end

local function rowOf(task, number)
  if task.row and tonumber(number) == tonumber(task[Rows]) then return task.row end
  return redis.call('HGET', ATTEMPTS, number .. ' ' .. task[Id])
end

-- Whether an attempt of the task has ended.
local function hasHadAttempt(task)
  return task[Previous] ~= '-' and task[Previous] ~= 'f'
end

-- The concurrency key of a task, as percent-encoded text.
local function keyOf(task)
  local slash = find(task[Limit], '/', 1, true)
  return slash and sub(task[Limit], slash + 1)
end

-- Tasks that were claimed together have the same text. 'started' is '-' while the task is claimed and not started, and '='
-- if it started when it was claimed. The end of the lease is '+' and the time since 'updated'; earlier versions wrote the time.
local attemptsByLine = {}
local function parseAttempt(line)
  local attempt = attemptsByLine[line]
  if not attempt then
    local sign, lease, started, updated, saved, call, owner =
      match(line, '^(%+?)(%d+) ([%d=-]+) (%d+) ([01]) ([^ ]+) (.*)$')
    if not owner then unreadable() end
    attempt = {
      leaseEnd = sign == '+' and text(updated + lease) or lease, started = started == '=' and updated or started,
      updated = updated, saved = saved == '1', call = call, owner = owner
    }
    attemptsByLine[line] = attempt
  end
  return attempt
end

-- When the lease of a stored attempt ends; nothing if the attempt cannot be read.
local function leaseEndOf(line)
  local isRead, attempt = pcall(parseAttempt, line)
  return isRead and attempt.leaseEnd
end

-- Adds the attempt under way to a task that was read from its line.
local function begin(task, line)
  local attempt = parseAttempt(line)
  task[Attempts], task[Token], task[Status] = task[Attempts] + 1, task[Token] + 1, 'in_progress'
  task[Updated] = attempt.updated
  task[Attempt] = attempt
end

-- The tasks that this script has looked at, as they are after it.
local tasks = {}

local function load(ids)
  local lines = mget(TASKS, ids)
  local found = {}
  for index = 1, #ids do
    local id, line = ids[index], lines[index]
    if line and not tasks[id] then
      tasks[id] = parse(id, line)
      found[#found + 1] = id
    end
  end
  for index, line in ipairs(mget(RUNNING, found)) do
    if line then begin(tasks[found[index]], line) end
  end
end
`

/**
 * The writes of a script. Uses `members`. It collects them and sends them at the end, in few commands with many members, because each
 * command costs a microsecond. Redis undoes nothing when a script fails, so whatever can be refused (out of memory,
 * read-only, no replicas) has to be refused at the first write.
 */
export const writes = String.raw`
local HSET, ZADD, HDEL, ZREM = {}, {}, {}, {}

local function listOf(command, key)
  local list = command[key]
  if not list then
    list = { size = 0 }
    command[key] = list
  end
  return list
end

local function write(command, key, first, second)
  local list = listOf(command, key)
  local size = list.size + 1
  list[size] = first
  if second then
    size = size + 1
    list[size] = second
  end
  list.size = size
end

local function flush(name, command)
  for key, list in pairs(command) do
    for from = 1, list.size, CHUNK do
      redis.call(name, key, unpack(list, from, math.min(from + CHUNK - 1, list.size)))
    end
    command[key] = nil
  end
end

local function flushAll()
  flush('HSET', HSET)
  flush('ZADD', ZADD)
  flush('HDEL', HDEL)
  flush('ZREM', ZREM)
end

local function later(millis)
  return math.min(now + millis, END_OF_TIME)
end

-- What the script has done, for 'commit': the queues whose tasks have changed, and so on.
local changed, revised, wake = {}, false, nil

-- Lets waiting processes look for work again after so many milliseconds at the latest.
local function wakeIn(millis)
  if not wake or millis < wake then wake = millis end
end

local function publish(message)
  -- Not worth failing for: everything is written, and waiting processes look on their own from time to time.
  redis.pcall('PUBLISH', CHANNEL, SENDER .. ' ' .. message)
end

-- How many more tasks have the ends of leases that 'leaseMember' names.
local leaseChanges = {}
local function countLease(member, change)
  leaseChanges[member] = (leaseChanges[member] or 0) + change
end

local function saveLeases()
  for member, change in pairs(leaseChanges) do
    if change ~= 0 then
      local count = redis.call('HINCRBY', LEASE_COUNTS, member, change)
      if count <= 0 then
        write(HDEL, LEASE_COUNTS, member)
        write(ZREM, LEASES, member)
      elseif count == change then
        write(ZADD, LEASES, '0', member)
      end
    end
  end
end

-- Sends the writes, and notifies other processes.
local function commit()
  saveLeases()
  flushAll()
  if not schema and (revised or next(changed)) then redis.call('HSET', META, 'schema', SCHEMA) end
  if revised then
    redis.call('HINCRBY', META, 'revision', 1)
    publish('control')
  end
  for name in pairs(changed) do
    if wake ~= 0 and isDrained(prefixOf(name)) then wakeIn(0) end
  end
  if wake and wake < NOTIFIED_MILLIS then publish('work ' .. text(wake)) end
end
`

/** The executions in the ledger. */
export const previousExecutions = String.raw`
local function executionOf(row)
  return match(row, '^[^\n]*\n([^\n]*)')
end
`

/** Changes of the attempt under way. Uses `tasks`, `writes` and `places`. */
export const attempts = String.raw`
local function printAttempt(attempt)
  local length, updated = attempt.leaseEnd - attempt.updated, attempt.updated
  local lease = length < 0 and attempt.leaseEnd or '+' .. text(length)
  local started = attempt.started == updated and '=' or attempt.started
  return concat({ lease, started, updated, attempt.saved and '1' or '0', attempt.call, attempt.owner }, ' ')
end

-- Gives a task in progress a new end of its lease, the number of the call that was told so, and when it started.
local renewals = {}
local function renew(task, leaseEnd, call, started)
  local attempt = task[Attempt]
  local renewal = renewals[attempt]
  -- Tasks that were claimed together have the same attempt before and after.
  if not renewal or renewal.queue ~= task[Queue] or renewal.attempt.started ~= started then
    local renewed = {
      leaseEnd = leaseEnd, started = started, updated = attempt.updated, saved = attempt.saved, call = call,
      owner = attempt.owner
    }
    renewal = { attempt = renewed, line = printAttempt(renewed), queue = task[Queue], former = leaseMember(task) }
    task[Attempt] = renewed
    renewal.member = leaseMember(task)
    renewals[attempt] = renewal
  end
  task[Attempt] = renewal.attempt
  write(HSET, RUNNING, task[Id], renewal.line)
  countLease(renewal.former, -1)
  countLease(renewal.member, 1)
end
`

/** Saving a changed task. Uses `tasks` and `writes`. */
export const saving = String.raw`
local function save(task)
  changed[task[Queue]] = true
  local line = print(task)
  if task[Attempt] then
    -- The line is as it was before the claim.
    local before = { unpack(task, 1, Previous) }
    before[Attempts], before[Token], before[Status] = task[Attempts] - 1, task[Token] - 1, 'pending'
    line = print(before)
  elseif task.row and task[Status] == 'completed' then
    line = line .. '\n' .. task.row
  elseif task.row then
    write(HSET, ATTEMPTS, task[Rows] .. ' ' .. task[Id], task.row)
    task.row = nil
  end
  write(HSET, TASKS, task[Id], line)
end
`

/** Changes of status. Uses `saving` and `places`. */
export const moving = String.raw`
-- Gives a task another status, once all else of it has changed.
local function move(task, status)
  if INDEX[task[Status]] then write(ZREM, INDEX[task[Status]], statusMember(task)) end
  write(ZADD, INDEX[status], '0', statusMember(task))
  task[Status] = status
  task[Updated] = nowText
  save(task)
end
`

/** Tasks whose values cannot be read. Uses `tasks`, `writes`, `members`, `keys` and `usage`. */
export const damage = String.raw`
-- Counts again how many tasks of each key of a queue are in progress: which key a task has that cannot be read is not known.
local function recountKeys(prefix)
  local counts = {}
  for _, line in ipairs(mget(TASKS, redis.call('HKEYS', RUNNING))) do
    local task = line and match(line, LINE) and parse('', line)
    local key = task and prefixOf(task[Queue]) == prefix and keyOf(task)
    if key then counts[key] = (counts[key] or 0) + 1 end
  end
  for _, field in ipairs(redis.call('HKEYS', KEY_STATES)) do
    if sub(field, 1, #prefix) == prefix then
      local key = sub(field, #prefix + 1)
      local state = keyState(prefix, key)
      state.running = counts[key] or 0
      if next(state.turns) then wakeIn(0) end
    end
  end
end

-- Ends the lease of a task that cannot be read, and fails it under a token greater than all that it can have had.
local function setAside(prefix, queue, id)
  local line = redis.call('HGET', TASKS, id) or ''
  local seq = match(line, '^(%d+) ')
  if not seq or #seq ~= WORD then seq = seqText(redis.call('HINCRBY', META, 'seq', 1)) end
  local words = { seq, '0', nowText, '0', '0', nowText, '0', nowText, '0', '0', 'failed', nowText, '-', queue, '0' }
  write(HSET, TASKS, id, concat(words, ' '))
  local inputs = redis.call('HGET', INPUTS, id)
  if not inputs or not match(inputs, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n') then
    write(HSET, INPUTS, id, '\n\n\n\nThe text of this task was damaged.')
  end
  write(HSET, FEEDBACK, id, 'The values of this task were damaged and cannot be read: restore a backup, or delete the task.')
  write(ZADD, FAILED, '0', prefix .. seq .. id)
  write(ZREM, PENDING, prefix .. seq .. id)
  local leaseEnd = leaseEndOf(redis.call('HGET', RUNNING, id) or '')
  if leaseEnd then countLease(prefix .. sortable(tonumber(leaseEnd)), -1) end
  redis.call('HDEL', RUNNING, id)
  usages.meter(queue, redis.call('HGET', USAGE, id), -1)
  write(HDEL, USAGE, id)
  write(HDEL, CHECKPOINTS, id)
  changed[queue] = true
  recountKeys(prefix)
end
`

/** Rows of the ledger. Uses `tasks` and `writes`. */
export const rows = String.raw`
-- The texts before and after the result in the ledger's row of the attempt under way. The owner and the error can have line
-- breaks, so the row contains the length of the owner.
local function rowAround(task, outcome)
  local attempt = task[Attempt]
  local started = attempt.started == '-' and nowText or attempt.started
  local numbers = { task[Attempts], task[Token], started, nowText, outcome, #attempt.owner }
  return concat(numbers, ' ') .. '\n', '\n' .. attempt.owner
end

-- The results of attempts that end without one: the execution that they have checkpointed, and its usage. 'ids' are the
-- tasks that have checkpointed.
local function checkpointed(ids)
  local saved = {}
  for index, checkpoint in ipairs(mget(CHECKPOINTS, ids)) do saved[ids[index]] = checkpoint or nil end
  return function(id, usage)
    local checkpoint = saved[id] or ''
    local execution, executionUsage = match(checkpoint, '^([^\n]*)\n(.*)$')
    return (execution or checkpoint) .. '\n\n' .. (usage or executionUsage or '')
  end
end
`

/** Ends of attempts. Uses `rows`, `places` and `keys`. */
export const endings = String.raw`
-- Writes the ledger's row of the attempt under way, and ends its lease. 'result' is execution, verification and usage, a
-- line each.
local function endAttempt(task, outcome, failure, result)
  local before, after = rowAround(task, outcome)
  local rows = task[Rows] + 1
  write(HSET, ATTEMPTS, rows .. ' ' .. task[Id], before .. result .. after .. (failure and '\n' .. failure or ''))
  write(HDEL, RUNNING, task[Id])
  countLease(leaseMember(task), -1)
  local key = keyOf(task)
  if key then freeKey(queueOf(task), key) end
  task[Rows] = rows
  task[Attempt] = nil
  if not hasHadAttempt(task) then task[Previous] = '0' end
end

local function checkpointedBy(list)
  local ids = {}
  for _, task in ipairs(list) do
    if task[Attempt].saved then ids[#ids + 1] = task[Id] end
  end
  return checkpointed(ids)
end
`

/** Dependencies between tasks. Uses `members`. */
export const edges = String.raw`
local function edge(from, to)
  return prefixOf(from) .. to
end

-- The other ends of all edges that start with this id.
local function edges(key, from)
  local prefix = prefixOf(from)
  local found = membersOf(key, prefix)
  for index, member in ipairs(found) do found[index] = sub(member, #prefix + 1) end
  return found
end
`

/** Tasks that have to wait for others. Uses `edges`. */
export const blocking = String.raw`
local function isCompleted(id)
  return tasks[id] ~= nil and tasks[id][Status] == 'completed'
end

local function block(task, dependency)
  task[Blockers] = task[Blockers] + 1
  write(ZADD, DEPENDANTS, '0', edge(dependency, task[Id]))
  write(ZADD, DEPENDENCIES, '0', edge(task[Id], dependency))
end
`

/** Freeing tasks that wait for others. Uses `edges`, `queue` and `saving`. */
export const unblocking = String.raw`
-- Frees the tasks that wait for these.
local function unblock(completed)
  if #completed == 0 or redis.call('ZCARD', DEPENDANTS) == 0 then return end
  -- A dependant can be a task that this script has changed.
  flushAll()
  for _, id in ipairs(completed) do
    local dependants = edges(DEPENDANTS, id)
    load(dependants)
    for _, dependant in ipairs(dependants) do
      write(ZREM, DEPENDANTS, edge(id, dependant))
      write(ZREM, DEPENDENCIES, edge(dependant, id))
      local task = tasks[dependant]
      if task then
        task[Blockers] = task[Blockers] - 1
        save(task)
        if task[Blockers] == 0 and task[Status] == 'pending' then enqueue(task) end
      end
    end
  end
end
`

/** What scripts do that write under leases. Uses `tasks`. */
export const leases = String.raw`
local function isLeased(task, token)
  return task ~= nil and task[Attempt] ~= nil and task[Token] == tonumber(token)
end

local lost = {}
local function lose(index, task, outcome)
  lost[#lost + 1] = index - 1
  lost[#lost + 1] = task and task[Status] or false
  lost[#lost + 1] = outcome or false
end
`
