/**
 * Claims tasks, or returns `again` when more has become due than one call should move. Arguments: limit, owner, lease, the
 * call's mark, and the marks of earlier calls that were never answered: what those claimed comes first, as it was claimed,
 * and nothing else with it. Returns `all`, or `more` when they claimed more than that, and for each claim: the id; the line of its task; three lines of inputs; what earlier
 * attempts left (feedback, usage, checkpoint and the previous execution, a line each) or nothing.
 */
export const claim = String.raw`
local limit, owner, lease = tonumber(ARGV[ARGUMENTS]), ARGV[ARGUMENTS + 1], tonumber(ARGV[ARGUMENTS + 2])
local mark = ARGV[ARGUMENTS + 3]
local ids = {}
if #ARGV > ARGUMENTS + 3 then
  local unanswered = {}
  for at = ARGUMENTS + 4, #ARGV do unanswered[ARGV[at]] = true end
  local held = redis.call('ZRANGE', LEASES, 0, -1)
  load(held)
  for _, id in ipairs(held) do
    local task = tasks[id]
    if task and task[Owner] == owner and unanswered[task[Call]] then ids[#ids + 1] = id end
  end
  table.sort(ids, function(left, right) return place(tasks[left]) < place(tasks[right]) end)
end
local isMore = #ids > limit
for index = limit + 1, #ids do ids[index] = nil end
local isNew = #ids == 0

if isNew then
  -- All that is due has to be in 'ready' before it can be said what goes first.
  local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', today, 'LIMIT', 0, CHUNK)
  if #due > 0 then
    for _, member in ipairs(due) do
      write(ZADD, READY, '0', member)
      write(ZREM, DELAYED, member)
    end
    flush('ZADD', ZADD)
    flush('ZREM', ZREM)
    if #due == CHUNK then return { -1, 'again' } end
  end
  ids = redis.call('ZRANGE', READY, 0, limit - 1)
  if #ids == 0 then return { -1 } end
  for index, member in ipairs(ids) do ids[index] = sub(member, PLACE + 1) end
  load(ids)
end
local inputs = mget(INPUTS, ids)
local known, rows = {}, {}
for _, id in ipairs(ids) do
  local task = tasks[id]
  if task[Token] ~= '0' then known[#known + 1] = id end
  if task[Output] ~= '0' then rows[#rows + 1] = task[Output] .. ' ' .. id end
end
local before = {}
local feedback, usage, checkpoints = mget(FEEDBACK, known), mget(USAGE, known), mget(CHECKPOINTS, known)
for index, id in ipairs(known) do
  before[id] = { feedback[index] or 'null', usage[index] or 'null', checkpoints[index] or 'null', 'null' }
end
for index, row in ipairs(mget(ATTEMPTS, rows)) do
  before[sub(rows[index], find(rows[index], ' ', 1, true) + 1)][4] = match(row or '', '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)') or 'null'
end

local ends = text(later(lease))
local claims = { 0, isMore and 'more' or 'all' }
for index, id in ipairs(ids) do
  local task = tasks[id]
  local at = (index - 1) * 4
  task[Call] = mark
  if isNew then
    task[Attempts] = task[Attempts] + 1
    task[Token] = task[Token] + 1
    task[Started] = today
    task[Owner] = owner
    move(task, 'in_progress')
  else
    save(task)
  end
  write(ZADD, LEASES, ends, id)
  -- Not in one text: Lua looks at every character of a text that it makes.
  claims[at + 3], claims[at + 4], claims[at + 5] = id, print(task), inputs[index]
  claims[at + 6] = before[id] and concat(before[id], '\n') or ''
end
if isNew then redis.call('ZREMRANGEBYRANK', READY, 0, #ids - 1) end
-- Should this worker die, others have to look when the lease ends.
wakeIn(lease)
claims[1] = commit()
return claims
`

/** Arguments: for each checkpoint: id, token, execution, usage or `null`. Returns the lost ones: index and status. */
export const checkpoint = String.raw`
local ids = {}
for at = ARGUMENTS, #ARGV, 4 do ids[#ids + 1] = ARGV[at] end
load(ids)
local lost = { -1 }
for index, id in ipairs(ids) do
  local at = ARGUMENTS + (index - 1) * 4
  local task = tasks[id]
  if isHeld(task, ARGV[at + 1]) then
    task[Saved] = task[Token]
    task[Updated] = today
    save(task)
    write(HSET, CHECKPOINTS, id, ARGV[at + 2])
    if ARGV[at + 3] == 'null' then remove(USAGE, id) else write(HSET, USAGE, id, ARGV[at + 3]) end
  else
    lost[#lost + 1] = index - 1
    lost[#lost + 1] = task and task[Status] or ''
  end
end
lost[1] = commit()
return lost
`

/** Arguments: lease; for each lease: id and token. Returns the lost ones: index and status. */
export const extend = String.raw`
local lease = tonumber(ARGV[ARGUMENTS])
local ends = text(later(lease))
local ids = {}
for at = ARGUMENTS + 1, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
load(ids)
local lost = { -1 }
for index, id in ipairs(ids) do
  local task = tasks[id]
  if isHeld(task, ARGV[ARGUMENTS + index * 2]) then
    write(ZADD, LEASES, ends, id)
    -- It can end earlier than it did.
    wakeIn(lease)
  else
    lost[#lost + 1] = index - 1
    lost[#lost + 1] = task and task[Status] or ''
  end
end
lost[1] = commit()
return lost
`

/**
 * Arguments: the call's mark, whether it may have been made before; for each settlement:
 * way, id, token, delay or `verified`; three lines of what the attempt brought out, or what it used if it is released;
 * usage, feedback or reason, checkpoint (each of the last three can be nothing). Returns the lost ones: index and status.
 */
export const settle = String.raw`
local mark, again = ARGV[ARGUMENTS], ARGV[ARGUMENTS + 1] == '1'
local FIRST, SIZE = ARGUMENTS + 2, 8
local ids, released = {}, {}
for at = FIRST, #ARGV, SIZE do ids[#ids + 1] = ARGV[at + 1] end
load(ids)
for index, id in ipairs(ids) do
  if ARGV[FIRST + (index - 1) * SIZE] == 'Release' and tasks[id] then released[#released + 1] = tasks[id] end
end
local saved = unverified(released)

local function keep(key, id, value)
  if value == '' then remove(key, id) else write(HSET, key, id, value) end
end

local lost, completed = { -1 }, {}
for index, id in ipairs(ids) do
  local at = FIRST + (index - 1) * SIZE
  local way, token, outturn, words = ARGV[at], ARGV[at + 2], ARGV[at + 4], ARGV[at + 6]
  local task = tasks[id]
  if not isHeld(task, token) then
    -- The reply of a call can get lost after its work was done: the ledger tells whether it was.
    local row = again and redis.call('HGET', ATTEMPTS, token .. ' ' .. id)
    if not row or match(row, '^%S+ %S+ %S+ %S+ (%S+)') ~= mark then
      lost[#lost + 1] = index - 1
      lost[#lost + 1] = task and task[Status] or ''
    end
  elseif way == 'Release' then
    endAttempt(task, 'released', words, saved(task, outturn ~= '' and outturn or nil), mark)
    if ARGV[at + 5] ~= '' then write(HSET, USAGE, id, ARGV[at + 5]) end
    task[Attempts] = math.max(0, task[Attempts] - 1)
    task[Available] = today
    move(task, 'pending')
    lineUp(task)
  else
    keep(USAGE, id, ARGV[at + 5])
    keep(CHECKPOINTS, id, ARGV[at + 7])
    task[Saved] = '0'
    if way == 'Complete' then
      endAttempt(task, 'completed', 'null', outturn, mark)
      keep(FEEDBACK, id, '')
      task[Verified] = ARGV[at + 3]
      task[Output] = '0'
      move(task, 'completed')
      completed[#completed + 1] = id
    else
      endAttempt(task, way == 'Retry' and 'retried' or 'failed', words, outturn, mark)
      keep(FEEDBACK, id, words)
      task[Output] = sub(outturn, 1, 5) == 'null\n' and '0' or token
      if way == 'Retry' then
        task[Available] = text(later(tonumber(ARGV[at + 3])))
        move(task, 'pending')
        lineUp(task)
      else
        move(task, 'failed')
      end
    end
  end
end
unblock(completed)
lost[1] = commit()
return lost
`
