/** Functions for the sorted sets that `prelude.ts` describes. A script contains only the parts that it needs. */

/** Parts of a sorted set that belong together. */
export const members = String.raw`
-- The beginning of the members of a queue or an id; its length distinguishes it from names with the same beginning.
local function prefixOf(name)
  return #name .. ':' .. name .. ':'
end

-- The text behind all members with this prefix.
local function behind(prefix)
  return sub(prefix, 1, -2) .. ';'
end

-- The first members with this prefix; all of them without a limit.
local function membersOf(key, prefix, limit)
  return redis.call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. behind(prefix), 'LIMIT', 0, limit or -1)
end

-- The length of a 'seq' and of a sortable number.
local WORD = 15

local function seqText(number)
  return format('%015.0f', number)
end

-- A number as text that sorts like the number.
local function sortable(number)
  if number < 0 then return '0' .. format('%014x', number + 9007199254740992) end
  return '1' .. format('%014x', number)
end

-- The first members of a queue in 'delayed' or 'leases' whose time has come; all of them without a limit.
local function dueMembers(key, prefix, limit)
  return redis.call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. prefix .. sortable(now + 1), 'LIMIT', 0, limit or -1)
end

-- No task of the queue is in progress, and none of its pending tasks becomes claimable by itself.
local function isDrained(prefix)
  for _, key in ipairs({ LEASES, READY, DELAYED, KEYED }) do
    if membersOf(key, prefix, 1)[1] then return false end
  end
  return true
end
`

/** The members of a task. Uses `members` and `tasks`. */
export const places = String.raw`
-- The prefix of a task's queue, made once for each queue.
local prefixes = {}
local function queueOf(task)
  local name = task[Queue]
  local prefix = prefixes[name]
  if not prefix then
    prefix = prefixOf(name)
    prefixes[name] = prefix
  end
  return prefix
end

-- The time in 'ready' and 'keyed' of a task that has had no attempt: behind all others.
local function unstarted(available)
  return (byte(available) - 46) .. sub(available, 2)
end

-- In the order of claiming: higher priority first, then tasks that have had an attempt, then longer available, then added
-- earlier. In 'delayed', the time comes before the priority. Tasks that were added together often have them in common.
local lastQueue, lastPriority, lastAvailable, lastPrevious, queueStart, level, readyTime, readyStart, delayedStart
local function prepare(task)
  if task[Queue] ~= lastQueue or task[Priority] ~= lastPriority or task[Available] ~= lastAvailable
    or task[Previous] ~= lastPrevious then
    lastQueue, lastPriority, lastAvailable, lastPrevious = task[Queue], task[Priority], task[Available], task[Previous]
    queueStart, level = queueOf(task), sortable(-lastPriority)
    local available = sortable(tonumber(lastAvailable))
    readyTime = hasHadAttempt(task) and available or unstarted(available)
    readyStart, delayedStart = queueStart .. level .. readyTime, queueStart .. available .. level
  end
end

local function readyMember(task)
  prepare(task)
  return readyStart .. task[Seq] .. task[Id]
end

local function delayedMember(task)
  prepare(task)
  return delayedStart .. task[Seq] .. task[Id]
end

-- The member of a task with a concurrency key: before 'level', that of its key.
local function keyedMember(task, key)
  prepare(task)
  return queueStart .. prefixOf(key) .. level .. readyTime .. task[Seq] .. task[Id]
end

local function statusMember(task)
  return queueOf(task) .. task[Seq] .. task[Id]
end

local function leaseMember(task)
  return queueOf(task) .. sortable(tonumber(task[Attempt].leaseEnd))
end
`

/**
 * Concurrency keys. Uses `writes`, `members` and `places`; scripts with it call `saveKeys` before `commit`.
 *
 * A member of `turns` is the queue, the priority, the number of the key's tasks in progress, the turn, and the key: a claim
 * finds the keys that are not busy without looking at the others.
 */
export const keys = String.raw`
-- The digits of a number of tasks in progress.
local COUNT = 6
local function countText(number)
  return format('%06.0f', math.min(number, 999999))
end

-- The keys that this script has looked at: the number of tasks in progress, and the turn of each level that has tasks.
local keyStates = {}
local function keyState(prefix, key)
  local field = prefix .. key
  local state = keyStates[field]
  if not state then
    state = { prefix = prefix, key = key, running = 0, turns = {}, former = {}, shrunk = {} }
    local line = redis.call('HGET', KEY_STATES, field)
    if line then
      local running, rest = match(line, '^(%d+)(.*)$')
      state.running = tonumber(running) or unreadable()
      for at, turn in string.gmatch(rest, ' ([^ ]+) ([^ ]+)') do state.turns[at], state.former[at] = turn, turn end
    end
    state.formerRunning = state.running
    keyStates[field] = state
  end
  return state
end

-- The last turn; read once it is needed.
local lastTurn
local function nextTurn()
  lastTurn = (lastTurn or tonumber(redis.call('HGET', META, 'turn') or 0)) + 1
  return seqText(lastTurn)
end

local function turnMember(state, at, running, turn)
  return state.prefix .. at .. countText(running) .. turn .. state.key
end

-- A task waits for its key: the key gets in line.
local function awaitKey(task, key)
  write(ZADD, KEYED, '0', keyedMember(task, key))
  local state = keyState(queueStart, key)
  if not state.turns[level] then state.turns[level] = nextTurn() end
end

-- A task no longer waits for its key.
local function leaveKey(task, key)
  write(ZREM, KEYED, keyedMember(task, key))
  keyState(queueStart, key).shrunk[level] = true
end

local function useKey(prefix, key)
  local state = keyState(prefix, key)
  state.running = state.running + 1
  return state
end

local function freeKey(prefix, key)
  local state = keyState(prefix, key)
  state.running = math.max(0, state.running - 1)
  if next(state.turns) then wakeIn(0) end
end

-- The first members that begin with this text.
local function beginningWith(key, start, limit)
  return redis.call('ZRANGEBYLEX', key, '[' .. start, '(' .. start .. '\255', 'LIMIT', 0, limit)
end

-- Called before 'commit'.
local function saveKeys()
  if not next(keyStates) then return end
  -- Whether a key still has tasks is known once those that left it are gone.
  flushAll()
  if lastTurn then write(HSET, META, 'turn', text(lastTurn)) end
  for field, state in pairs(keyStates) do
    for at in pairs(state.shrunk) do
      if not beginningWith(KEYED, state.prefix .. prefixOf(state.key) .. at, 1)[1] then state.turns[at] = nil end
    end
    local words = { text(state.running) }
    for at, turn in pairs(state.turns) do
      words[#words + 1] = at
      words[#words + 1] = turn
      if state.former[at] ~= turn or state.formerRunning ~= state.running then
        write(ZADD, TURNS, '0', turnMember(state, at, state.running, turn))
      end
    end
    for at, turn in pairs(state.former) do
      if state.turns[at] ~= turn or state.formerRunning ~= state.running then
        write(ZREM, TURNS, turnMember(state, at, state.formerRunning, turn))
      end
    end
    if #words == 1 and state.running == 0 then
      write(HDEL, KEY_STATES, field)
    else
      write(HSET, KEY_STATES, field, concat(words, ' '))
    end
  end
  keyStates = {}
end
`

/** The tasks that wait to be claimed. Uses `writes`, `places` and `keys`. */
export const queue = String.raw`
local function makeReady(task)
  local key = keyOf(task)
  if key then
    awaitKey(task, key)
  else
    write(ZADD, READY, '0', readyMember(task))
  end
end

local function enqueue(task)
  local available = tonumber(task[Available])
  if available <= now then
    makeReady(task)
    wakeIn(0)
  else
    write(ZADD, DELAYED, '0', delayedMember(task))
    wakeIn(available - now)
  end
end

-- Lines up a task that has just become pending.
local function lineUp(task)
  if tonumber(task[Blockers]) == 0 then enqueue(task) end
end
`

/** The names of queues. Uses `members`. */
export const queues = String.raw`
-- The queues that have members, in one step for each.
local function queuesIn(key)
  local names, from = {}, '-'
  while true do
    local member = redis.call('ZRANGEBYLEX', key, from, '+', 'LIMIT', 0, 1)[1]
    if not member then return names end
    local length, rest = match(member, '^(%d+):(.*)$')
    if not length then error('BATONVALUE') end
    local name = sub(rest, 1, length)
    names[#names + 1] = name
    from = '[' .. behind(prefixOf(name))
  end
end
`

/** Tasks by `seq`. Uses `tasks` and `queues`. */
export const ranked = String.raw`
-- Ids in the order of adding, of one status or of all and of one queue or of all, and the 'seq' of the last one if there
-- may be more.
local function ranked(status, queue, after, limit)
  local found, parts = {}, {}
  for name, key in pairs(INDEX) do
    if status == '' or status == name then
      for _, each in ipairs(queue == '' and queuesIn(key) or { queue }) do
        parts[#parts + 1] = { key = key, prefix = prefixOf(each), last = after }
      end
    end
  end
  if status == '' or status == 'in_progress' then
    -- There are only as many as workers hold.
    local leased = redis.call('HKEYS', RUNNING)
    load(leased)
    for _, id in ipairs(leased) do
      local task = tasks[id]
      local seq = task and (queue == '' or task[Queue] == queue) and tonumber(task[Seq])
      if seq and seq > after then found[#found + 1] = { id = id, seq = seq } end
    end
  end
  -- Reads a little of each part, and more of those whose next task may still be among the first 'limit' of all.
  local size, greatest, isComplete = math.ceil(limit / math.max(1, #parts)), math.huge, false
  while not isComplete do
    isComplete = true
    for _, part in ipairs(parts) do
      if part.last < greatest then
        isComplete = false
        local start = #part.prefix + 1
        local read = redis.call('ZRANGEBYLEX', part.key, '[' .. part.prefix .. seqText(part.last + 1),
          '(' .. behind(part.prefix), 'LIMIT', 0, size)
        for _, member in ipairs(read) do
          part.last = tonumber(sub(member, start, start + WORD - 1))
          found[#found + 1] = { id = sub(member, start + WORD), seq = part.last }
        end
        if #read < size then part.last = math.huge end
      end
    end
    table.sort(found, function(left, right) return left.seq < right.seq end)
    for index = #found, limit + 1, -1 do found[index] = nil end
    if #found == limit then greatest = found[limit].seq end
    size = size * 2
  end
  local ids = {}
  for index, each in ipairs(found) do ids[index] = each.id end
  return ids, #ids == limit and text(greatest) or false
end
`
