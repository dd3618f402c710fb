import { createHash } from "node:crypto"

/** The layout of the keys. A store with another number is refused. */
export const schemaVersion = "2"

/**
 * The keys of a store. Every script gets all of them, in this order, and names them in capitals.
 *
 * - `meta`: schema version, control state, the last `seq`, how many pending tasks wait for others, the token floor
 * - hashes with a field per task: `tasks` (what changes, see `parse`), `inputs` (what does not), `running` (the attempt of
 *   a task in progress), `feedback`, `usage`, `checkpoints`
 * - `attempts`: the ledger, with a field `<n> <id>` for the nth attempt of a task that ended
 * - sorted sets: `ready` in the order of claiming; `delayed` by `availableAt`; `leases` by their end; `dependants` and
 *   `dependencies`, who waits for whom, both ways; one for each status but `in_progress`, by `seq`
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
  "delayed",
  "leases",
  "dependants",
  "dependencies",
  "pending",
  "completed",
  "failed",
  "cancelled"
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

export const script = (body: string): Script => {
  const text = `${prelude}\n${body}`
  return { text, hash: createHash("sha1").update(text).digest("hex") }
}

/**
 * The beginning of every script. The arguments of all scripts start with the schema version, the channel and the sender.
 *
 * A script collects its writes and sends them at the end, in few commands with many members, because each command costs a
 * microsecond. Redis undoes nothing when a script fails, so whatever can be refused (out of memory, read-only, no replicas)
 * has to be refused at the first write.
 *
 * Texts and JSON documents are opaque here; documents contain no line breaks.
 */
const prelude = String.raw`
local ${keyNames.map((name) => name.toUpperCase()).join(", ")} = unpack(KEYS)
-- Tasks by 'seq'; those in progress are in 'leases'.
local INDEX = { pending = PENDING, completed = COMPLETED, failed = FAILED, cancelled = CANCELLED }
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
if schema ~= SCHEMA and (schema or redis.call('EXISTS', unpack(KEYS)) > 0) then
  return redis.error_reply('BATONSCHEMA ' .. (schema or 'none'))
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Lua itself rounds numbers of more than 14 digits.
local function text(number)
  return format('%.0f', number)
end
local nowText = text(now)

local function later(millis)
  return math.min(now + millis, END_OF_TIME)
end

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

-- A task is a table of the words of its line, with its id before them and the attempt under way behind them.
--   Blockers: the number of dependencies that have yet to complete
--   Rows: the number of attempts that ended
--   Previous: the row of the last attempt that was rejected, 0 if it has no execution; '-' before the first attempt
-- A claim does not change the line, and writes an attempt; both together are what 'load' makes of a task in progress.
local Id, Seq, Priority, Created, Requeues, Blockers, Available, Attempts, Token, Rows, Verified, Status, Updated,
  Previous, Attempt = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
-- A set of characters is matched twice as fast as a class.
local LINE = '^([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+)$'

local function unreadable()
  error('BATONVALUE')
end

local function parse(id, line)
  local task = { id, match(line, LINE) }
  if not task[Previous] then unreadable() end
  return task
end

local function print(task)
  return concat(task, ' ', Seq, Previous)
end

-- Tasks that were claimed together have the same text.
local attempts = {}
local function parseAttempt(line)
  local attempt = attempts[line]
  if not attempt then
    local started, updated, saved, call, owner = match(line, '^([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) (.*)$')
    if not owner then unreadable() end
    attempt = { started = started, updated = updated, saved = saved == '1', call = call, owner = owner }
    attempts[line] = attempt
  end
  return attempt
end

local function printAttempt(attempt)
  return concat({ attempt.started, attempt.updated, attempt.saved and '1' or '0', attempt.call, attempt.owner }, ' ')
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
local changed = false

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

local function save(task)
  changed = true
  local line = print(task)
  if task[Attempt] then
    local before = { unpack(task, 1, Previous) }
    before[Attempts], before[Token], before[Status] = task[Attempts] - 1, task[Token] - 1, 'pending'
    line = print(before)
  end
  write(HSET, TASKS, task[Id], line)
end

-- A number as text of 15 characters that sorts like the number.
local function sortable(number)
  if number < 0 then return '0' .. format('%014x', number + 9007199254740992) end
  return '1' .. format('%014x', number)
end

local function seqText(number)
  return format('%015.0f', number)
end

-- The length of the part before the id in a member of 'ready'.
local PLACE = 45

-- A task's member of 'ready', which is ordered by its text: higher priority first, then longer available, then added
-- earlier. Tasks that were added together often have the first two in common.
local lastPriority, lastAvailable, lastPlace
local function place(task)
  if task[Priority] ~= lastPriority or task[Available] ~= lastAvailable then
    lastPriority, lastAvailable = task[Priority], task[Available]
    lastPlace = sortable(-lastPriority) .. sortable(tonumber(lastAvailable))
  end
  return lastPlace .. task[Seq] .. task[Id]
end

local wake
local waiting = 0
local revised = false

-- Lets waiting processes look for work again after so many milliseconds at the latest.
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

-- Lines up a task that has just become pending.
local function lineUp(task)
  if tonumber(task[Blockers]) == 0 then enqueue(task) else waiting = waiting + 1 end
end

local function dequeue(task)
  write(ZREM, READY, place(task))
  write(ZREM, DELAYED, place(task))
end

-- Gives a task another status, once all else of it has changed.
local function move(task, status)
  if INDEX[task[Status]] then write(ZREM, INDEX[task[Status]], task[Id]) end
  write(ZADD, INDEX[status], task[Seq], task[Id])
  task[Status] = status
  task[Updated] = nowText
  save(task)
end

-- Writes the ledger's row of the attempt under way, and ends its lease. 'result' is execution, verification and usage, a
-- line each. The owner and the error can have line breaks, so the row says how long the owner is.
local function endAttempt(task, outcome, failure, result)
  local attempt = task[Attempt]
  local rows = task[Rows] + 1
  local row = task[Attempts] .. ' ' .. task[Token] .. ' ' .. attempt.started .. ' ' .. nowText .. ' ' .. outcome .. ' '
    .. #attempt.owner .. '\n' .. result .. '\n' .. attempt.owner
  if failure then row = row .. '\n' .. failure end
  write(HSET, ATTEMPTS, rows .. ' ' .. task[Id], row)
  write(HDEL, RUNNING, task[Id])
  write(ZREM, LEASES, task[Id])
  task[Rows] = rows
  task[Attempt] = nil
  if task[Previous] == '-' then task[Previous] = '0' end
end

local function executionOf(row)
  return match(row, '^[^\n]*\n([^\n]*)')
end

-- The results of attempts that end without one: the execution that they have checkpointed, and its usage.
local function unverified(list)
  local saving = {}
  for _, task in ipairs(list) do
    if task[Attempt].saved then saving[#saving + 1] = task[Id] end
  end
  local saved = {}
  for index, checkpoint in ipairs(mget(CHECKPOINTS, saving)) do saved[saving[index]] = checkpoint or nil end
  return function(task, usage)
    local checkpoint = saved[task[Id]] or ''
    local execution, executionUsage = match(checkpoint, '^([^\n]*)\n(.*)$')
    return (execution or checkpoint) .. '\n\n' .. (usage or executionUsage or '')
  end
end

-- Members of 'dependants' and 'dependencies' start with one id; its length distinguishes it from ids with the same beginning.
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

-- Frees the tasks that wait for these.
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

-- No task is in progress, and no pending task becomes claimable by itself.
local function isDrained()
  return redis.call('ZCARD', LEASES) == 0
    and redis.call('ZCARD', PENDING) == tonumber(redis.call('HGET', META, 'waiting') or 0)
end

-- Ids in the order of adding, of one status or of all, and the 'seq' of the last one if there may be more.
local function ranked(status, after, limit)
  local found = {}
  for name, key in pairs(INDEX) do
    if status == '' or status == name then
      local part = redis.call('ZRANGEBYSCORE', key, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
      for index = 1, #part, 2 do found[#found + 1] = { id = part[index], seq = tonumber(part[index + 1]) } end
    end
  end
  if status == '' or status == 'in_progress' then
    -- There are only as many as workers hold.
    local leased = redis.call('ZRANGE', LEASES, 0, -1)
    load(leased)
    for _, id in ipairs(leased) do
      local seq = tasks[id] and tonumber(tasks[id][Seq])
      if seq and seq > tonumber(after) then found[#found + 1] = { id = id, seq = seq } end
    end
  end
  table.sort(found, function(left, right) return left.seq < right.seq end)
  local ids = {}
  for index = 1, math.min(limit, #found) do ids[index] = found[index].id end
  return ids, #ids == limit and text(found[limit].seq) or false
end

local function publish(message)
  -- Not worth failing for: everything is written, and waiting processes look on their own from time to time.
  redis.pcall('PUBLISH', CHANNEL, SENDER .. ' ' .. message)
end

-- Sends the writes, and notifies other processes.
local function commit()
  flush('HSET', HSET)
  flush('ZADD', ZADD)
  flush('HDEL', HDEL)
  flush('ZREM', ZREM)
  if not schema and (changed or revised) then redis.call('HSET', META, 'schema', SCHEMA) end
  if waiting ~= 0 then redis.call('HINCRBY', META, 'waiting', waiting) end
  if revised then
    redis.call('HINCRBY', META, 'revision', 1)
    publish('control')
  end
  if changed and isDrained() then wakeIn(0) end
  if wake and wake < NOTIFIED_MILLIS then publish('work ' .. text(wake)) end
end
`
