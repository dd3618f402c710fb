import { members } from "./indexes.ts"
import { tasks, writes } from "./library.ts"
import { formerVersions, uncheckedScript } from "./prelude.ts"
import { usage } from "./usage.ts"

const [former, migrating, withQueues, migratingOrder, withLeases, withoutUsage, migratingUsage, readable] =
  formerVersions

/**
 * Brings a part of a store to the layout of this version. Argument: the number of members that it takes of each sorted set,
 * so that the server can do other work in between. Returns whether all is done. It can be called by several processes at the
 * same time.
 *
 * First, all tasks get into the queue `default`. Before, lines had neither limit nor queue, inputs neither overrides nor payload, and attempts no end of the lease. The
 * members of sorted sets had no queue: they were ids, ordered by their score, which was greater than 0, or in `ready` and
 * `delayed` began with the priority, whose first character is `0` or `1`.
 *
 * Then the members of `ready` tell the tasks that have had an attempt from the others: see `unstarted` in `indexes.ts`.
 *
 * Then `leases` gets a member for each end of leases. It had one for each task, with the id behind the end. This is one step,
 * because there are only as many as workers hold.
 *
 * Then the usage of all tasks is added up. `migrated` says how far: a number of the sorted set, and a member of it.
 *
 * Last, only the number of the layout changes: this version reads the lines, attempts and rows of layout 9. Workers of layout 9
 * cannot read those of this version.
 */
export const migrate = uncheckedScript(
  [members, tasks, writes, usage],
  String.raw`
local limit, prefix = ARGV[FIRST], prefixOf('default')

if schema == '${readable}' then
  redis.call('HSET', META, 'schema', SCHEMA)
  return 1
end

if schema == '${withoutUsage}' or schema == '${migratingUsage}' then
  local number, from = match(redis.call('HGET', META, 'migrated') or '1 ', '^(%d) (.*)$')
  local key = ({ PENDING, IN_REVIEW, COMPLETED, FAILED, CANCELLED })[tonumber(number)]
  if schema == '${withoutUsage}' then
    -- Those in progress are in none of these, and only as many as workers hold.
    local ids = redis.call('HKEYS', RUNNING)
    local lines, used = mget(TASKS, ids), mget(USAGE, ids)
    for index, id in ipairs(ids) do
      local isRead, task = pcall(parse, id, lines[index] or '')
      if isRead then usages.meter(task[Queue], used[index], 1) end
    end
  end
  if not key or redis.call('HLEN', USAGE) == 0 then
    redis.call('HSET', META, 'schema', SCHEMA)
    redis.call('HDEL', META, 'migrated')
    return 1
  end
  local found = redis.call('ZRANGEBYLEX', key, from == '' and '-' or '(' .. from, '+', 'LIMIT', 0, limit)
  local names, ids = {}, {}
  for index, member in ipairs(found) do
    local length, rest = match(member, '^(%d+):(.*)$')
    names[index], ids[index] = sub(rest, 1, length), sub(rest, length + 2 + WORD)
  end
  for index, used in ipairs(mget(USAGE, ids)) do usages.meter(names[index], used, 1) end
  usages.save()
  flushAll()
  local following = #found == 0 and number + 1 .. ' ' or number .. ' ' .. found[#found]
  redis.call('HSET', META, 'schema', '${migratingUsage}', 'migrated', following)
  return 0
end

if schema == '${withQueues}' or schema == '${migratingOrder}' then
  local from = redis.call('HGET', META, 'migrated')
  local found = redis.call('ZRANGEBYLEX', READY, from and '(' .. from or '-', '+', 'LIMIT', 0, limit)
  if #found == 0 then
    redis.call('HSET', META, 'schema', '${withLeases}')
    redis.call('HDEL', META, 'migrated')
    return 0
  end
  local starts, ids = {}, {}
  for index, member in ipairs(found) do
    local length = match(member, '^(%d+):')
    starts[index] = #length + 2 + length + WORD
    ids[index] = sub(member, starts[index] + 1 + 2 * WORD)
  end
  local last = found[#found]
  for index, line in ipairs(mget(TASKS, ids)) do
    local member, start = found[index], starts[index]
    local sign = sub(member, start + 1, start + 1)
    if line and byte(line, -1) == 45 and (sign == '0' or sign == '1') then
      write(ZREM, READY, member)
      write(ZADD, READY, '0', sub(member, 1, start) .. (sign + 2) .. sub(member, start + 2))
    end
  end
  flushAll()
  redis.call('HSET', META, 'schema', '${migratingOrder}', 'migrated', last)
  return 0
end
if schema == '${withLeases}' then
  for _, member in ipairs(redis.call('ZRANGEBYLEX', LEASES, '-', '+')) do
    local length = match(member, '^(%d+):')
    write(ZREM, LEASES, member)
    countLease(sub(member, 1, #length + 2 + length + WORD), 1)
  end
  flushAll()
  saveLeases()
  flushAll()
  redis.call('HSET', META, 'schema', '${withoutUsage}')
  return 0
end
if schema ~= '${former}' and schema ~= '${migrating}' then return 1 end

local ids, leaseEnds, isDone = {}, {}, true
for _, key in ipairs({ LEASES, PENDING, COMPLETED, FAILED, CANCELLED }) do
  local found = redis.call('ZRANGEBYSCORE', key, '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  for index = 1, #found, 2 do
    local id, score = found[index], tonumber(found[index + 1])
    isDone = false
    ids[#ids + 1] = id
    write(ZREM, key, id)
    if key == LEASES then leaseEnds[id] = score end
    write(ZADD, key, '0', prefix .. (key == LEASES and sortable or seqText)(score) .. id)
  end
end
for _, member in ipairs(redis.call('ZRANGEBYLEX', READY, '-', '(2', 'LIMIT', 0, limit)) do
  isDone = false
  write(ZREM, READY, member)
  write(ZADD, READY, '0', prefix .. member)
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '(0', '+inf', 'LIMIT', 0, limit)) do
  isDone = false
  local priority, available = sub(member, 1, WORD), sub(member, WORD + 1, 2 * WORD)
  write(ZREM, DELAYED, member)
  write(ZADD, DELAYED, '0', prefix .. available .. priority .. sub(member, 2 * WORD + 1))
end

local lines, inputs, running = mget(TASKS, ids), mget(INPUTS, ids), mget(RUNNING, ids)
for index, id in ipairs(ids) do
  local line, previous = match(lines[index] or '', '^(.*) ([^ ]+)$')
  local documents, description = match(inputs[index] or '', '^([^\n]*\n[^\n]*\n)(.*)$')
  if line then write(HSET, TASKS, id, line .. ' - default ' .. previous) end
  if documents then write(HSET, INPUTS, id, documents .. '\n\n' .. description) end
  if running[index] and leaseEnds[id] then write(HSET, RUNNING, id, text(leaseEnds[id]) .. ' ' .. running[index]) end
end

flushAll()
redis.call('HSET', META, 'schema', isDone and '${withQueues}' or '${migrating}')
if isDone then redis.call('HDEL', META, 'waiting') end
return 0
`
)
