import { keys, members, places, queue } from "./indexes.ts"
import { budgets } from "./budgets.ts"
import { damage, endings, moving, rows, saving, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

/**
 * Ends attempts of a queue whose lease has expired. Arguments: the queue, the number of attempts from which tasks without a
 * limit of their own fail (0 for all tasks), the limit, and the text before and after the owner; for attempts that have not
 * started, how many are given back, and the text before and after the owner. Returns for each task: id, token, status, owner,
 * attempts, whether it had started.
 */
export const sweep = script(
  [members, tasks, writes, places, keys, queue, saving, moving, rows, endings, budgets, usage, damage],
  String.raw`
local name, failFrom, limit = ARGV[FIRST], tonumber(ARGV[FIRST + 1]), tonumber(ARGV[FIRST + 2])
local before, after = ARGV[FIRST + 3], ARGV[FIRST + 4]
local returned, beforeUnstarted, afterUnstarted = tonumber(ARGV[FIRST + 5]), ARGV[FIRST + 6], ARGV[FIRST + 7]
local prefix = prefixOf(name)
local due = dueMembers(LEASES, prefix)
if not due[1] then return {} end

-- The attempts whose lease has expired, in all queues; and those that cannot be read.
local found, ends = {}, {}
local running = redis.call('HGETALL', RUNNING)
for at = 1, #running, 2 do
  local leaseEnd = leaseEndOf(running[at + 1])
  if not leaseEnd or tonumber(leaseEnd) <= now then
    found[#found + 1] = running[at]
    ends[running[at]] = leaseEnd
  end
end
local numbers = {}
for _, member in ipairs(due) do numbers[member] = 0 end
local ids = {}
for index, line in ipairs(mget(TASKS, found)) do
  local id = found[index]
  local leaseEnd = ends[id]
  local member = leaseEnd and prefix .. sortable(tonumber(leaseEnd))
  local isReadable = line and match(line, LINE) ~= nil
  local isHere = isReadable and parse(id, line)[Queue] == name or not isReadable and (not member or numbers[member])
  if isHere and member and numbers[member] then numbers[member] = numbers[member] + 1 end
  if isHere and isReadable and member then
    ids[#ids + 1] = id
  elseif isHere then
    setAside(prefix, name, id)
  end
end
-- The count of an end is wrong after a damage.
for _, member in ipairs(due) do
  local count = tonumber(redis.call('HGET', LEASE_COUNTS, member) or 0)
  if count ~= numbers[member] then countLease(member, numbers[member] - count) end
  if numbers[member] == 0 then write(ZREM, LEASES, member) end
end
table.sort(ids, function(left, right)
  if ends[left] ~= ends[right] then return tonumber(ends[left]) < tonumber(ends[right]) end
  return left < right
end)
for index = limit + 1, #ids do ids[index] = nil end
load(ids)
local expired = {}
for _, id in ipairs(ids) do expired[#expired + 1] = tasks[id] end
local resultOf = checkpointedBy(expired)
local swept = {}
for _, task in ipairs(expired) do
  local owner = task[Attempt].owner
  local isStarted = task[Attempt].started ~= '-'
  local message = isStarted and before .. owner .. after or beforeUnstarted .. owner .. afterUnstarted
  endAttempt(task, isStarted and 'lease_expired' or 'released', message, resultOf(task[Id]))
  endSpending(task[Id], text(task[Token]), task[Queue])
  if not isStarted then task[Attempts] = math.max(0, task[Attempts] - returned) end
  if isStarted and task[Attempts] >= (failFrom > 0 and tonumber(match(task[Limit], '^%d+')) or failFrom) then
    write(HSET, FEEDBACK, task[Id], message)
    move(task, 'failed')
  else
    task[Available] = nowText
    move(task, 'pending')
    lineUp(task)
  end
  for _, value in ipairs({ task[Id], task[Token], task[Status], owner, task[Attempts], isStarted and 1 or 0 }) do
    swept[#swept + 1] = value
  end
end
saveBudgets()
saveKeys()
usages.save()
commit()
return swept
`
)
