import { keys, members, places, queue } from "./indexes.ts"
import { edges, leases, moving, saving, tasks, unblocking, writes } from "./library.ts"
import { script } from "./prelude.ts"

/**
 * Ends reviews. Arguments: for each decision: id, token, outcome, status, verified, execution, verification, and error and
 * feedback, each after `=` or nothing. Returns for each decision that changed nothing: index, status, nothing.
 */
export const decide = script(
  [members, tasks, writes, places, keys, queue, saving, moving, edges, unblocking, leases],
  String.raw`
local ids = {}
for at = FIRST, #ARGV, 9 do ids[#ids + 1] = ARGV[at] end
load(ids)
local fields = {}
for index, id in ipairs(ids) do fields[index] = (tasks[id] and tasks[id][Rows] or 0) .. ' ' .. id end
local rows = mget(ATTEMPTS, fields)

local completed = {}
for index, id in ipairs(ids) do
  local at = FIRST + (index - 1) * 9
  local token, outcome, status, verified, execution, verification, failure, feedback = unpack(ARGV, at + 1, at + 8)
  local task = tasks[id]
  if not task or task[Status] ~= 'in_review' or tonumber(task[Token]) ~= tonumber(token) then
    lose(index, task)
  else
    local number, started, length, usage, rest =
      match(rows[index] or '', '^(%S+) %S+ (%S+) %S+ %S+ (%d+)\n[^\n]*\n[^\n]*\n([^\n]*)\n(.*)$')
    if not rest then unreadable() end
    local numbers = concat({ number, task[Token], started, nowText, outcome, length }, ' ')
    local owner = sub(rest, 1, tonumber(length))
    local row = concat({ numbers, execution, verification, usage, owner }, '\n')
    write(HSET, ATTEMPTS, fields[index], failure == '' and row or row .. '\n' .. sub(failure, 2))
    if feedback == '' then write(HDEL, FEEDBACK, id) else write(HSET, FEEDBACK, id, sub(feedback, 2)) end
    task[Verified] = verified
    task[Previous] = status ~= 'completed' and execution ~= '' and task[Rows] or '0'
    if status == 'pending' then task[Available] = nowText end
    move(task, status)
    if status == 'pending' then lineUp(task) end
    if status == 'completed' then completed[#completed + 1] = id end
  end
end
unblock(completed)
saveKeys()
commit()
return lost
`
)

/**
 * Replaces the verification of an attempt that has ended. Arguments: id, token, the present verification, the new one.
 * Returns whether it was replaced.
 */
export const amend = script(
  [members, tasks, writes],
  String.raw`
local id, token, before, verification = ARGV[FIRST], ARGV[FIRST + 1], ARGV[FIRST + 2], ARGV[FIRST + 3]
load({ id })
for row = tasks[id] and tasks[id][Rows] or 0, 1, -1 do
  local task = tasks[id]
  local numbers, execution, found, rest =
    match(rowOf(task, row) or '', '^([^\n]*)\n([^\n]*)\n([^\n]*)\n(.*)$')
  if numbers and match(numbers, '^%S+ (%S+)') == token then
    if found ~= before then return 0 end
    local content = concat({ numbers, execution, verification, rest }, '\n')
    if task.row and row == tonumber(task[Rows]) then
      write(HSET, TASKS, id, print(task) .. '\n' .. content)
    else
      write(HSET, ATTEMPTS, row .. ' ' .. id, content)
    end
    commit()
    return 1
  end
end
return 0
`
)
