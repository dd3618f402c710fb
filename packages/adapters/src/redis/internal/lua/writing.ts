import { keys, members, places, queue } from "./indexes.ts"
import { budgets } from "./budgets.ts"
import {
  attempts,
  blocking,
  edges,
  leases,
  previousExecutions,
  rows,
  saving,
  tasks,
  unblocking,
  writes
} from "./library.ts"
import { pauses } from "./pauses.ts"
import { script } from "./prelude.ts"

/**
 * Arguments: `check` to add nothing, else `add`; for each task: id, queue, inputs, priority, `availableAt` or nothing, `Limit`,
 * the number of dependencies, and each of them. Returns the ids that are present, those of them
 * with other work or in another queue, those of the others with other details, and each unknown dependency after the id of its task.
 */
export const add = script(
  [members, tasks, writes, places, keys, queue, saving, edges, blocking],
  String.raw`
local added, ids, isAdded = {}, {}, {}
local at = FIRST + 1
while at <= #ARGV do
  local id, count = ARGV[at], tonumber(ARGV[at + 6])
  local task = {
    id = id, queue = ARGV[at + 1], inputs = ARGV[at + 2], priority = ARGV[at + 3], available = ARGV[at + 4],
    limit = ARGV[at + 5]
  }
  added[#added + 1] = task
  isAdded[id] = true
  ids[#ids + 1] = id
  at = at + 7
  if count > 0 then
    task.dependencies = {}
    for offset = 1, count do
      local dependency = ARGV[at + offset - 1]
      task.dependencies[offset] = dependency
      ids[#ids + 1] = dependency
    end
    at = at + count
  end
end
load(ids)

local existing, conflicts, different, unknown, fresh, stored = {}, {}, {}, {}, {}, {}
for _, task in ipairs(added) do
  if tasks[task.id] then
    existing[#existing + 1] = task.id
    stored[#stored + 1] = task
  else
    fresh[#fresh + 1] = task
    for _, dependency in ipairs(task.dependencies or {}) do
      if not isAdded[dependency] and not tasks[dependency] then
        unknown[#unknown + 1] = task.id
        unknown[#unknown + 1] = dependency
      end
    end
  end
end
-- The payload identifies the work of a task, or the description if there is none.
local WORK = '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)\n(.*)$'
local function isSameWork(left, right)
  local payload, description = match(left, WORK)
  local otherPayload, otherDescription = match(right, WORK)
  return payload ~= nil and payload == otherPayload and (payload ~= '' or description == otherDescription)
end
for index, inputs in ipairs(mget(INPUTS, existing)) do
  local task = stored[index]
  if task.queue ~= tasks[task.id][Queue] or not inputs or not isSameWork(inputs, task.inputs) then
    conflicts[#conflicts + 1] = task.id
  elseif inputs ~= task.inputs or tasks[task.id][Priority] ~= task.priority or tasks[task.id][Limit] ~= task.limit then
    different[#different + 1] = task.id
  end
end
if ARGV[FIRST] == 'check' or #conflicts > 0 or #unknown > 0 or #fresh == 0 then
  return { existing, conflicts, different, unknown }
end

local seq = redis.call('HINCRBY', META, 'seq', #fresh) - #fresh
-- The first token of a new task is greater than all tokens of tasks that were pruned.
local floor = redis.call('HGET', META, 'floor') or '0'
for index, new in ipairs(fresh) do
  local available = new.available == '' and nowText or new.available
  local task = {
    new.id, seqText(seq + index), new.priority, nowText, '0', '0', available, '0', floor, '0', '0', 'pending', nowText,
    new.limit, new.queue, '-'
  }
  for _, dependency in ipairs(new.dependencies or {}) do
    if not isCompleted(dependency) then block(task, dependency) end
  end
  save(task)
  write(HSET, INPUTS, new.id, new.inputs)
  write(ZADD, PENDING, '0', statusMember(task))
  lineUp(task)
end
saveKeys()
commit()
return { existing, conflicts, different, unknown }
`
)

/**
 * Adds tasks as they were in another store. Arguments: for each task: id; inputs; feedback after `=`, usage and checkpoint,
 * each can be empty; its line from the second word on; its running attempt without the end of its lease, or nothing; the
 * number of dependencies that it waits for, and each of them; the number of attempts that ended, and the row of each.
 * Returns the ids that are present; then it adds nothing.
 */
export const restore = script(
  [members, tasks, writes, places, keys, queue, saving, edges, blocking, unblocking],
  String.raw`
local restored, ids = {}, {}
local at = FIRST
while at <= #ARGV do
  local record = {
    id = ARGV[at], inputs = ARGV[at + 1], feedback = ARGV[at + 2], usage = ARGV[at + 3], checkpoint = ARGV[at + 4],
    line = ARGV[at + 5], attempt = ARGV[at + 6], dependencies = {}, rows = {}
  }
  at = at + 8
  for _ = 1, ARGV[at - 1] do
    record.dependencies[#record.dependencies + 1] = ARGV[at]
    ids[#ids + 1] = ARGV[at]
    at = at + 1
  end
  for row = 1, ARGV[at] do record.rows[row] = ARGV[at + row] end
  at = at + 1 + ARGV[at]
  restored[#restored + 1] = record
  ids[#ids + 1] = record.id
end
load(ids)

local present = {}
for _, record in ipairs(restored) do
  if tasks[record.id] then present[#present + 1] = record.id end
end
if #present > 0 then return present end

local seq = redis.call('HINCRBY', META, 'seq', #restored) - #restored
local floor = tonumber(redis.call('HGET', META, 'floor') or 0)
local completed = {}
for index, record in ipairs(restored) do
  local id = record.id
  local task = parse(id, seqText(seq + index) .. ' ' .. record.line)
  tasks[id] = task
  write(HSET, INPUTS, id, record.inputs)
  if record.feedback ~= '' then write(HSET, FEEDBACK, id, sub(record.feedback, 2)) end
  if record.usage ~= '' then write(HSET, USAGE, id, record.usage) end
  if record.checkpoint ~= '' then write(HSET, CHECKPOINTS, id, record.checkpoint) end
  for row, content in ipairs(record.rows) do write(HSET, ATTEMPTS, row .. ' ' .. id, content) end
  if record.attempt ~= '' then
    local attempt = nowText .. ' ' .. record.attempt
    begin(task, attempt)
    write(HSET, RUNNING, id, attempt)
    write(ZADD, LEASES, '0', leaseMember(task))
    if keyOf(task) then useKey(queueOf(task), keyOf(task)) end
    wakeIn(0)
  else
    write(ZADD, INDEX[task[Status]], '0', statusMember(task))
    if task[Status] == 'completed' then
      completed[#completed + 1] = id
    else
      -- An earlier task with this id may have been pruned.
      task[Token] = math.max(task[Token], floor)
    end
  end
end
for _, record in ipairs(restored) do
  local task = tasks[record.id]
  for _, dependency in ipairs(record.dependencies) do
    if not isCompleted(dependency) then block(task, dependency) end
  end
  save(task)
  if task[Status] == 'pending' then lineUp(task) end
end
unblock(completed)
saveKeys()
commit()
return present
`
)

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
  local leased = membersOf(LEASES, prefix)
  for index, member in ipairs(leased) do leased[index] = sub(member, #prefix + WORD + 1) end
  load(leased)
  for _, id in ipairs(leased) do
    local attempt = tasks[id] and tasks[id][Attempt]
    if attempt and attempt.owner == owner and isUnanswered[attempt.call] then ids[#ids + 1] = id end
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
local leaseStart = prefix .. sortable(tonumber(leaseEnd))
local times = { nowText }
if isNew then
  local started = concat({ leaseEnd, nowText, nowText, '0', call, owner }, ' ')
  local waiting = concat({ leaseEnd, '-', nowText, '0', call, owner }, ' ')
  for index = 1, #ids do
    local id = ids[index]
    write(HSET, RUNNING, id, index <= starting and started or waiting)
    write(ZADD, LEASES, '0', leaseStart .. id)
  end
  if chosen then
    for _, each in ipairs(chosen) do
      write(ZREM, each.state and KEYED or READY, each.member)
      write(ZREM, PENDING, prefix .. sub(each.rest, WORD + 1))
    end
    saveKeys()
  else
    local first, last = members[1], members[#members]
    redis.call('ZREMRANGEBYLEX', READY, '[' .. first, '[' .. last)
    -- Tasks that were added together are often neighbours in 'pending' too. A range is deleted without a search for each.
    local from, to = '[' .. prefix .. sub(first, third), '[' .. prefix .. sub(last, third)
    if sub(first, 1, third - 1) == sub(last, 1, third - 1) and redis.call('ZLEXCOUNT', PENDING, from, to) == #members then
      redis.call('ZREMRANGEBYLEX', PENDING, from, to)
    else
      for index = 1, #members do write(ZREM, PENDING, prefix .. sub(members[index], third)) end
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

/**
 * Arguments: for each checkpoint: id, token, execution with its usage on a second line, usage of the task or nothing.
 * Returns for each lost lease: index, status, nothing.
 */
export const checkpoint = script(
  [members, tasks, writes, places, attempts, leases],
  String.raw`
local ids = {}
for at = FIRST, #ARGV, 4 do ids[#ids + 1] = ARGV[at] end
load(ids)
for index, id in ipairs(ids) do
  local at = FIRST + (index - 1) * 4
  local task = tasks[id]
  if isLeased(task, ARGV[at + 1]) then
    local attempt = task[Attempt]
    write(HSET, RUNNING, id, printAttempt({
      leaseEnd = attempt.leaseEnd, started = attempt.started, updated = nowText, saved = true, call = attempt.call,
      owner = attempt.owner
    }))
    write(HSET, CHECKPOINTS, id, ARGV[at + 2])
    if ARGV[at + 3] == '' then write(HDEL, USAGE, id) else write(HSET, USAGE, id, ARGV[at + 3]) end
  else
    lose(index, task)
  end
end
commit()
return lost
`
)

/** Arguments: for each lease: id and token. Returns for each lost lease: index, status, nothing. */
export const start = script(
  [members, tasks, writes, places, attempts, leases],
  String.raw`
local ids = {}
for at = FIRST, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
load(ids)
-- Tasks that were claimed together have the same text before and after.
local lines = {}
for index, id in ipairs(ids) do
  local task = tasks[id]
  if not isLeased(task, ARGV[FIRST + index * 2 - 1]) then
    lose(index, task)
  elseif task[Attempt].started == '-' then
    local attempt = task[Attempt]
    local line = lines[attempt]
    if not line then
      line = printAttempt({
        leaseEnd = attempt.leaseEnd, started = nowText, updated = attempt.updated, saved = attempt.saved,
        call = attempt.call, owner = attempt.owner
      })
      lines[attempt] = line
    end
    write(HSET, RUNNING, id, line)
  end
end
commit()
return lost
`
)

/** Arguments: lease; for each lease: id and token. Returns for each lost lease: index, status, nothing. */
export const extend = script(
  [members, tasks, writes, places, attempts, leases],
  String.raw`
local lease = tonumber(ARGV[FIRST])
local leaseEnd = text(later(lease))
local ids = {}
for at = FIRST + 1, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
load(ids)
for index, id in ipairs(ids) do
  if isLeased(tasks[id], ARGV[FIRST + index * 2]) then
    local attempt = tasks[id][Attempt]
    renew(tasks[id], leaseEnd, attempt.call, attempt.started)
    -- It may end earlier than before.
    wakeIn(lease)
  else
    lose(index, tasks[id])
  end
end
commit()
return lost
`
)

/**
 * Arguments: for each settlement: the decision, id, token, result (execution, verification and usage of the attempt, a line
 * each), and those of usage, error, feedback, checkpoint and spent amount (cost and tokens) that the decision names.
 *
 * A decision is: outcome, status, the number of attempts that are returned, in how many milliseconds the task is available
 * (or `-`), verified, and the first letters of what follows. Returns for each lost lease: index, status, and how the ledger
 * says that the attempt ended.
 */
export const settle = script(
  [members, tasks, writes, places, keys, queue, saving, rows, edges, unblocking, leases, budgets],
  String.raw`
-- Most settlements of a call have the same decision.
local decisions = {}
local function decide(words)
  local decision = decisions[words]
  if not decision then
    local outcome, status, returned, available, verified, fields = match(words, '^(%S+) (%S+) (%S+) (%S+) (%S+) ?(%S*)$')
    decision = {
      outcome = outcome, status = status, returned = tonumber(returned), verified = verified, size = 4 + #fields,
      available = available ~= '-' and text(later(tonumber(available))), isReleased = outcome == 'released',
      usage = find(fields, 'u', 1, true), failure = find(fields, 'e', 1, true),
      feedback = find(fields, 'f', 1, true), checkpoint = find(fields, 'c', 1, true), spent = find(fields, 's', 1, true),
      effects = { [true] = {}, [false] = {} }
    }
    decisions[words] = decision
  end
  return decision
end

-- The changes of a task apart from its id, its 'seq' and the result of the attempt. 'state' is its line after the 'seq'.
local function settled(state, line, decision, isExecuted)
  local task = parse('', '0' .. state)
  begin(task, line)
  local effect = {
    token = text(task[Token]), saved = task[Attempt].saved, hasEarlier = task[Previous] ~= '-' or task[Attempt].saved,
    queue = task[Queue], prefix = queueOf(task), leaseStart = leaseMember(task), key = keyOf(task)
  }
  effect.before, effect.after = rowAround(task, decision.outcome)
  task[Rows] = task[Rows] + 1
  effect.row = task[Rows] .. ' '
  task[Attempt] = nil
  if decision.isReleased then
    if not hasHadAttempt(task) then task[Previous] = '0' end
  else
    task[Verified] = decision.verified
    if decision.status ~= 'in_review' then
      task[Previous] = isExecuted and decision.outcome ~= 'completed' and task[Rows] or '0'
    elseif not hasHadAttempt(task) then
      -- An output in review has not been rejected yet.
      task[Previous] = '0'
    end
  end
  task[Attempts] = math.max(0, task[Attempts] - decision.returned)
  if decision.available then task[Available] = decision.available end
  task[Status], task[Updated] = decision.status, nowText
  effect.state = sub(print(task), 2)
  return effect
end

-- Tasks that were added and claimed together change in the same way, so this is computed once for all of them.
local function effectOf(state, line, decision, isExecuted)
  local effects = decision.effects[isExecuted]
  local sameState = effects[state]
  if not sameState then
    sameState = {}
    effects[state] = sameState
  end
  local effect = sameState[line]
  if not effect then
    effect = settled(state, line, decision, isExecuted)
    sameState[line] = effect
  end
  return effect
end

local ids, starts = {}, {}
local at = FIRST
while at <= #ARGV do
  ids[#ids + 1] = ARGV[at + 1]
  starts[#ids] = at
  at = at + decide(ARGV[at]).size
end
local lines, running = mget(TASKS, ids), mget(RUNNING, ids)

local effects, saving = {}, {}
for index = 1, #ids do
  local line, start = lines[index], starts[index]
  if line and running[index] then
    local decision = decide(ARGV[start])
    local effect = effectOf(sub(line, WORD + 1), running[index], decision, byte(ARGV[start + 3], 1) ~= 10)
    effects[index] = effect.token == ARGV[start + 2] and effect
    if effects[index] and effect.saved and decision.isReleased then saving[#saving + 1] = ids[index] end
  end
end
local resultOf = checkpointed(saving)

local function outcomeOf(task, token)
  for row = task and task[Rows] or 0, 1, -1 do
    local content = redis.call('HGET', ATTEMPTS, row .. ' ' .. task[Id])
    local found, outcome = match(content or '', '^%S+ (%S+) %S+ %S+ (%S+)')
    if found == token then return outcome end
  end
end

local completed = {}
for index = 1, #ids do
  local id, start, effect = ids[index], starts[index], effects[index]
  local decision, result = decide(ARGV[start]), ARGV[start + 3]
  if not effect then
    load({ id })
    lose(index, tasks[id], outcomeOf(tasks[id], ARGV[start + 2]))
  else
    local usage = decision.usage and ARGV[start + 3 + decision.usage]
    local failure = decision.failure and ARGV[start + 3 + decision.failure]
    if budgetOf(effect.queue) then
      local cost, tokens = match(decision.spent and ARGV[start + 3 + decision.spent] or '0 0', '^(.*) (.*)$')
      endSpending(id, effect.token, effect.queue, tonumber(cost), tonumber(tokens))
    end
    if usage then write(HSET, USAGE, id, usage) end
    if decision.isReleased then
      local attemptUsage = sub(result, 3)
      result = resultOf(id, attemptUsage ~= '' and attemptUsage)
    else
      local feedback = decision.feedback and ARGV[start + 3 + decision.feedback]
      local checkpoint = decision.checkpoint and ARGV[start + 3 + decision.checkpoint]
      if feedback then write(HSET, FEEDBACK, id, feedback) end
      if checkpoint then write(HSET, CHECKPOINTS, id, checkpoint) end
      if effect.hasEarlier then
        if not usage then write(HDEL, USAGE, id) end
        if not feedback then write(HDEL, FEEDBACK, id) end
        if not checkpoint then write(HDEL, CHECKPOINTS, id) end
      end
    end
    local row = effect.before .. result .. effect.after
    write(HSET, ATTEMPTS, effect.row .. id, failure and row .. '\n' .. failure or row)
    write(HDEL, RUNNING, id)
    write(ZREM, LEASES, effect.leaseStart .. id)
    if effect.key then freeKey(effect.prefix, effect.key) end
    local seq = sub(lines[index], 1, WORD)
    local line = seq .. effect.state
    write(HSET, TASKS, id, line)
    write(ZADD, INDEX[decision.status], '0', effect.prefix .. seq .. id)
    changed[effect.queue] = true
    if decision.status == 'pending' then lineUp(parse(id, line)) end
    if decision.status == 'completed' then completed[#completed + 1] = id end
  end
end
unblock(completed)
saveBudgets()
saveKeys()
commit()
return lost
`
)
