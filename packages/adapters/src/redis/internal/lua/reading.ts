/**
 * Whether there is a store; fails where there is something else, and for a user who may not do all that scripts do: one
 * that is denied a command half-way would leave half of its work behind.
 */
export const open = String.raw`
local commands = {
  { 'HSET', META, '', '' }, { 'HDEL', META, '' }, { 'HINCRBY', META, '', 1 }, { 'HMGET', META, '' },
  { 'ZADD', READY, 0, '' }, { 'ZREM', READY, '' }, { 'ZREMRANGEBYRANK', READY, 0, 0 }, { 'ZRANGE', READY, 0, 0 },
  { 'ZRANGEBYSCORE', READY, 0, 0 }, { 'ZRANGEBYLEX', READY, '-', '+' }, { 'ZCARD', READY }, { 'ZSCORE', READY, '' },
  { 'PUBLISH', CHANNEL, '' }
}
for _, command in ipairs(commands) do
  if redis.acl_check_cmd and not redis.acl_check_cmd(unpack(command)) then
    return redis.error_reply('NOPERM it may not do ' .. command[1])
  end
end
return schema and 1 or 0
`

/** The control state. */
export const control = `return redis.call('HMGET', META, 'revision', 'paused', 'stops')`

/** How many tasks there are of each kind. */
export const counts = String.raw`
return {
  redis.call('ZCARD', PENDING), redis.call('ZCARD', LEASES), redis.call('ZCARD', COMPLETED),
  redis.call('ZCARD', FAILED), redis.call('ZCARD', CANCELLED), tonumber(redis.call('HGET', META, 'waiting') or 0)
}
`

/**
 * Argument: whether to look if all is done. Returns in how many milliseconds to look again; 0 for now, -1 for no time that
 * could be told, -2 when all is done.
 */
export const outlook = String.raw`
if redis.call('ZCARD', READY) > 0 then return 0 end
local due
for _, key in ipairs({ DELAYED, LEASES }) do
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[2] then due = math.min(due or END_OF_TIME, tonumber(first[2])) end
end
if due and due <= now then return 0 end
if ARGV[ARGUMENTS] == '1' and isDrained() then return -2 end
return due and due - now or -1
`

/**
 * A task: its line; three lines of inputs; feedback, usage and the execution of the attempt that completed it, a line each;
 * the id.
 */
const describe = String.raw`
local function describe(ids)
  load(ids)
  local inputs, feedback, usage, rows, results = mget(INPUTS, ids), mget(FEEDBACK, ids), mget(USAGE, ids), {}, {}
  for _, id in ipairs(ids) do
    local task = tasks[id]
    if task and task[Status] == 'completed' then rows[#rows + 1] = task[Token] .. ' ' .. id end
  end
  for index, row in ipairs(mget(ATTEMPTS, rows)) do
    results[rows[index]] = match(row or '', '^[^\n]*\n[^\n]*\n[^\n]*\n([^\n]*)')
  end
  local described = {}
  for index, id in ipairs(ids) do
    local task = tasks[id]
    described[index] = task and concat({
      print(task), inputs[index], feedback[index] or 'null', usage[index] or 'null',
      results[task[Token] .. ' ' .. id] or 'null', id
    }, '\n')
  end
  return described
end
`

/** Ids in the order of adding, of one status or merged from all, and the `seq` of the last one if there may be more. */
export const ranked = String.raw`
local function ranked(status, after, limit)
  local found = {}
  for name, key in pairs(INDEX) do
    if status == '' or status == name then
      local part = redis.call('ZRANGEBYSCORE', key, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
      for index = 1, #part, 2 do found[#found + 1] = { id = part[index], seq = tonumber(part[index + 1]) } end
    end
  end
  if status == '' or status == 'in_progress' then
    -- Few enough to look at all of them: no more than workers hold.
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
  return ids, #ids == limit and text(found[limit].seq) or ''
end
`

/** Argument: an id. */
export const get = `${describe}return describe({ ARGV[ARGUMENTS] })[1]`

/** Arguments: a status or nothing, after which `seq`, how many. */
export const list = `${describe}${ranked}
return describe((ranked(ARGV[ARGUMENTS], ARGV[ARGUMENTS + 1], tonumber(ARGV[ARGUMENTS + 2]))))`

/** A task's ledger: its line, its checkpoint, and token and row of each attempt that ended. */
const ledger = String.raw`
local function ledger(task)
  local fields = {}
  for token = 1, task[Token] do fields[token] = token .. ' ' .. task[Id] end
  local rows = { print(task), redis.call('HGET', CHECKPOINTS, task[Id]) or 'null' }
  for token, row in ipairs(mget(ATTEMPTS, fields)) do
    if row then
      rows[#rows + 1] = token
      rows[#rows + 1] = row
    end
  end
  return rows
end
`

/** Argument: an id. */
export const attempts = `${ledger}
local id = ARGV[ARGUMENTS]
load({ id })
return tasks[id] and ledger(tasks[id])`

/** Arguments: after which `seq`, how many. Returns for each task: itself, its ledger, its lease, what it waits for. */
export const dump = `${describe}${ranked}${ledger}${String.raw`
local ids = ranked('', ARGV[ARGUMENTS], tonumber(ARGV[ARGUMENTS + 1]))
local described = describe(ids)
local records = {}
for index, id in ipairs(ids) do
  local task = tasks[id]
  records[index] = {
    described[index], ledger(task), redis.call('ZSCORE', LEASES, id) or '',
    tonumber(task[Blockers]) > 0 and edges(DEPENDENCIES, id) or {}
  }
end
return records
`}`
