import { members, places } from "./indexes.ts"
import { attempts, leases, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

/**
 * Arguments: for each checkpoint: id, token, execution with its usage on a second line, usage of the task or nothing.
 * Returns for each lost lease: index, status, nothing.
 */
export const checkpoint = script(
  [members, tasks, writes, places, attempts, leases, usage],
  String.raw`
local ids = {}
for at = FIRST, #ARGV, 4 do ids[#ids + 1] = ARGV[at] end
load(ids)
local usageBefore = mget(USAGE, ids)
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
    usages.replace(task[Queue], usageBefore[index], ARGV[at + 3])
  else
    lose(index, task)
  end
end
usages.save()
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
