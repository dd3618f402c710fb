/** The layout of the keys; a store that says another number is refused. */
export const schemaVersion = "1"

/**
 * What every script starts with. A script gets all keys of the store, whatever it needs of them, and these arguments first:
 * the schema version, the channel, and who calls.
 *
 * It collects its writes and sends them at the end, in few commands with many members: a command costs a microsecond
 * however little it does. Redis undoes nothing when a script fails, so all that can be refused (out of memory, read-only,
 * no replicas) is refused at the first write.
 *
 * What users write (texts, JSON) is opaque here; only ids, numbers and the line breaks that no JSON has are looked at.
 */
export const prelude = String.raw`
local META, TASKS, INPUTS, ATTEMPTS, FEEDBACK, USAGE, CHECKPOINTS, READY, DELAYED, LEASES,
  DEPENDANTS, DEPENDENCIES, PENDING, IN_PROGRESS, COMPLETED, FAILED, CANCELLED = unpack(KEYS)
local INDEX = {
  pending = PENDING, in_progress = IN_PROGRESS, completed = COMPLETED, failed = FAILED, cancelled = CANCELLED
}
local CHANNEL, SENDER = ARGV[2], ARGV[3]
local ARGUMENTS = 4
-- unpack() puts its results on a stack of 8 000.
local CHUNK = 4000
local END_OF_TIME = 8.64e15
local format, concat, find, sub, match = string.format, table.concat, string.find, string.sub, string.match

local schema = redis.call('HGET', META, 'schema')
if schema ~= ARGV[1] and (schema or redis.call('EXISTS', unpack(KEYS)) > 0) then
  return redis.error_reply('BATONSCHEMA ' .. (schema or 'none'))
end

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- Lua itself would round what has more than 14 digits.
local function text(number)
  return format('%.0f', number)
end
local today = text(now)

local function later(millis)
  return math.min(now + millis, END_OF_TIME)
end

-- The values of many fields, in their order; false for one that is not there.
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

local writes = { HSET = {}, ZADD = {}, HDEL = {}, ZREM = {} }

local function write(command, key, first, second)
  local list = writes[command][key]
  if not list then
    list = {}
    writes[command][key] = list
  end
  list[#list + 1] = first
  if second ~= nil then list[#list + 1] = second end
end

local function flush(command)
  for key, list in pairs(writes[command]) do
    for from = 1, #list, CHUNK do
      redis.call(command, key, unpack(list, from, math.min(from + CHUNK - 1, #list)))
    end
  end
end

-- One line: everything of a task that changes, and fits in one.
local STATE = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$'

local function parse(id, state)
  local task = { id = id, state = state }
  task.seq, task.blockers, task.priority, task.created, task.updated, task.available, task.status, task.attempts,
    task.token, task.requeues, task.verified, task.output, task.saved, task.started, task.owner = match(state, STATE)
  return task
end

local function line(task)
  return concat({
    task.seq, task.blockers, task.priority, task.created, task.updated, task.available, task.status, task.attempts,
    task.token, task.requeues, task.verified, task.output, task.saved, task.started, task.owner
  }, ' ')
end

-- The tasks that this script looked at, as they will be after it.
local tasks = {}
local changed = {}

local function load(ids)
  local states = mget(TASKS, ids)
  for index, id in ipairs(ids) do
    if states[index] and not tasks[id] then tasks[id] = parse(id, states[index]) end
  end
end

-- A number as text of 15 characters whose order is that of the numbers.
local function sortable(number)
  if number < 0 then return '0' .. format('%014x', number + 9007199254740992) end
  return '1' .. format('%014x', number)
end
local PLACE = 45

-- A task's member of 'ready', which is ordered by its text alone: higher priority, longer available, added earlier.
local function place(task)
  return sortable(-task.priority) .. sortable(tonumber(task.available)) .. sortable(tonumber(task.seq)) .. task.id
end

local wake
local waiting = 0
local revised = false

-- Whoever waits for work looks again after so many milliseconds at the latest.
local function wakeIn(millis)
  if not wake or millis < wake then wake = millis end
end

local function enqueue(task)
  local available = tonumber(task.available)
  if available <= now then
    write('ZADD', READY, 0, place(task))
    wakeIn(0)
  else
    write('ZADD', DELAYED, task.available, place(task))
    wakeIn(available - now)
  end
end

-- Call it for a task that has just become pending.
local function lineUp(task)
  if tonumber(task.blockers) == 0 then enqueue(task) else waiting = waiting + 1 end
end

local function dequeue(task)
  write('ZREM', READY, place(task))
  write('ZREM', DELAYED, place(task))
end

local function move(task, status)
  write('ZREM', INDEX[task.status], task.id)
  write('ZADD', INDEX[status], task.seq, task.id)
  task.status = status
  task.updated = today
  changed[task.id] = task
end

local function isHeld(task, token)
  return task ~= nil and task.status == 'in_progress' and task.token == token
end

-- Writes the ledger's row of the attempt that ends here; call it before the task changes.
local function endAttempt(task, outcome, reason, outturn, marker)
  write('HSET', ATTEMPTS, task.token .. ' ' .. task.id, concat({
    concat({ task.attempts, task.started, today, outcome, marker or '-' }, ' '), task.owner, reason, outturn
  }, '\n'))
  write('ZREM', LEASES, task.id)
end

-- Of attempts that nobody verified, what they had made durable is what is known. '@': the usage is the execution's own.
local function unverified(list)
  local saving = {}
  for _, task in ipairs(list) do
    if task.saved == task.token then saving[#saving + 1] = task.id end
  end
  local saved = {}
  for index, execution in ipairs(mget(CHECKPOINTS, saving)) do
    if execution then saved[saving[index]] = execution end
  end
  return function(task, usage)
    local execution = saved[task.id]
    return concat({ execution or 'null', 'null', usage or (execution and '@' or 'null') }, '\n')
  end
end

-- Members of 'dependants' and 'dependencies' start with one id, told from those it begins like by its length.
local function edge(from, to)
  return #from .. ':' .. from .. ':' .. to
end

-- The other ends of all edges that start with this id.
local function edges(key, from)
  local prefix = edge(from, '')
  local found = redis.call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. sub(prefix, 1, -2) .. ';')
  for index, member in ipairs(found) do found[index] = sub(member, #prefix + 1) end
  return found
end

local function block(task, dependency)
  write('ZADD', DEPENDANTS, 0, edge(dependency, task.id))
  write('ZADD', DEPENDENCIES, 0, edge(task.id, dependency))
end

-- Lets those go on that waited for these tasks.
local function unblock(completed)
  if #completed == 0 or redis.call('ZCARD', DEPENDANTS) == 0 then return end
  for _, id in ipairs(completed) do
    local dependants = edges(DEPENDANTS, id)
    load(dependants)
    for _, dependant in ipairs(dependants) do
      write('ZREM', DEPENDANTS, edge(id, dependant))
      write('ZREM', DEPENDENCIES, edge(dependant, id))
      local task = tasks[dependant]
      if task then
        task.blockers = task.blockers - 1
        changed[dependant] = task
        if task.blockers == 0 and task.status == 'pending' then
          waiting = waiting - 1
          enqueue(task)
        end
      end
    end
  end
end

-- Nothing is running, and nothing will become claimable by itself.
local function isDrained()
  return redis.call('ZCARD', IN_PROGRESS) == 0
    and redis.call('ZCARD', PENDING) == tonumber(redis.call('HGET', META, 'waiting') or 0)
end

local function publish(message)
  -- Not worth failing for: all is written, and whoever waits looks from time to time.
  redis.pcall('PUBLISH', CHANNEL, SENDER .. ' ' .. message)
end

-- Makes it so, tells others, and returns in how many milliseconds to look for work; -1 for nothing new.
local function commit()
  for id, task in pairs(changed) do write('HSET', TASKS, id, line(task)) end
  flush('HSET')
  flush('ZADD')
  flush('HDEL')
  flush('ZREM')
  if waiting ~= 0 then redis.call('HINCRBY', META, 'waiting', waiting) end
  if revised then
    redis.call('HINCRBY', META, 'revision', 1)
    publish('control')
  end
  if next(changed) and isDrained() then wakeIn(0) end
  if not wake then return -1 end
  publish('work ' .. text(wake))
  return wake
end
`
