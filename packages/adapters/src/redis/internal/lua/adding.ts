import { keys, members, places, queue } from "./indexes.ts"
import { blocking, edges, saving, tasks, unblocking, writes } from "./library.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

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
  [members, tasks, writes, places, keys, queue, saving, edges, blocking, unblocking, usage],
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
  if record.usage ~= '' then
    write(HSET, USAGE, id, record.usage)
    usages.meter(task[Queue], record.usage, 1)
  end
  if record.checkpoint ~= '' then write(HSET, CHECKPOINTS, id, record.checkpoint) end
  for row, content in ipairs(record.rows) do write(HSET, ATTEMPTS, row .. ' ' .. id, content) end
  if record.attempt ~= '' then
    local attempt = nowText .. ' ' .. record.attempt
    begin(task, attempt)
    write(HSET, RUNNING, id, attempt)
    countLease(leaseMember(task), 1)
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
usages.save()
commit()
return present
`
)
