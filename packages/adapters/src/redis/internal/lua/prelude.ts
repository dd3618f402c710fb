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
  DEPENDANTS, DEPENDENCIES, PENDING, COMPLETED, FAILED, CANCELLED = unpack(KEYS)
-- By 'seq'. What is in progress is in 'leases'.
local INDEX = { pending = PENDING, completed = COMPLETED, failed = FAILED, cancelled = CANCELLED }
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

local HSET, ZADD, HDEL, ZREM = {}, {}, {}, {}

local function write(command, key, first, second)
  local list = command[key]
  if not list then
    list = { size = 0 }
    command[key] = list
  end
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

-- Most lists use some of the hashes not at all.
local used = {}
local function remove(key, field)
  if used[key] == nil then used[key] = redis.call('EXISTS', key) == 1 end
  if used[key] then write(HDEL, key, field) end
end

-- A task: its id, and the words of the line that is kept of it, which is everything that changes and fits in a word. A
-- table with names for keys would take four times the room. The owner comes last, because he can have spaces.
local Id, Seq, Blockers, Priority, Created, Updated, Available, Status, Attempts, Token, Requeues, Verified, Output,
  Saved, Started, Call, Owner = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
-- A set of characters is matched twice as fast as a class.
local LINE = '^([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+)'
  .. ' ([^ ]+) ([^ ]+) ([^ ]+) (.*)$'

local function parse(id, line)
  local task = { id, match(line, LINE) }
  if not task[Owner] then error('BATONVALUE') end
  return task
end

local function print(task)
  return concat(task, ' ', Seq)
end

-- The tasks that this script looked at, as they will be after it.
local tasks = {}
local changed = false

local function load(ids)
  local lines = mget(TASKS, ids)
  for index, id in ipairs(ids) do
    if lines[index] and not tasks[id] then tasks[id] = parse(id, lines[index]) end
  end
end

local function save(task)
  changed = true
  write(HSET, TASKS, task[Id], print(task))
end

-- A number as text of 15 characters whose order is that of the numbers.
local function sortable(number)
  if number < 0 then return '0' .. format('%014x', number + 9007199254740992) end
  return '1' .. format('%014x', number)
end
local PLACE = 45

-- A task's member of 'ready', which is ordered by its text alone: higher priority, longer available, added earlier.
-- Tasks that come together often have the first two in common.
local lastPriority, lastAvailable, lastPlace
local function place(task)
  if task[Priority] ~= lastPriority or task[Available] ~= lastAvailable then
    lastPriority, lastAvailable = task[Priority], task[Available]
    lastPlace = sortable(-lastPriority) .. sortable(tonumber(lastAvailable))
  end
  return lastPlace .. sortable(tonumber(task[Seq])) .. task[Id]
end

local wake
local waiting = 0
local revised = false

-- Whoever waits for work looks again after so many milliseconds at the latest.
local function wakeIn(millis)
  if not wake or millis < wake then wake = millis end
end

local function enqueue(task)
  local available = tonumber(task[Available])
  if available <= now then
    write(ZADD, READY, '0', place(task))
    wakeIn(0)
  else
    write(ZADD, DELAYED, task[Available], place(task))
    wakeIn(available - now)
  end
end

-- Call it for a task that has just become pending.
local function lineUp(task)
  if tonumber(task[Blockers]) == 0 then enqueue(task) else waiting = waiting + 1 end
end

local function dequeue(task)
  write(ZREM, READY, place(task))
  write(ZREM, DELAYED, place(task))
end

-- Call it when all else of the task is changed.
local function move(task, status)
  if INDEX[task[Status]] then write(ZREM, INDEX[task[Status]], task[Id]) end
  if INDEX[status] then write(ZADD, INDEX[status], task[Seq], task[Id]) end
  task[Status] = status
  task[Updated] = today
  save(task)
end

local function isHeld(task, token)
  return task ~= nil and task[Status] == 'in_progress' and task[Token] == token
end

-- Writes the ledger's row of the attempt that ends here, and ends its lease; call it before the task changes.
local function endAttempt(task, outcome, reason, outturn, mark)
  write(HSET, ATTEMPTS, task[Token] .. ' ' .. task[Id],
    task[Attempts] .. ' ' .. task[Started] .. ' ' .. today .. ' ' .. outcome .. ' ' .. (mark or '-') .. '\n'
      .. task[Owner] .. '\n' .. reason .. '\n' .. outturn)
  write(ZREM, LEASES, task[Id])
end

-- Of attempts that nobody verified, what they had made durable is what is known. '@': the usage is the execution's own.
local function unverified(list)
  local saving = {}
  for _, task in ipairs(list) do
    if task[Saved] == task[Token] then saving[#saving + 1] = task[Id] end
  end
  local saved = {}
  for index, execution in ipairs(mget(CHECKPOINTS, saving)) do
    if execution then saved[saving[index]] = execution end
  end
  return function(task, usage)
    local execution = saved[task[Id]]
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

local function isCompleted(id)
  return tasks[id] ~= nil and tasks[id][Status] == 'completed'
end

local function block(task, dependency)
  task[Blockers] = task[Blockers] + 1
  write(ZADD, DEPENDANTS, '0', edge(dependency, task[Id]))
  write(ZADD, DEPENDENCIES, '0', edge(task[Id], dependency))
end

-- Lets those go on that waited for these tasks.
local function unblock(completed)
  if #completed == 0 or redis.call('ZCARD', DEPENDANTS) == 0 then return end
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
        if task[Blockers] == 0 and task[Status] == 'pending' then
          waiting = waiting - 1
          enqueue(task)
        end
      end
    end
  end
end

-- Nothing is running, and nothing will become claimable by itself.
local function isDrained()
  return redis.call('ZCARD', LEASES) == 0
    and redis.call('ZCARD', PENDING) == tonumber(redis.call('HGET', META, 'waiting') or 0)
end

local function publish(message)
  -- Not worth failing for: all is written, and whoever waits looks from time to time.
  redis.pcall('PUBLISH', CHANNEL, SENDER .. ' ' .. message)
end

-- Makes it so, tells others, and returns in how many milliseconds to look for work; -1 for nothing new.
local function commit()
  flush('HSET', HSET)
  flush('ZADD', ZADD)
  flush('HDEL', HDEL)
  flush('ZREM', ZREM)
  if waiting ~= 0 then redis.call('HINCRBY', META, 'waiting', waiting) end
  if revised then
    redis.call('HINCRBY', META, 'revision', 1)
    publish('control')
  end
  if changed and isDrained() then wakeIn(0) end
  if not wake then return -1 end
  publish('work ' .. text(wake))
  return wake
end
`
