/**
 * `check` says which of the tasks are there and which have to be refused; `add` also adds those that are new, unless one
 * has to be refused. Arguments: the mode; for each task: id, description and line break, the other inputs, priority,
 * `availableAt` or nothing, how many dependencies, and each of them behind `+` if it is in this call too, `-` if not.
 */
export const add = String.raw`
local mode = ARGV[ARGUMENTS]
local added, ids = {}, {}
local at = ARGUMENTS + 1
while at <= #ARGV do
  local task = {
    id = ARGV[at], head = ARGV[at + 1], rest = ARGV[at + 2], priority = ARGV[at + 3], available = ARGV[at + 4],
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
  if sub(inputs, 1, #task.head) ~= task.head then refusals[#refusals + 1] = { existing[index] } end
end
if mode == 'check' or #refusals > 0 or #fresh == 0 then return { -1, existing, refusals } end

local seq = redis.call('HINCRBY', META, 'seq', #fresh) - #fresh
if not schema then redis.call('HSET', META, 'schema', ARGV[1]) end
for index, new in ipairs(fresh) do
  local task = {
    id = new.id, seq = text(seq + index), blockers = 0, priority = new.priority, created = today, updated = today,
    available = new.available == '' and today or new.available, status = 'pending', attempts = 0, token = 0,
    requeues = 0, verified = 0, output = 0, saved = 0, started = 0, owner = ''
  }
  for _, dependency in ipairs(new.dependencies) do
    local found = tasks[dependency.id]
    if not found or found.status ~= 'completed' then
      task.blockers = task.blockers + 1
      block(task, dependency.id)
    end
  end
  write('HSET', TASKS, task.id, line(task))
  write('HSET', INPUTS, task.id, new.head .. new.rest)
  write('ZADD', PENDING, task.seq, task.id)
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
    state = ARGV[at + 5], dependencies = {}, rows = {}
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
  local task = parse(record.id, text(seq + index) .. ' 0 ' .. record.state)
  tasks[task.id] = task
  changed[task.id] = task
  write('HSET', INPUTS, task.id, record.inputs)
  if record.feedback ~= '' then write('HSET', FEEDBACK, task.id, record.feedback) end
  if record.usage ~= '' then write('HSET', USAGE, task.id, record.usage) end
  if record.checkpoint ~= '' then write('HSET', CHECKPOINTS, task.id, record.checkpoint) end
  for _, row in ipairs(record.rows) do write('HSET', ATTEMPTS, row[1], row[2]) end
  write('ZADD', INDEX[task.status], task.seq, task.id)
  if task.status == 'completed' then completed[#completed + 1] = task.id end
  if task.status == 'in_progress' then
    write('ZADD', LEASES, today, task.id)
    wakeIn(0)
  end
end
for _, record in ipairs(restored) do
  local task = tasks[record.id]
  for _, dependency in ipairs(record.dependencies) do
    local found = tasks[dependency]
    if not found or found.status ~= 'completed' then
      task.blockers = task.blockers + 1
      block(task, dependency)
    end
  end
  if task.status == 'pending' then lineUp(task) end
end
unblock(completed)
return { commit(), existing }
`
