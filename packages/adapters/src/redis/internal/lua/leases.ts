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
local lines, running = mget(TASKS, ids), mget(RUNNING, ids)
-- Tasks that were added and claimed together have the same token, and the same attempt before and after.
local starts = {}
local function startOf(state, line)
  local sameState = starts[state]
  if not sameState then
    sameState = {}
    starts[state] = sameState
  end
  local start = sameState[line]
  if not start then
    local task = parse('', '0' .. state)
    begin(task, line)
    local attempt = task[Attempt]
    start = {
      token = text(task[Token]),
      line = attempt.started == '-' and printAttempt({
        leaseEnd = attempt.leaseEnd, started = nowText, updated = attempt.updated, saved = attempt.saved,
        call = attempt.call, owner = attempt.owner
      })
    }
    sameState[line] = start
  end
  return start
end
for index, id in ipairs(ids) do
  local start = lines[index] and running[index] and startOf(sub(lines[index], WORD + 1), running[index])
  if not start or start.token ~= ARGV[FIRST + index * 2 - 1] then
    load({ id })
    lose(index, tasks[id])
  elseif start.line then
    write(HSET, RUNNING, id, start.line)
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
