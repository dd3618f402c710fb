/**
 * `check` says which of the tasks are there and which have to be refused; `add` also adds those that are new, unless one
 * has to be refused. Arguments: the mode; for each task: id, inputs, how many characters of them are the description,
 * priority, `availableAt` or nothing, how many dependencies, and each of them behind `+` if it is in this call too, `-` if not.
 */
export const add = String.raw`
local mode = ARGV[ARGUMENTS]
local added, ids = {}, {}
local at = ARGUMENTS + 1
while at <= #ARGV do
  local task = {
    id = ARGV[at], inputs = ARGV[at + 1], head = tonumber(ARGV[at + 2]), priority = ARGV[at + 3], available = ARGV[at + 4],
    dependencies = {}
  }
  at = at + 6
  for _ = 1, ARGV[at - 1] do
    local dependency = { id = sub(ARGV[at], 2), here = sub(ARGV[at], 1, 1) == '+' }
    task.dependencies[#task.dependencies + 1] = dependency
    ids[#ids + 1] = dependency.id
    at = at + 1
  end
  added[#added + 1] = task
  ids[#ids + 1] = task.id
end
load(ids)

local existing, stored, refusals, fresh = {}, {}, {}, {}
for index, task in ipairs(added) do
  if tasks[task.id] then
    existing[#existing + 1] = index - 1
    stored[#stored + 1] = task.id
  else
    fresh[#fresh + 1] = task
    local unknown = { index - 1 }
    for _, dependency in ipairs(task.dependencies) do
      if not dependency.here and not tasks[dependency.id] then unknown[#unknown + 1] = dependency.id end
    end
    if #unknown > 1 then refusals[#refusals + 1] = unknown end
  end
end
for index, inputs in ipairs(mget(INPUTS, stored)) do
  local task = added[existing[index] + 1]
  if sub(inputs, 1, task.head) ~= sub(task.inputs, 1, task.head) then refusals[#refusals + 1] = { existing[index] } end
end
if mode == 'check' or #refusals > 0 or #fresh == 0 then return { -1, existing, refusals } end

local seq = redis.call('HINCRBY', META, 'seq', #fresh) - #fresh
if not schema then redis.call('HSET', META, 'schema', ARGV[1]) end
for index, new in ipairs(fresh) do
  local available = new.available == '' and today or new.available
  local task = {
    new.id, text(seq + index), '0', new.priority, today, today, available, 'pending', '0', '0', '0', '0', '0', '0', '0',
    '-', ''
  }
  for _, dependency in ipairs(new.dependencies) do
    if not isCompleted(dependency.id) then block(task, dependency.id) end
  end
  save(task)
  write(HSET, INPUTS, new.id, new.inputs)
  write(ZADD, PENDING, task[Seq], new.id)
  lineUp(task)
end
return { commit(), existing, refusals }
`

/**
 * Adds tasks as they were elsewhere. Arguments: for each task: id, inputs; feedback, usage and checkpoint (each can be
 * nothing); its line from the third word on; how many dependencies it waits for and each of them; how many attempts ended,
 * and token and row of each of them.
 */
export const restore = String.raw`
local restored, ids = {}, {}
local at = ARGUMENTS
while at <= #ARGV do
  local task = {
    id = ARGV[at], inputs = ARGV[at + 1], feedback = ARGV[at + 2], usage = ARGV[at + 3], checkpoint = ARGV[at + 4],
    line = ARGV[at + 5], dependencies = {}, rows = {}
  }
  at = at + 7
  for _ = 1, ARGV[at - 1] do
    task.dependencies[#task.dependencies + 1] = ARGV[at]
    ids[#ids + 1] = ARGV[at]
    at = at + 1
  end
  for _ = 1, ARGV[at] do
    task.rows[#task.rows + 1] = { ARGV[at + 1] .. ' ' .. task.id, ARGV[at + 2] }
    at = at + 2
  end
  at = at + 1
  restored[#restored + 1] = task
  ids[#ids + 1] = task.id
end
load(ids)

local existing = {}
for index, task in ipairs(restored) do
  if tasks[task.id] then existing[#existing + 1] = index - 1 end
end
if #existing > 0 or #restored == 0 then return { -1, existing } end

local seq = redis.call('HINCRBY', META, 'seq', #restored) - #restored
if not schema then redis.call('HSET', META, 'schema', ARGV[1]) end
local completed = {}
for index, record in ipairs(restored) do
  local id = record.id
  local task = parse(id, text(seq + index) .. ' 0 ' .. record.line)
  tasks[id] = task
  write(HSET, INPUTS, id, record.inputs)
  if record.feedback ~= '' then write(HSET, FEEDBACK, id, record.feedback) end
  if record.usage ~= '' then write(HSET, USAGE, id, record.usage) end
  if record.checkpoint ~= '' then write(HSET, CHECKPOINTS, id, record.checkpoint) end
  for _, row in ipairs(record.rows) do write(HSET, ATTEMPTS, row[1], row[2]) end
  if task[Status] == 'completed' then completed[#completed + 1] = id end
  if task[Status] == 'in_progress' then
    write(ZADD, LEASES, today, id)
    wakeIn(0)
  else
    write(ZADD, INDEX[task[Status]], task[Seq], id)
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
return { commit(), existing }
`
