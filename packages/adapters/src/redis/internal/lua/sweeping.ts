import { keys, members, places, queue } from "./indexes.ts"
import { budgets } from "./budgets.ts"
import { damage, endings, moving, rows, saving, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"

/**
 * Ends attempts of a queue whose lease has expired. Arguments: the queue, the number of attempts from which tasks without a
 * limit of their own fail (0 for all tasks), the limit, and the text before and after the owner; for attempts that have not
 * started, how many are given back, and the text before and after the owner. Returns for each task: id, token, status, owner,
 * attempts, whether it had started.
 */
export const sweep = script(
  [members, tasks, writes, places, keys, queue, saving, moving, rows, endings, budgets, damage],
  String.raw`
local prefix, failFrom, limit = prefixOf(ARGV[FIRST]), tonumber(ARGV[FIRST + 1]), ARGV[FIRST + 2]
local before, after = ARGV[FIRST + 3], ARGV[FIRST + 4]
local returned, beforeUnstarted, afterUnstarted = tonumber(ARGV[FIRST + 5]), ARGV[FIRST + 6], ARGV[FIRST + 7]
local ids = dueMembers(LEASES, prefix, limit)
local leaseMembers = {}
for index, member in ipairs(ids) do
  ids[index] = sub(member, #prefix + WORD + 1)
  leaseMembers[ids[index]] = member
end
local lines, running, readable = mget(TASKS, ids), mget(RUNNING, ids), {}
for index, id in ipairs(ids) do
  if lines[index] and running[index] and match(lines[index], LINE) and match(running[index], '^%d+ [%d-]+ %d+ [01] ') then
    readable[#readable + 1] = id
  else
    setAside(prefix, ARGV[FIRST], id, leaseMembers[id])
  end
end
ids = readable
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
commit()
return swept
`
)
