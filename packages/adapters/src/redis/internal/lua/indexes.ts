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

-- The members of a queue in 'delayed' or 'leases' whose time has come.
local function dueMembers(key, prefix, limit)
  return redis.call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. prefix .. sortable(now + 1), 'LIMIT', 0, limit)
end

-- No task of the queue is in progress, and none of its pending tasks becomes claimable by itself.
local function isDrained(prefix)
  return not (membersOf(LEASES, prefix, 1)[1] or membersOf(READY, prefix, 1)[1] or membersOf(DELAYED, prefix, 1)[1])
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

-- In the order of claiming: higher priority first, then longer available, then added earlier. In 'delayed', the first two
-- are exchanged. Tasks that were added together often have them in common.
local lastQueue, lastPriority, lastAvailable, readyStart, delayedStart
local function prepare(task)
  if task[Queue] ~= lastQueue or task[Priority] ~= lastPriority or task[Available] ~= lastAvailable then
    lastQueue, lastPriority, lastAvailable = task[Queue], task[Priority], task[Available]
    local priority, available = sortable(-lastPriority), sortable(tonumber(lastAvailable))
    readyStart, delayedStart = queueOf(task) .. priority .. available, queueOf(task) .. available .. priority
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

local function statusMember(task)
  return queueOf(task) .. task[Seq] .. task[Id]
end

local function leaseMember(task)
  return queueOf(task) .. sortable(tonumber(task[Attempt].leaseEnd)) .. task[Id]
end
`

/** The tasks that wait to be claimed. Uses `writes` and `places`. */
export const queue = String.raw`
local function enqueue(task)
  local available = tonumber(task[Available])
  if available <= now then
    write(ZADD, READY, '0', readyMember(task))
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
-- The tasks in progress; there are only as many as workers hold.
local function leasedIn(queue)
  if queue == '' then return redis.call('HKEYS', RUNNING) end
  local prefix, ids = prefixOf(queue), {}
  for index, member in ipairs(membersOf(LEASES, prefix)) do ids[index] = sub(member, #prefix + WORD + 1) end
  return ids
end

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
    local leased = leasedIn(queue)
    load(leased)
    for _, id in ipairs(leased) do
      local seq = tasks[id] and tonumber(tasks[id][Seq])
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
