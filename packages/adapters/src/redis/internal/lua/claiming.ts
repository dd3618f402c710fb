import { keys, members, places, queue } from "./indexes.ts"
import { attempts, damage, previousExecutions, tasks, writes } from "./library.ts"
import { pauses } from "./pauses.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

/**
 * Claims tasks of a queue. Arguments: the queue, limit, owner, lease, the call, how many of the tasks start, how many tasks of
 * a concurrency key may be in progress, and earlier calls that were never answered: if those claimed tasks, it returns these
 * and claims no others. Returns `again` when more has become due than one call
 * moves; else nothing or, each in the order of claiming: when the tasks changed (once if all did at the same time), ids,
 * lines, inputs; and for each task with earlier attempts: its place, feedback, usage, checkpoint, previous execution; and
 * the revision of the pause whose probe the claim is.
 */
export const claim = script(
  [members, tasks, writes, places, keys, queue, attempts, previousExecutions, pauses],
  String.raw`
local prefix, limit, owner = prefixOf(ARGV[FIRST]), tonumber(ARGV[FIRST + 1]), ARGV[FIRST + 2]
local lease, call, starting = tonumber(ARGV[FIRST + 3]), ARGV[FIRST + 4], tonumber(ARGV[FIRST + 5])
local maxPerKey = tonumber(ARGV[FIRST + 6])
local ids = {}
if #ARGV > FIRST + 6 then
  local isUnanswered = {}
  for at = FIRST + 7, #ARGV do isUnanswered[ARGV[at]] = true end
  local running, claimed = redis.call('HGETALL', RUNNING), {}
  for at = 1, #running, 2 do
    local earlierCall, earlierOwner = match(running[at + 1], '^%S+ %S+ %S+ %S+ (%S+) (.*)$')
    if earlierOwner == owner and isUnanswered[earlierCall] then claimed[#claimed + 1] = running[at] end
  end
  load(claimed)
  for _, id in ipairs(claimed) do
    if tasks[id] and tasks[id][Queue] == ARGV[FIRST] then ids[#ids + 1] = id end
  end
  table.sort(ids, function(left, right) return readyMember(tasks[left]) < readyMember(tasks[right]) end)
  for index = limit + 1, #ids do ids[index] = nil end
end
local isNew = #ids == 0
local members = {}
-- Where the second, third and fourth part behind the queue start in members of 'ready' and 'delayed'.
local second, third, fourth = #prefix + WORD + 1, #prefix + 2 * WORD + 1, #prefix + 3 * WORD + 1

-- The pause whose probe this claim is.
local pause = isNew and pauseOf(ARGV[FIRST])
if pause then
  if endOfPause(pause) > now then return {} end
  if pause.cause == 'usage-limit' then limit = 1 else pause = nil end
end

-- The first keys in turn, among those of a level that are not busy.
local function keysInTurn(at, count)
  local start, found, running = prefix .. at, {}, 0
  while running < maxPerKey do
    local part = redis.call('ZRANGEBYLEX', TURNS, '[' .. start .. countText(running), '(' .. start .. countText(maxPerKey),
      'LIMIT', 0, count)
    if not part[1] then break end
    local group = sub(part[1], #start + 1, #start + COUNT)
    for _, member in ipairs(part) do
      if sub(member, #start + 1, #start + COUNT) == group then found[#found + 1] = sub(member, #start + COUNT + 1) end
    end
    running = tonumber(group) + 1
  end
  table.sort(found)
  return found
end

-- Chooses tasks of a queue that has keys in line, one level after another. What is left of a member behind the level is
-- the order within a level, and ends with the id.
local function chooseKeyed()
  local chosen, used, from = {}, 0, ''
  while #chosen < limit do
    local plain = redis.call('ZRANGEBYLEX', READY, '[' .. prefix .. from, '(' .. behind(prefix), 'LIMIT', 0, 1)[1]
    local key = redis.call('ZRANGEBYLEX', TURNS, '[' .. prefix .. from, '(' .. behind(prefix), 'LIMIT', 0, 1)[1]
    if not plain and not key then break end
    local at = sub(plain or key, #prefix + 1, second - 1)
    if key and sub(key, #prefix + 1, second - 1) < at then at = sub(key, #prefix + 1, second - 1) end
    local left = limit - #chosen
    local rounds, most = {}, 0
    -- Keys of which this claim has taken tasks of a higher priority may have no room.
    for _, turn in ipairs(keysInTurn(at, left + used)) do
      if #rounds == left then break end
      local state = keyState(prefix, sub(turn, WORD + 1))
      local room = math.min(maxPerKey - state.running, left)
      if room > 0 then
        local start = prefix .. prefixOf(state.key) .. at
        local found = beginningWith(KEYED, start, room + 1)
        state.waiting = #found
        rounds[#rounds + 1] = { state = state, found = found, start = #start + 1, room = room }
        most = math.max(most, math.min(room, #found))
      end
    end
    local keyed = {}
    for round = 1, most do
      for _, each in ipairs(rounds) do
        local member = each.found[round]
        if member and round <= each.room then
          keyed[#keyed + 1] = { member = member, rest = sub(member, each.start), state = each.state }
        end
      end
    end
    local ready, nextReady = beginningWith(READY, prefix .. at, left), 1
    for index = 1, #ready do ready[index] = { member = ready[index], rest = sub(ready[index], second) } end
    local function take(each)
      if #chosen == limit then return end
      chosen[#chosen + 1] = each
      if not each.state then return end
      used = used + 1
      each.state.running = each.state.running + 1
      each.state.waiting = each.state.waiting - 1
      each.state.turns[at] = each.state.waiting > 0 and nextTurn() or nil
    end
    for _, each in ipairs(keyed) do
      while ready[nextReady] and ready[nextReady].rest < each.rest do
        take(ready[nextReady])
        nextReady = nextReady + 1
      end
      take(each)
    end
    for index = nextReady, #ready do take(ready[index]) end
    from = at .. '\255'
  end
  return chosen
end

local chosen
if isNew then
  -- The order is known once everything that is due is in 'ready' or 'keyed'.
  local due = dueMembers(DELAYED, prefix, CHUNK)
  if #due > 0 then
    local dueIds = {}
    for index, member in ipairs(due) do dueIds[index] = sub(member, fourth) end
    load(dueIds)
    for index, member in ipairs(due) do
      if tasks[dueIds[index]] then makeReady(tasks[dueIds[index]]) end
      write(ZREM, DELAYED, member)
    end
    saveKeys()
    flushAll()
    if #due == CHUNK then return 'again' end
  end
  if membersOf(TURNS, prefix, 1)[1] then
    chosen = chooseKeyed()
    for index = 1, #chosen do ids[index] = sub(chosen[index].rest, 2 * WORD + 1) end
  else
    members = membersOf(READY, prefix, limit)
    for index = 1, #members do ids[index] = sub(members[index], fourth) end
  end
  if #ids == 0 then return {} end
end

local lines = mget(TASKS, ids)
local known, rows = {}, {}
for index = 1, #ids do
  local line = lines[index]
  -- A line that cannot be read is found by the caller, which sets the task aside.
  local previous = line and byte(line, -1) ~= 45 and match(line, '[^ ]+$')
  if previous == 'f' then previous = '0' end
  if tonumber(previous) then
    known[#known + 1] = ids[index]
    rows[#rows + 1] = previous .. ' ' .. ids[index]
  end
end
local earlier = {}
if #known > 0 then
  local places = {}
  for index, id in ipairs(ids) do places[id] = index - 1 end
  local feedback, usage, checkpoints = mget(FEEDBACK, known), mget(USAGE, known), mget(CHECKPOINTS, known)
  local previous = mget(ATTEMPTS, rows)
  for index, id in ipairs(known) do
    local at = index * 5
    earlier[at - 4], earlier[at - 3], earlier[at - 2] = places[id], feedback[index], usage[index]
    earlier[at - 1], earlier[at] = checkpoints[index], previous[index] and executionOf(previous[index])
  end
end

local leaseEnd = text(later(lease))
local times = { nowText }
if isNew then
  local function claimed(started)
    return printAttempt({ leaseEnd = leaseEnd, started = started, updated = nowText, call = call, owner = owner })
  end
  local started, waiting = claimed(nowText), claimed('-')
  local attempts = listOf(HSET, RUNNING)
  for index = 1, #ids do
    attempts[index * 2 - 1], attempts[index * 2] = ids[index], index <= starting and started or waiting
  end
  attempts.size = #ids * 2
  countLease(prefix .. sortable(tonumber(leaseEnd)), #ids)
  if chosen then
    for _, each in ipairs(chosen) do
      write(ZREM, each.state and KEYED or READY, each.member)
      write(ZREM, PENDING, prefix .. sub(each.rest, WORD + 1))
    end
    saveKeys()
  else
    redis.call('ZREMRANGEBYLEX', READY, '[' .. members[1], '[' .. members[#members])
    -- Tasks that were added together are often neighbours in 'pending' too. A range is deleted without a search for each.
    local first = 1
    while first <= #members do
      local start = sub(members[first], 1, third - 1)
      local last, step = first, 1
      while step > 0 do
        local member = members[last + step]
        if member and sub(member, 1, third - 1) == start then
          last, step = last + step, step * 2
        else
          step = math.floor(step / 2)
        end
      end
      local from, to = '[' .. prefix .. sub(members[first], third), '[' .. prefix .. sub(members[last], third)
      if first < last and redis.call('ZLEXCOUNT', PENDING, from, to) == last - first + 1 then
        redis.call('ZREMRANGEBYLEX', PENDING, from, to)
      else
        for index = first, last do write(ZREM, PENDING, prefix .. sub(members[index], third)) end
      end
      first = last + 1
    end
  end
else
  for index, id in ipairs(ids) do
    local task = tasks[id]
    times[index] = task[Attempt].updated
    renew(task, leaseEnd, call, index <= starting and nowText or '-')
  end
end
if pause then
  pause.probe = leaseEnd
  write(HSET, PAUSES, ARGV[FIRST], printPause(pause))
end
-- If this worker dies, others have to look when the leases end.
wakeIn(lease)
local inputs = mget(INPUTS, ids)
commit()
return { times, ids, lines, inputs, earlier, pause and pause.revision or false }
`
)

/** Fails claimed tasks that cannot be read. Arguments: the queue, and each id. */
export const fail = script(
  [members, tasks, writes, places, keys, usage, damage],
  String.raw`
local queue = ARGV[FIRST]
for index = FIRST + 1, #ARGV do
  local id = ARGV[index]
  if redis.call('HEXISTS', RUNNING, id) == 1 then setAside(prefixOf(queue), queue, id) end
end
saveKeys()
usages.save()
commit()
`
)
